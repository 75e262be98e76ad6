#!/usr/bin/python3
"""kill -9 of one of three brokers, again and again: how long until the others serve what it led, and in which phase.

  bench/failover.py [--rounds 20] [--partitions 1000] [--tail-mib 8]

Each round makes a topic that is spread over the three, with PARTITIONS on the victim and records in all of them that are
uploaded; then the tail is written to the victim's and the victim killed. Two probes, one a survivor, send a produce request to each of
a few of its partitions every few milliseconds, until it is acknowledged: that, minus the moment of kill(), is *our part*.
Phases are told by the survivors' events, by the wall clock in milliseconds. Prints figures, judges nothing.
"""
import argparse
import os
import random
import statistics
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))

from brokers import Brokers, at_ms, now_ms  # noqa: E402
from confluent_kafka import Producer  # noqa: E402
from confluent_kafka.admin import AdminClient  # noqa: E402
from harness import binary, check  # noqa: E402
from rig import create_topic  # noqa: E402
from wire import Silent, Wire  # noqa: E402

SAMPLES = 8
UPLOAD_AGE_MS = 2000
GIVE_UP_S = 20


def produce(addresses, topic, partitions, value):
    """One record to each; returns when all are acknowledged."""
    refused = []
    producer = Producer({"bootstrap.servers": addresses, "linger.ms": 5, "log_level": 0,
                         "queue.buffering.max.messages": 1000000, "queue.buffering.max.kbytes": 1 << 20})
    for partition in partitions:
        producer.produce(topic, value, partition=partition, on_delivery=lambda error, _: error and refused.append(str(error)))
        producer.poll(0)
    check(producer.flush(60) == 0 and not refused, f"not all is acknowledged: {refused[:2]}")


class Probe(threading.Thread):
    """Asks one survivor for each of the partitions until somebody serves it. served: partition -> time."""

    def __init__(self, address, topic, partitions, served):
        super().__init__(daemon=True)
        self.wire, self.topic, self.partitions, self.served = Wire(address, GIVE_UP_S), topic, partitions, served
        self.goes = threading.Event()

    def run(self):
        self.goes.wait()
        end = time.monotonic() + GIVE_UP_S
        while len(self.served) < len(self.partitions) and time.monotonic() < end:
            for partition in self.partitions:
                if partition in self.served:
                    continue
                try:
                    error, _ = self.wire.produce(self.topic, partition, [(b"probe", b"x" * 100)])
                except Silent:
                    return
                if error == 0:
                    self.served.setdefault(partition, time.monotonic())
            time.sleep(0.001)


def phases(brokers, survivors, since):
    """Milliseconds after the kill, of the survivor that was first or last."""
    def times(name):
        return [at_ms(event) - since for number in survivors for event in brokers.events(number, name, since)]
    names = {"noticed": ("broker.noticed", min), "fenced": ("broker.fenced", min),
             "lanes listed": ("lane.listed", max), "directories read": ("lane.directories_read", max),
             "sealed": ("lane.sealed", max), "estate read": ("lane.recovered", max), "all served": ("partition.serving", max)}
    end = time.monotonic() + 5
    while len(times("partition.serving")) < len(survivors) and time.monotonic() < end:
        time.sleep(0.05)
    return {title: pick(found) for title, (name, pick) in names.items() if (found := times(name))}


def one_round(brokers, number, options):
    topic = f"round{number}"
    victim = brokers.numbers[number % len(brokers.numbers)]
    survivors = [other for other in brokers.numbers if other != victim]
    create_topic(brokers.address(survivors[0]), topic, options.partitions * len(brokers.numbers), 60)
    leaders = brokers.leaders(topic, survivors[0])
    led = [partition for partition, leader in leaders.items() if leader == victim]
    produce(brokers.addresses, topic, leaders, b"x" * 100)
    time.sleep(UPLOAD_AGE_MS / 1000 * 1.5)
    tail = options.tail_mib << 20
    sampled = random.sample(led, min(SAMPLES, len(led)))
    served = {}
    probes = [Probe(brokers.address(other), topic, sampled, served) for other in survivors]
    for probe in probes:
        probe.start()
    if tail:
        produce(brokers.address(victim), topic, led, os.urandom(tail // len(led)))
    since, killed = now_ms(), time.monotonic()
    house = brokers.houses[victim]
    house.child.kill()
    for probe in probes:
        probe.goes.set()
    for probe in probes:
        probe.join()
        probe.wire.close()
    gone = time.monotonic()
    house.kill()
    evidence = sorted({notice["evidence"] for notice in brokers.notices(survivors, since)})
    told = phases(brokers, survivors, since)
    house.start()
    admin = AdminClient({"bootstrap.servers": brokers.addresses, "log_level": 0})
    admin.delete_topics([topic])[topic].result(30)
    took = sorted((at - killed) * 1000 for at in served.values())
    check(len(took) == len(sampled), f"{len(sampled) - len(took)} partitions were not served within {gone - killed:.0f} s")
    print(f"round {number:3}: first {took[0]:6.1f}  last {took[-1]:6.1f} ms of {len(took)} samples of {len(led)}   "
          + "  ".join(f"{title} {at}" for title, at in told.items()) + f"   {', '.join(evidence)}", flush=True)
    return took, told


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def main():
    parser = argparse.ArgumentParser(description="how long a failover takes")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--partitions", type=int, default=1000, help="on the victim")
    parser.add_argument("--tail-mib", type=int, default=8, help="not uploaded at the moment of death")
    options = parser.parse_args()
    print(f"failover: {binary()}, {options.partitions} partitions on the dead broker, {options.tail_mib} MiB of tail", flush=True)
    took, told = [], {}
    settings = {"paceline.upload.age.ms": UPLOAD_AGE_MS, "offsets.topic.num.partitions": 3}
    with Brokers(settings=settings, base=os.environ.get("PACELINE_BENCH")) as brokers:
        for number in range(options.rounds):
            of_round, phases_of_round = one_round(brokers, number, options)
            took += of_round
            for title, at in phases_of_round.items():
                told.setdefault(title, []).append(at)
    print(f"our part, a random partition: p50 {statistics.median(took):.1f}  p99 {quantile(took, 0.99):.1f}  "
          f"max {max(took):.1f} ms ({len(took)} samples of {options.rounds} rounds)")
    for title, values in told.items():
        print(f"  {title:12} after  p50 {statistics.median(values):.0f}  max {max(values):.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
