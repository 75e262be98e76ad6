#!/usr/bin/python3
"""Planned moves: what a client of librdkafka feels when a partition moves, and when a broker gives all it leads away.

  bench/moves.py [--moves 330] [--drains 3] [--partitions 1000] [--librdkafka debian|2.15]

Moves: an open loop sends a record every 5 ms to each of a few partitions; one of them moves to another broker, again and again.
The gap of a move is the longest that a record of its partition waited for its answer around it; beside it the same of moments when
nothing moved. Drains: an open loop passes over PARTITIONS that one of three brokers leads, and that broker is told to give
everything away; the gap of a partition is the longest wait for an answer from then until it is done. Prints figures, judges nothing.
"""
import argparse
import os
import random
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))

from brokers import Brokers  # noqa: E402
from confluent_kafka import libversion  # noqa: E402
from harness import binary, check  # noqa: E402
from peers import use_librdkafka_2_15  # noqa: E402
from probes import OpenLoop, summary  # noqa: E402
from rig import create_topic  # noqa: E402

SETTINGS = {"paceline.balance.enabled": "false", "offsets.topic.num.partitions": 3}
MOVING = 6  # partitions
AROUND_S = 0.1


def leader(address, *words):
    done = subprocess.run([binary(), "leader", *words, "-b", address], capture_output=True, text=True, timeout=90)
    check(done.returncode == 0, f"leader {' '.join(words)}: {done.stderr}")


def moves(count):
    with Brokers(settings=SETTINGS, base=os.environ.get("PACELINE_BENCH")) as brokers:
        create_topic(brokers.address(1), "moving", MOVING, 60)
        loop = OpenLoop(brokers.addresses, "moving", range(MOVING), 0.005 / MOVING, {"linger.ms": 0})
        loop.start()
        time.sleep(3)
        leaders, made, calm = brokers.leaders("moving", 1), [], []
        for number in range(count):
            partition = number % MOVING
            to = random.choice([other for other in brokers.numbers if other != leaders[partition]])
            began = time.monotonic()
            leader(brokers.address(to), "move", f"moving:{partition}", "--to", str(to))
            leaders[partition] = to
            made.append((partition, began, time.monotonic()))
            time.sleep(0.1)
            calm.append((partition, time.monotonic()))
            time.sleep(0.15)
        time.sleep(1)
        loop.finish()
    gaps = [loop.longest_ms(began, ended + AROUND_S / 2)[partition] for partition, began, ended in made]
    quiet = [loop.longest_ms(at, at + AROUND_S)[partition] for partition, at in calm]
    print(f"planned move, gap of a client: {summary(gaps)}; while nothing moved, over as long: {summary(quiet)}", flush=True)


def drain(number, partitions):
    with Brokers(settings=SETTINGS, base=os.environ.get("PACELINE_BENCH")) as brokers:
        create_topic(brokers.address(1), "drained", partitions * len(brokers.numbers), 60)
        led = [partition for partition, by in brokers.leaders("drained", 1).items() if by == 2]
        loop = OpenLoop(brokers.addresses, "drained", led, 0.0005, {"linger.ms": 0})
        loop.start()
        time.sleep(5)
        began = time.monotonic()
        leader(brokers.address(1), "drain", "2", "--wait")
        ended = time.monotonic()
        time.sleep(1)
        check(2 not in brokers.leaders("drained", 1).values(), "broker 2 is drained, and leads")
        loop.finish()
        gaps = list(loop.longest_ms(began - 0.01, ended + 0.6).values())
        quiet = list(loop.longest_ms(began - 2, began - 1).values())
    print(f"drain {number} of {len(led)} partitions in {1000 * (ended - began):.0f} ms, gap of a partition: {summary(gaps)}; "
          f"before: {summary(quiet)}", flush=True)
    return gaps


def main():
    parser = argparse.ArgumentParser(description="what planned moves cost a client")
    parser.add_argument("--moves", type=int, default=330)
    parser.add_argument("--drains", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=1000, help="that a broker leads when it is drained")
    parser.add_argument("--librdkafka", choices=("debian", "2.15"), default="debian")
    options = parser.parse_args()
    if options.librdkafka == "2.15":
        use_librdkafka_2_15()
    print(f"moves: {binary()}, librdkafka {libversion()[0]}", flush=True)
    if options.moves:
        moves(options.moves)
    of_all = [drain(number + 1, options.partitions) for number in range(options.drains)]
    if of_all:
        print(f"all drains: {summary([gap for gaps in of_all for gap in gaps])}; "
              f"median of their p50: {statistics.median(statistics.median(gaps) for gaps in of_all):.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
