#!/usr/bin/python3
"""Three brokers on one etcd and one shared folder, an idempotent producer, and the death of a broker: by kill -9, in silence,
without its guardian. Others take over what it led, with everything acknowledged: each record once, at the offset that was told.

  failover.py [--rounds N] [--only WORD]
"""
import argparse
import os
import signal
import struct
import sys
import threading
import time

from brokers import Brokers, Follower, expect_once, expect_order, guardian_of, now_ms, wait_until_gone
from confluent_kafka import Consumer, Producer, TopicPartition
from harness import binary, check
from rig import Table, create_topic
from wire import Silent, Wire

PARTITIONS, TOPIC = 12, "moved"
# The lease, which etcd may take a second longer to end, and then a takeover: whatever notices fails.
BACK_WITHIN_S = 20
STOPPED_S = 5
ASKED = b"asked by hand"  # by no producer, so in no order with theirs
AT_ONCE = {"refused", "told_by_guardian"}


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

    def run_in(self):
        """Until everybody has answered: the library may take a second until it has its producer's id."""
        end = time.monotonic() + 10
        while len({partition for partition, _ in self.acked}) < PARTITIONS:
            check(time.monotonic() < end, f"{len(self.acked)} of {self.sent} records are answered")
            self.run(0.1)

    def settle(self):
        began = time.monotonic()
        left = self.producer.flush(BACK_WITHIN_S)
        check(left == 0, f"{left} of {self.sent} records are not answered {BACK_WITHIN_S} s later")
        check(not self.refused, f"refused: {self.refused[:3]}")
        return time.monotonic() - began


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
    return {place: value for place, value in got.items() if value != ASKED}


def judge(brokers, load):
    load.settle()
    got = read_all(brokers.addresses, load.acked)
    wrong = [place for place, value in load.acked.items() if got.get(place) != value]
    check(not wrong, f"{len(wrong)} acknowledged records are not there: {wrong[:3]}")
    check(len(set(got.values())) == len(got), "a record is there twice")
    for partition in range(PARTITIONS):
        values = [value for place, value in sorted(got.items()) if place[0] == partition]
        check(values == sorted(values), f"partition {partition} is out of order")
    for house in brokers.houses.values():
        house.expect_alive("in the end")


def expect_timeline(brokers, lane, evidence):
    """All steps of one failover are in the topic of events, from all brokers, once each, in order, with their figures."""
    both = len(brokers.numbers) - 1
    told = brokers.wait_timeline(lane, {
        "broker.noticed": 1, "broker.fenced": 1, "lane.sealed": both, "lane.recovered": both, "partition.serving": both,
        "partition.first_served": 1, "lane.uploaded": both, "lane.collected": 1}, 30)
    expect_once(told)
    # A successor may hear of the fence before the one whose transaction it was has its answer.
    expect_order(told, "broker.noticed", "broker.fenced", "lane.uploaded")
    # Whoever gets nothing serves nothing, at once.
    told = [event for event in told if event["type"] != "partition.serving" or event["figures"]["partitions"] > 0]
    expect_order(told, "broker.noticed", "lane.sealed", "lane.recovered", "partition.serving", "lane.uploaded", "lane.collected")
    expect_order(told, "lane.recovered", "partition.first_served")
    by_type = {}
    for event in told:
        by_type.setdefault(event["type"], []).append(event)
    check({event["figures"]["evidence"] for event in by_type["broker.noticed"]} <= evidence, "another evidence")
    check(len(by_type["broker.fenced"]) == 1, "fenced more than once")
    check(by_type["broker.fenced"][0]["figures"]["revision"] > 0, "no transaction has fenced")
    check(sum(event["figures"]["partitions"] for event in by_type["partition.serving"]) >= 1, "nothing is served")
    # Whoever was told by another heir may have no directory to read either.
    listeners = {event["source"] for event in by_type["lane.sealed"] if "told_by" in event["figures"]}
    check(all(event["figures"]["requests"] > 0 or event["source"] in listeners for event in by_type["lane.recovered"]),
          "recovered without a request")
    check(any(event["figures"]["bytes"] > 0 for event in by_type["lane.recovered"]), "recovered without a byte")
    check(all(event["unit"] == "ms" for event in by_type["lane.sealed"] + by_type["lane.recovered"]), "without a time")
    return len(told)


def begin(brokers):
    create_topic(brokers.address(1), TOPIC, PARTITIONS)
    end = time.monotonic() + 5
    while set((now := brokers.leaders(TOPIC)).values()) != set(brokers.numbers):  # whoever is asked may hear of it a moment later
        check(time.monotonic() < end, f"not everybody leads: {now}")
    load = Load(brokers.addresses)
    load.run_in()
    return load


def expect_evidence(brokers, victim, since, wanted):
    """Somebody has noticed, by evidence of that kind, and one has fenced, before others noticed or not. The evidence."""
    others = [number for number in brokers.numbers if number != victim]

    def fences():
        return [event for number in others for event in brokers.events(number, "broker.fenced", since)]
    end = time.monotonic() + 5
    while not fences() and time.monotonic() < end:
        time.sleep(0.02)
    notices = brokers.notices(others, since)
    check(notices, f"nobody has noticed the end of broker {victim}")
    seen = {notice["evidence"] for notice in notices}
    check(seen <= wanted, f"the evidence was {seen}")
    check(len(fences()) == 1, f"fenced {len(fences())} times: {fences()}")
    return notices


