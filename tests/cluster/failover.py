#!/usr/bin/python3
"""Three brokers on one etcd and one shared folder: each in turn gets kill -9 under an idempotent producer and comes back.
Others take over what it led, with everything acknowledged: each record once, at the offset that was told.

  failover.py [--rounds N]
"""
import argparse
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("clients", "stores", "torture"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient  # noqa: E402
from etcd import Etcd  # noqa: E402
from harness import binary, check  # noqa: E402
from rig import House, Table, create_topic  # noqa: E402

BROKERS, PARTITIONS, TOPIC = (1, 2, 3), 12, "moved"
# A lease of 5 s, which etcd may take a second longer to end, and then a takeover.
BACK_WITHIN_S = 20


class Load:
    """A producer that keeps what it was told."""

    def __init__(self, addresses):
        self.producer = Producer({"bootstrap.servers": addresses, "enable.idempotence": True, "linger.ms": 1,
                                  "message.timeout.ms": 120000, "log_level": 0})
        self.sent, self.acked, self.refused = 0, {}, []

    def told(self, error, message):
        if error is None:
            self.acked[message.partition(), message.offset()] = message.value()
        else:
            self.refused.append(str(error))

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.producer.produce(TOPIC, b"%08d" % self.sent, partition=self.sent % PARTITIONS, on_delivery=self.told)
                self.sent += 1
            except BufferError:
                pass
            self.producer.poll(0)
            time.sleep(0.0005)

    def settle(self):
        began = time.monotonic()
        left = self.producer.flush(BACK_WITHIN_S)
        check(left == 0, f"{left} of {self.sent} records are not answered {BACK_WITHIN_S} s later")
        check(not self.refused, f"refused: {self.refused[:3]}")
        return time.monotonic() - began


def leaders(addresses):
    topic = AdminClient({"bootstrap.servers": addresses}).list_topics(TOPIC, timeout=10).topics[TOPIC]
    return {index: partition.leader for index, partition in topic.partitions.items()}


def read_all(addresses, acked):
    """What a consumer gets, by place, until it has come to every acknowledged offset."""
    last = {}
    for partition, offset in acked:
        last[partition] = max(last.get(partition, -1), offset)
    consumer = Consumer({"bootstrap.servers": addresses, "group.id": "judge", "enable.auto.commit": False})
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in last])
    got, end = {}, time.monotonic() + 60
    while any((partition, offset) not in got for partition, offset in last.items()) and time.monotonic() < end:
        for message in consumer.consume(1000, 0.2):
            if message.error() is None:
                got[message.partition(), message.offset()] = message.value()
    consumer.close()
    return got


def killed_in_turn(rounds):
    folder = tempfile.mkdtemp(prefix="paceline-cluster-")
    houses, load = {}, None
    with Etcd(1) as etcd:
        try:
            for number in BROKERS:
                houses[number] = House(os.path.join(folder, str(number)), {
                    "node.id": number, "paceline.metadata": etcd.url("cluster"), "paceline.admin.listen": "none",
                    "paceline.objects": f"file:{folder}/objects", "paceline.wal": f"file:{folder}/wal"})
                houses[number].start()
            addresses = ",".join(house.address for house in houses.values())
            create_topic(houses[1].address, TOPIC, PARTITIONS)
            check(set(leaders(addresses).values()) == set(BROKERS), f"not everybody leads: {leaders(addresses)}")
            load, slowest = Load(addresses), 0.0
            for turn in range(rounds):
                victim = BROKERS[turn % len(BROKERS)]
                load.run(1)
                houses[victim].kill()
                load.run(1)
                slowest = max(slowest, load.settle())
                now = leaders(addresses)
                check(victim not in now.values(), f"broker {victim} is dead and leads: {now}")
                houses[victim].start()
            load.run(1)
            load.settle()
            got = read_all(addresses, load.acked)
            wrong = [place for place, value in load.acked.items() if got.get(place) != value]
            check(not wrong, f"{len(wrong)} acknowledged records are not there: {wrong[:3]}")
            check(len(set(got.values())) == len(got), "a record is there twice")
            for partition in range(PARTITIONS):
                values = [value for place, value in sorted(got.items()) if place[0] == partition]
                check(values == sorted(values), f"partition {partition} is out of order")
            for house in houses.values():
                house.expect_alive("in the end")
            return f"{len(load.acked)} records, {rounds} brokers killed; all answered {slowest:.1f} s after a death's load at most"
        finally:
            for house in houses.values():
                house.kill()
            shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description="leadership is taken from dead brokers")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    began, table = time.monotonic(), Table("failover")
    print(f"failover: {binary()}", flush=True)
    table.case("each broker in turn", lambda: killed_in_turn(options.rounds))
    return table.finish(began)


if __name__ == "__main__":
    sys.exit(main())
