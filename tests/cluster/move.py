#!/usr/bin/python3
"""Three brokers on one etcd and one shared folder, an idempotent producer, a reader and a group: partitions move between
the brokers all the time, those of the groups too, and then brokers are drained and stopped. No record is lost, doubled or
out of order, no client is told of an error, and the group keeps its members.

  move.py [--seconds N] [--every-ms N]
"""
import argparse
import random
import subprocess
import sys
import threading
import time

from brokers import Brokers, expect_once, expect_order
from confluent_kafka import Consumer, KafkaError, Producer
from harness import binary, check
from rig import Table, create_topic

PARTITIONS, TOPIC, GROUP = 12, "moving", "movers"
# Nobody else is to move anything here.
SETTINGS = {"paceline.balance.enabled": "false", "group.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 3}
ANSWERED_WITHIN_S = 20


class Load:
    """An open-loop producer: one record every 5 ms, whatever becomes of those before it."""

    def __init__(self, addresses, every_ms=5):
        self.errors = []
        self.producer = Producer({"bootstrap.servers": addresses, "enable.idempotence": True, "linger.ms": 0,
                                  "message.timeout.ms": 120000, "log_level": 0, "error_cb": self.errors.append})
        self.every, self.sent, self.acked, self.refused, self.slow = every_ms / 1000, 0, {}, [], []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def told(self, began, error, message):
        if error is not None:
            self.refused.append(str(error))
            return
        self.acked[message.partition(), message.offset()] = message.value()
        self.slow.append((began, message.partition(), time.monotonic() - began))

    def run(self):
        due = time.monotonic()
        while not self.stopping.is_set():
            now = time.monotonic()
            if now < due:
                self.producer.poll(min(due - now, 0.001))
                continue
            due += self.every
            value, partition = b"%08d" % self.sent, self.sent % PARTITIONS
            self.producer.produce(TOPIC, value, partition=partition,
                                  on_delivery=lambda e, m, began=now: self.told(began, e, m))
            self.sent += 1

    def settle(self, ended=()):
        """`ended`: brokers whose connections have gone with them, which the library tells and no record feels."""
        self.stopping.set()
        self.thread.join()
        left = self.producer.flush(ANSWERED_WITHIN_S)
        check(left == 0, f"{left} of {self.sent} records are not answered")
        check(not self.refused, f"refused: {self.refused[:3]}")
        told = [str(error) for error in self.errors
                if not (error.code() == KafkaError._TRANSPORT and any(one in str(error) for one in ended))]
        check(not told, f"the producer was told: {told[:3]}")


class Member:
    """One of a group. What it gets is in order, and it is asked to give up nothing before the end."""

    def __init__(self, addresses, name):
        self.name, self.got, self.errors, self.assigned, self.revoked = name, {}, [], 0, 0
        self.commits_failed = []
        self.consumer = Consumer({"bootstrap.servers": addresses, "group.id": GROUP, "client.id": name,
                                  "auto.offset.reset": "earliest", "enable.auto.commit": True,
                                  "auto.commit.interval.ms": 500, "session.timeout.ms": 10000, "log_level": 0,
                                  "error_cb": self.errors.append, "on_commit": self.committed})
        self.consumer.subscribe([TOPIC], on_assign=self.on_assign, on_revoke=self.on_revoke)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def committed(self, error, _partitions):
        if error is not None:
            self.commits_failed.append(str(error))

    def on_assign(self, _consumer, _partitions):
        self.assigned += 1

    def on_revoke(self, _consumer, _partitions):
        self.revoked += 1

    def run(self):
        while not self.stopping.is_set():
            for message in self.consumer.consume(500, 0.1):
                if message.error() is not None:
                    self.errors.append(message.error())
                    continue
                self.got.setdefault(message.partition(), []).append((message.offset(), message.value()))

    def close(self):
        self.stopping.set()
        self.thread.join()
        self.consumer.close()


def leader(address, *words):
    command = [binary(), "leader", *words, "-b", address, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    return done.returncode, done.stdout + done.stderr


def phases_of(brokers):
    """The phases of all moves, as the brokers have written them down."""
    phases = {}
    for number in brokers.numbers:
        for event in brokers.events(number):
            if not event["type"].startswith("move.") or event["figures"].get("outcome", "moved") != "moved":
                continue
            if event["unit"] == "ms":
                phases.setdefault(event["type"].removeprefix("move."), []).append(event["value"])
            for name, value in event["figures"].items():
                if name.endswith("_us"):
                    phases.setdefault(name.removesuffix("_us"), []).append(value / 1000)
    return phases


STEPS = ("move.begun", "move.paused", "move.passport_sent", "move.adopted", "move.committed", "leader.moved",
         "partition.serving", "move.forwarding", "move.ended")


def expect_timelines(cluster):
    """Every move that was made is in the topic of events with all its steps, from both sides, once each, in order."""
    by_cause = {}
    for event in cluster.timeline():
        if (event["cause_id"] or "").startswith("move-"):
            by_cause.setdefault(event["cause_id"], []).append(event)
    made = {cause: told for cause, told in by_cause.items()
            if any(event["type"] == "move.ended" and event["figures"]["outcome"] == "moved" for event in told)}
    for cause, told in made.items():
        missing = set(STEPS) - {event["type"] for event in told}
        check(not missing, f"{cause} lacks {missing}")
        # An attempt that came to nothing, and left nothing behind, is told under the same name.
        if [event["type"] for event in told].count("move.begun") > 1:
            continue
        expect_once(told)
        expect_order(told, *STEPS[:5])
        expect_order(told, "move.committed", "move.forwarding", "move.ended")
        sides = {event["source"] for event in told}
        check(len(sides) == 2, f"{cause} is told by {sides}")
    return made


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def gap_of_moves(load, moves):
    """Of each move: the slowest answer of that partition to what was sent around it, in ms."""
    by_partition = {}
    for began, partition, took in load.slow:
        by_partition.setdefault(partition, []).append((began, took))
    gaps = []
    for partition, began, ended in moves:
        near = [took for at, took in by_partition.get(partition, ()) if began - 0.2 <= at <= ended + 0.2]
        if near:
            gaps.append(1000 * max(near))
    return gaps


def judge(load, members):
    """Everything acknowledged was read, once, in order, where it was said to be."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        read = {(partition, offset): value for member in members for partition, some in list(member.got.items())
                for offset, value in list(some)}
        if all(place in read for place in load.acked):
            break
        time.sleep(0.2)
    wrong = [place for place, value in load.acked.items() if read.get(place) != value]
    check(not wrong, f"{len(wrong)} acknowledged records are not there: {wrong[:3]}")
    check(len(set(read.values())) == len(read), "a record is there twice")
    for partition in range(PARTITIONS):
        values = [value for place, value in sorted(read.items()) if place[0] == partition]
        check(values == sorted(values), f"partition {partition} is out of order")
        offsets = [place[1] for place in sorted(read) if place[0] == partition]
        check(offsets == list(range(len(offsets))), f"partition {partition} has a hole")


def keep_assigned(members):
    for member in members:
        check(not member.errors, f"{member.name} was told: {[str(error) for error in member.errors[:3]]}")
        check(member.assigned == 1 and member.revoked == 0,
              f"{member.name} was assigned {member.assigned} times and lost partitions {member.revoked} times")
        check(not member.commits_failed, f"a commit of {member.name} failed: {member.commits_failed[:3]}")


def start_load(cluster):
    create_topic(cluster.address(1), TOPIC, PARTITIONS)
    members = [Member(cluster.addresses, "first")]
    end = time.monotonic() + 30
    while not members[0].assigned and time.monotonic() < end:
        time.sleep(0.1)
    check(members[0].assigned == 1, "the group did not come together")
    load = Load(cluster.addresses)
    load.thread.start()
    time.sleep(2)
    return load, members


def moved_all_the_time(seconds, every_ms):
    with Brokers(settings=SETTINGS) as cluster:
        load, members = start_load(cluster)
        randomly, moves, refused = random.Random(4), [], []
        calm_from = time.monotonic()  # before, the producer had to find its brokers
        end = calm_from + seconds
        while time.monotonic() < end:
            topic = "__consumer_offsets" if randomly.random() < 0.1 else TOPIC
            index = randomly.randrange(3 if topic != TOPIC else PARTITIONS)
            by = cluster.address(randomly.choice(cluster.numbers))
            began = time.monotonic()
            code, text = leader(by, "move", f"{topic}:{index}", "--to", str(randomly.choice(cluster.numbers)))
            if code != 0:
                refused.append(text.strip())
            elif topic == TOPIC:
                moves.append((index, began, time.monotonic()))
            time.sleep(max(0.0, every_ms / 1000 - (time.monotonic() - began)))
        time.sleep(1)
        load.settle()
        judge(load, members)
        keep_assigned(members)
        members[0].close()
        for house in cluster.houses.values():
            house.expect_alive("in the end")
        check(len(refused) <= len(moves) // 20, f"{len(refused)} moves were refused: {refused[:3]}")
        gaps = gap_of_moves(load, moves)
        calm = [1000 * took for at, _, took in load.slow if at >= calm_from]
        time.sleep(1)
        made = expect_timelines(cluster)
        # Some of what was asked for was so already.
        check(len(made) >= len(moves) // 3, f"{len(moves)} moves, and {len(made)} in the timeline")
        phases = phases_of(cluster)
        told = "  ".join(f"{name} {percentile(values, 0.5):.2f}/{percentile(values, 0.99):.2f}"
                         for name, values in sorted(phases.items()))
        print(f"  phases, ms p50/p99: {told}", flush=True)
        return (f"{len(load.acked)} records, {len(moves)} moves of partitions; around a move the slowest answer took "
                f"p50 {percentile(gaps, 0.5):.1f} p99 {percentile(gaps, 0.99):.1f} max {max(gaps):.1f} ms; "
                f"all answers p50 {percentile(calm, 0.5):.1f} p99 {percentile(calm, 0.99):.1f} ms")


def drained_and_stopped():
    with Brokers(settings=SETTINGS) as cluster:
        load, members = start_load(cluster)
        code, text = leader(cluster.address(2), "drain", "1", "--wait")
        check(code == 0, f"drain failed: {text}")
        now = cluster.leaders(TOPIC, 2)
        check(1 not in now.values(), f"broker 1 is drained and leads: {now}")
        end = time.monotonic() + 10  # until it is over, and the broker takes partitions again
        while not cluster.events(1, "broker.drained"):
            check(time.monotonic() < end, "the drain is not over within 10 s")
            time.sleep(0.02)
        # Back to where it is preferred, by Kafka's own API.
        for index in range(PARTITIONS):
            code, text = leader(cluster.address(3), "move", f"{TOPIC}:{index}", "--to", str(cluster.numbers[index % 3]))
            check(code == 0, f"move failed: {text}")
        time.sleep(1)
        began = time.monotonic()
        cluster.houses[2].stop(60)
        took = time.monotonic() - began
        now = cluster.leaders(TOPIC, 1)
        check(2 not in now.values(), f"broker 2 has ended and leads: {now}")
        time.sleep(2)
        load.settle(ended=(cluster.address(2),))
        judge(load, members)
        members[0].close()
        slowest = 1000 * max(took for _, _, took in load.slow)
        return f"{len(load.acked)} records; SIGTERM took {took:.1f} s; the slowest answer {slowest:.0f} ms"


def main():
    parser = argparse.ArgumentParser(description="leadership moves and nobody notices")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--every-ms", type=int, default=200)
    options = parser.parse_args()
    began, table = time.monotonic(), Table("move")
    print(f"move: {binary()}", flush=True)
    table.case("partitions move all the time", lambda: moved_all_the_time(options.seconds, options.every_ms))
    table.case("a drain, and a planned end", drained_and_stopped)
    return table.finish(began)


if __name__ == "__main__":
    sys.exit(main())