def killed_in_turn(options):
    with Brokers() as brokers:
        load, slowest, seen, lanes, steps = begin(brokers), 0.0, [], [], 0
        follower = Follower(brokers)
        for turn in range(options.rounds):
            victim = brokers.numbers[turn % len(brokers.numbers)]
            house = brokers.houses[victim]
            load.run(1)
            since, guardian = now_ms(), guardian_of(house)
            check(guardian is not None, f"broker {victim} has no guardian")
            house.kill()
            load.run(1)
            slowest = max(slowest, load.settle())
            wait_until_gone(guardian)
            seen += expect_evidence(brokers, victim, since, AT_ONCE)
            lanes.append(f"{victim}.{turn // len(brokers.numbers) + 1}")
            steps += expect_timeline(brokers, lanes[-1], AT_ONCE)
            now = brokers.leaders(TOPIC, victim % 3 + 1)
            check(victim not in now.values(), f"broker {victim} is dead and leads: {now}")
            house.start()
        load.run(1)
        judge(brokers, load)
        told = brokers.timeline()
        check({lane for lane in lanes} <= {event["cause_id"] for event in told}, "a failover is missing at the end")
        followed = follower.finish()
        kinds = sorted({notice["evidence"] for notice in seen})
        return (f"{len(load.acked)} records, {options.rounds} brokers killed, evidence: {', '.join(kinds)}; "
                f"{steps} events of them, {followed} followed; all answered {slowest:.1f} s after a death's load at most")


def silent(_options):
    """SIGSTOP: a second broker confirms the silence. Whoever wakes up has been fenced: it says so, acknowledges nothing, ends."""
    with Brokers() as brokers:
        load, victim = begin(brokers), 2
        house = brokers.houses[victim]
        load.run(1)
        partition = next(index for index, leader in brokers.leaders(TOPIC).items() if leader == victim)
        since, answers = now_ms(), []
        with Wire(house.address, STOPPED_S + BACK_WITHIN_S) as wire:
            os.kill(house.child.pid, signal.SIGSTOP)
            asking = threading.Thread(target=lambda: answers.append(ask(wire, partition)))
            asking.start()
            load.run(STOPPED_S)
            notices = expect_evidence(brokers, victim, since, {"silent"})
            check(all(notice["confirmed_by"] != victim for notice in notices), f"not confirmed: {notices}")
            now = brokers.leaders(TOPIC, 1)
            check(victim not in now.values(), f"the silent broker leads: {now}")
            with Wire(brokers.address(now[partition])) as other:
                check(ask(other, partition) == 0, "its successor does not serve")
            # Requests that are on their way to it wait for it, or for their time-out.
            os.kill(house.child.pid, signal.SIGCONT)
            asking.join()
        slowest = load.settle()
        check(answers[0] != 0, "a fenced broker acknowledged a record")
        status = house.child.wait(BACK_WITHIN_S)
        check(status == 1, f"the fenced broker ended with {status}")
        # By metadata, or by its log, whichever it looks at first.
        check("was fenced" in house.said() or "was sealed" in house.said(), f"it does not say that it was fenced: {house.tail()}")
        house.child = None
        house.start()
        load.run(1)
        judge(brokers, load)
        silence = max(notice["silent_ms"] for notice in notices)
        return f"{len(load.acked)} records; noticed after {silence:.0f} ms of silence, answered {slowest:.1f} s after it woke up"


def ask(wire, partition):
    """The error of one produce request; None if nothing came."""
    try:
        return wire.produce(TOPIC, partition, [(b"", ASKED)])[0]
    except (Silent, struct.error):
        return None


def without_guardian(_options):
    """A guardian that dies is missed by nobody; then the broken connection and a refused one are the evidence."""
    with Brokers() as brokers:
        load, victim = begin(brokers), 1
        house = brokers.houses[victim]
        guardian = guardian_of(house)
        os.kill(guardian, signal.SIGKILL)
        wait_until_gone(guardian)
        load.run(1)
        load.settle()
        house.expect_alive("without its guardian")
        since = now_ms()
        house.kill()
        load.run(1)
        slowest = load.settle()
        expect_evidence(brokers, victim, since, {"refused"})
        house.start()
        judge(brokers, load)
        return f"{len(load.acked)} records, answered {slowest:.1f} s after the load"


def stopped_as_planned(_options):
    """SIGTERM is no death: a goodbye, and the lease is given up."""
    with Brokers() as brokers:
        load, victim = begin(brokers), 3
        load.run(1)
        since = now_ms()
        brokers.houses[victim].stop()
        load.run(1)
        slowest = load.settle()
        # It gives its lease up, and the others take what it led, if that is anything.
        deaths = brokers.deaths((1, 2), since)
        check(not deaths, f"a planned stop was taken for a death: {deaths}")
        brokers.houses[victim].start()
        judge(brokers, load)
        return f"{len(load.acked)} records, answered {slowest:.1f} s after the load"


CASES = {"each broker in turn by kill -9": killed_in_turn, "five seconds of silence": silent,
         "a broker without its guardian": without_guardian, "a planned stop": stopped_as_planned}


def main():
    parser = argparse.ArgumentParser(description="leadership is taken from dead brokers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose title contains this")
    options = parser.parse_args()
    began, table = time.monotonic(), Table("failover")
    print(f"failover: {binary()}", flush=True)
    for title, case in CASES.items():
        if options.only in title:
            table.case(title, lambda body=case: body(options))
    return table.finish(began)


if __name__ == "__main__":
    sys.exit(main())
