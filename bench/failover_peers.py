#!/usr/bin/python3
"""Three brokers of ours and three of Apache Kafka, one after the other, with the same client: what it sees when a broker is killed,
ends as planned, and gets its leadership back.

  bench/failover_peers.py [--rounds 8] [--librdkafka debian|2.15]

The client is librdkafka with its defaults: for each of eight partitions that the broker leads a producer of its own, a record every
5 ms. A gap is the longest that one of them waited for an answer. Ours has etcd, log and objects in folders of this machine; Kafka is
KRaft with its defaults, each partition on all three. Prints figures, judges nothing.
"""
import argparse
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))

from brokers import Brokers  # noqa: E402
from confluent_kafka import libversion  # noqa: E402
from harness import binary, check  # noqa: E402
from kafka_cluster import VERSION, KafkaCluster  # noqa: E402
from moves import leader  # noqa: E402
from peers import use_librdkafka_2_15  # noqa: E402
from probes import GIVE_UP_S, OpenLoop, summary  # noqa: E402
from rig import create_topic  # noqa: E402

CLIENTS, EVERY_S, TOPIC = 8, 0.005, "watched"


class Ours(Brokers):
    """As KafkaCluster says it."""

    def __init__(self):
        super().__init__(settings={"paceline.balance.enabled": "false", "offsets.topic.num.partitions": 3},
                         base=os.environ.get("PACELINE_BENCH"))

    def create(self, topic, partitions):
        create_topic(self.address(1), topic, partitions, 60)

    def kill(self, number):
        self.houses[number].kill()

    def stop(self, number):
        self.houses[number].stop(60)

    def start(self, number):
        self.houses[number].start()
        time.sleep(1)

    def elect(self, topic, partitions, to):
        for partition in partitions:
            leader(self.address(to), "move", f"{topic}:{partition}", "--to", str(to))


class Theirs(KafkaCluster):
    def __init__(self):
        super().__init__(base=os.environ.get("PACELINE_BENCH"))

    def elect(self, topic, partitions, _to):
        self.elect_preferred(topic, partitions)


def watched(cluster, partitions, happens):
    """The gaps of the clients while that happens."""
    clients = [OpenLoop(cluster.addresses, TOPIC, [partition], EVERY_S) for partition in partitions]
    for client in clients:
        client.start()
    time.sleep(3)
    began = time.monotonic()
    happens()
    time.sleep(5)
    gaps = []
    for client in clients:
        client.finish()
        gaps += client.longest_ms(began - 0.1, time.monotonic()).values()
    return gaps


def play(name, cluster, rounds):
    kills, stops, returns = [], [], []
    with cluster:
        cluster.create(TOPIC, 3 * CLIENTS)
        home = {number: [p for p, by in cluster.leaders(TOPIC).items() if by == number] for number in cluster.numbers}
        for number in range(rounds):
            victim = cluster.numbers[number % len(cluster.numbers)]
            mine = home[victim][:CLIENTS]
            for gaps, end in ((kills, cluster.kill), (stops, cluster.stop)):
                seen = watched(cluster, mine, lambda end=end: end(victim))
                gaps += seen
                cluster.start(victim)
                back = watched(cluster, mine, lambda: cluster.elect(TOPIC, mine, victim))
                returns += back
                print(f"  {name}, round {number}, {end.__name__}: up to {max(seen):.0f} ms; leadership returns: {max(back):.0f} ms",
                      flush=True)
                now = cluster.leaders(TOPIC)
                check(all(now[p] == victim for p in mine), f"{name}: leadership did not return")
    for what, gaps in (("kill -9", kills), ("SIGTERM", stops), ("leadership returns", returns)):
        print(f"{name}, {what}: {summary(gaps)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="failover of ours and of Kafka, as one client sees it")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--librdkafka", choices=("debian", "2.15"), default="debian")
    options = parser.parse_args()
    if options.librdkafka == "2.15":
        use_librdkafka_2_15()
    print(f"librdkafka {libversion()[0]}, {CLIENTS} clients, waits of up to {GIVE_UP_S} s count", flush=True)
    play(f"Paceline ({binary()})", Ours(), options.rounds)
    play(f"Apache Kafka {VERSION}", Theirs(), options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
