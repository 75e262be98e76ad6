#!/usr/bin/python3
"""Three brokers on one etcd and one shared folder, an open-loop producer and a reader: a fourth joins and carries its share
of partitions and of load, and no record is lost, doubled or out of order, and no client told of an error; one is killed, and
when it is back its leaders come back; a dry run says what would move, and nothing does; a consumer reads in its own rack.

  balance.py [--partitions N]
"""
import argparse
import json
import subprocess
import sys
import time
import urllib.request

from brokers import Brokers
from confluent_kafka import Consumer, Producer, TopicPartition
from harness import binary, check
from move import TOPIC, Load, Member, judge
from rig import Table, create_topic, free_port

SETTINGS = {"group.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 3}
SHARED_WITHIN_S = 10


def balance(address, *words):
    command = [binary(), "cluster", "balance", *words, "-b", address, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"{' '.join(command[1:])}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def led_by(cluster, topic, asked):
    counts = {}
    for leader in cluster.leaders(topic, asked).values():
        counts[leader] = counts.get(leader, 0) + 1
    return counts


def wait_for(what, seconds, done):
    began = time.monotonic()
    while not done():
        check(time.monotonic() - began < seconds, f"{what}: not within {seconds} s")
        time.sleep(0.05)
    return time.monotonic() - began


def start_load(cluster, idle):
    create_topic(cluster.address(1), TOPIC, 12)
    create_topic(cluster.address(1), "idle", idle)
    member = Member(cluster.addresses, "reader")
    wait_for("the group comes together", 30, lambda: member.assigned)
    load = Load(cluster.addresses)
    load.thread.start()
    time.sleep(2)
    return load, member


def settle(cluster, load, member, since):
    time.sleep(1)
    load.settle()
    judge(load, [member])
    check(not member.errors, f"the reader was told: {[str(error) for error in member.errors[:3]]}")
    member.close()
    for number, house in cluster.houses.items():
        house.expect_alive(f"in the end: broker {number}")
    slow = sorted(1000 * took for sent, _, took in load.slow if sent >= since)
    return f"{len(slow)} answers meanwhile, p50 {slow[len(slow) // 2]:.1f} max {slow[-1]:.0f} ms"


def reasons_of(cluster, since_ms=0):
    return [event["figures"]["reason"] for number in cluster.houses for event in cluster.events(number, "balance.moved", since_ms)]


def joins_and_returns(partitions):
    """The fourth joins; then one of them dies and comes back."""
    with Brokers(settings=SETTINGS) as cluster:
        load, member = start_load(cluster, partitions)
        before = balance(cluster.address(2), "--dry-run")
        check(len(before["items"]) == 3, f"three brokers, and told of {before['items']}")
        began = time.monotonic()
        cluster.add(4)
        up = time.monotonic() - began
        share = partitions / 4
        joined = wait_for("the fourth carries its share", SHARED_WITHIN_S,
                          lambda: led_by(cluster, "idle", 1).get(4, 0) >= 0.9 * share)
        after = balance(cluster.address(4), "--dry-run")
        shares = {item["broker"]: float(item["share_percent"]) for item in after["items"]}
        check(all(abs(one - 25) <= 5 for one in shares.values()), f"shares: {shares}")
        check(max(led_by(cluster, TOPIC, 1).values()) <= 5, f"the busy ones: {led_by(cluster, TOPIC, 1)}")
        time.sleep(1)
        told = settle(cluster, load, member, began)

        led = led_by(cluster, "idle", 1)
        cluster.houses[3].kill()
        wait_for("others take over", 15, lambda: 3 not in led_by(cluster, "idle", 1))
        time.sleep(1)
        cluster.houses[3].start()
        returned = wait_for("its leaders come back", SHARED_WITHIN_S,
                            lambda: led_by(cluster, "idle", 1).get(3, 0) == led[3])
        reasons = reasons_of(cluster)
        check(any("preferred leader" in one for one in reasons), f"the reasons: {reasons[:3]}")
        return (f"{partitions} idle partitions and 12 busy ones: a fourth broker (ready after {up:.1f} s) had its share "
                f"{joined:.1f} s later, shares {shares}; {told}; {led[3]} leaders came back {returned:.1f} s after a return")


def dry_run_moves_nothing():
    with Brokers(settings={**SETTINGS, "auto.leader.rebalance.enable": "false"}) as cluster:
        create_topic(cluster.address(1), "idle", 60)
        cluster.add(4)
        time.sleep(3)
        before = cluster.leaders("idle", 1)
        check(4 not in before.values(), "it is balanced although that is off")
        plan = balance(cluster.address(4), "--dry-run")
        check(len(plan["moves"]) >= 13, f"{len(plan['moves'])} moves to a broker without leaders")
        check(all(move["to"] == 4 and move["reason"] for move in plan["moves"]), f"moves: {plan['moves'][:2]}")
        time.sleep(1)
        check(cluster.leaders("idle", 1) == before, "a dry run has moved something")
        done = balance(cluster.address(3))
        # The partition of the events may be among them.
        idle = sum(move["topic"] == "idle" for move in done["moves"])
        took = wait_for("the moves are made", 10, lambda: led_by(cluster, "idle", 1).get(4, 0) == idle)
        check(not balance(cluster.address(2), "--dry-run")["moves"], "something is left to move")
        return f"{len(plan['moves'])} moves planned, none made; on demand in {took:.2f} s. {plan['moves'][0]['reason']}"


def metric(address, name):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().split("\n")
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def reads_nearby():
    """A consumer that names its rack reads what is uploaded there, the rest at the leader, and has no hole in between."""
    ports = {number: f"127.0.0.1:{free_port()}" for number in (1, 2, 3)}
    settings = {**SETTINGS, "paceline.balance.enabled": "false", "paceline.upload.age.ms": 300}
    with Brokers(settings=settings, each=lambda number: {"broker.rack": f"rack-{number}",
                                                         "paceline.admin.listen": ports[number]}) as cluster:
        create_topic(cluster.address(1), TOPIC, 1)
        leader = cluster.leaders(TOPIC, 1)[0]
        near = leader % 3 + 1
        producer = Producer({"bootstrap.servers": cluster.addresses, "enable.idempotence": True, "log_level": 0})
        consumer = Consumer({"bootstrap.servers": cluster.addresses, "group.id": "near", "client.rack": f"rack-{near}",
                             "auto.offset.reset": "error", "enable.auto.commit": False, "log_level": 0})
        sent, got = 0, []

        def produce(count):
            nonlocal sent
            for _ in range(count):
                producer.produce(TOPIC, b"%08d" % sent + bytes(1000), partition=0)
                sent += 1
            check(producer.flush(20) == 0, "records are not answered")

        def consume(until, seconds):
            end = time.monotonic() + seconds
            while len(got) < until and time.monotonic() < end:
                for message in consumer.consume(500, 0.1):
                    check(message.error() is None, f"the consumer was told: {message.error()}")
                    got.append(message)
            check(len(got) == until, f"{len(got)} of {until} records within {seconds} s")

        for _ in range(6):
            produce(1000)
            time.sleep(0.5)
        consumer.assign([TopicPartition(TOPIC, 0, 0)])
        began = time.monotonic()
        consume(sent, 30)
        took = time.monotonic() - began
        history, tail_from = metric(ports[near], "paceline_nearby_reads_total"), sent
        for _ in range(10):
            produce(10)
            consume(sent, 20)
        check([message.offset() for message in got] == list(range(sent)), "not in a row")
        check(all(message.value()[:8] == b"%08d" % i for i, message in enumerate(got)), "another record")
        consumer.close()
        sent_away = metric(ports[leader], "paceline_sent_nearby_total")
        check(sent_away >= 1 and history >= 1, f"the leader sent {sent_away} away, {history} reads were served nearby")
        return (f"{tail_from} records in {took:.2f} s, {history:.0f} fetches of them served in the consumer's rack; then "
                f"{sent - tail_from} as they came")


def main():
    parser = argparse.ArgumentParser(description="each broker carries its share")
    parser.add_argument("--partitions", type=int, default=300)
    options = parser.parse_args()
    began, table = time.monotonic(), Table("balance")
    print(f"balance: {binary()}", flush=True)
    table.case("a broker joins, one returns", lambda: joins_and_returns(options.partitions))
    table.case("a dry run, and one on demand", dry_run_moves_nothing)
    table.case("a consumer reads in its rack", reads_nearby)
    return table.finish(began)


if __name__ == "__main__":
    sys.exit(main())
