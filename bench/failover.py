#!/usr/bin/python3
"""The death of a broker, again and again: how long until the others serve what it led, in which phase, and what a client of
librdkafka sees of it.

  bench/failover.py [--rounds 20] [--brokers 3] [--dead 1] [--partitions 1000] [--tail-mib 8] [--retained-mib 0]
                    [--resident-mib 0] [--silent] [--store] [--clients 0] [--librdkafka debian|2.15]

Each round makes a topic that is spread over the brokers, with PARTITIONS on each and records in all of them that are uploaded, of
RETAINED MiB together; RESIDENT MiB go to each of the victims alone, which keeps them in its log cache; then the tail is written to what the victims lead, and they are killed at once: by SIGKILL, or with --silent
stopped. Probes, one for each survivor, send a produce request to each of a few of the victims' partitions every 5 ms
until it is acknowledged: that, minus the moment of the kill, is *our part*. Phases are told by the survivors' events, by the wall
clock in milliseconds. Of etcd it is told how much the fence writes. --store: log and objects in Ceph RGW on this machine instead
of folders, behind a proxy for each broker: what a failover reads and writes there, and what plain requests of these sizes take.

--clients: so many producers of librdkafka with its defaults instead, each with a partition of the victim and a record every 5 ms:
the longest that one of them waited for an answer. Every other round is then the *floor*: the partitions are led by a survivor
already when the victim dies, and clients still send to the victim, as after a takeover that takes no time.

Prints figures, judges nothing.
"""
import argparse
import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))

from brokers import Brokers, at_ms, now_ms  # noqa: E402
from ceph import Ceph  # noqa: E402
from confluent_kafka import Producer, libversion  # noqa: E402
from confluent_kafka.admin import AdminClient, NewPartitions  # noqa: E402
from failover_costs import Counted, Writes, revision_of  # noqa: E402
from harness import binary, check  # noqa: E402
from peers import use_librdkafka_2_15  # noqa: E402
from probes import GIVE_UP_S, OpenLoop, summary  # noqa: E402
from rig import create_topic  # noqa: E402
from wire import Silent, Wire  # noqa: E402

QUESTIONS = 16  # of all probes at a time
UPLOAD_AGE_MS = 2000
EVERY_S = 0.005  # a record of a client, a question of a probe: more would take a core from who is probed


def produce(addresses, topic, partitions, value):
    """One record to each; returns when all are acknowledged."""
    refused = []
    producer = Producer({"bootstrap.servers": addresses, "linger.ms": 5, "log_level": 0, "message.max.bytes": 8 << 20,
                         "queue.buffering.max.messages": 1000000, "queue.buffering.max.kbytes": 1 << 20})
    for partition in partitions:
        while True:
            try:
                producer.produce(topic, value, partition=partition,
                                 on_delivery=lambda error, _: error and refused.append(str(error)))
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    check(producer.flush(120) == 0 and not refused, f"not all is acknowledged: {refused[:2]}")


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
            time.sleep(EVERY_S)


def phases(brokers, survivors, since):
    """Milliseconds after the kill, of the survivor that was first or last; and what the survivors read, in bytes."""
    def found(name):
        return [event for number in survivors for event in brokers.events(number, name, since)]
    names = {"noticed": ("broker.noticed", min), "fenced": ("broker.fenced", min),
             "lanes listed": ("lane.listed", max), "directories read": ("lane.directories_read", max),
             "sealed": ("lane.sealed", max), "estate read": ("lane.recovered", max), "all served": ("partition.serving", max)}
    end = time.monotonic() + 5
    while len(found("partition.serving")) < len(survivors) and time.monotonic() < end:
        time.sleep(0.05)
    told = {title: pick(at_ms(event) - since for event in events) for title, (name, pick) in names.items() if (events := found(name))}
    opened = [at_ms(event) - since - event["value"] + event["figures"]["first_us"] / 1000 for event in found("partition.serving")]
    if opened:
        told["first open"] = round(min(opened))
    read = [event["figures"] for event in found("lane.recovered")]
    return told, sum(one["log_bytes"] for one in read), sum(one["directory_bytes"] for one in read)


def end_of(brokers, victims, silent):
    """Kills them; etcd's revision before it, the moment of it, and the same by the wall clock in ms."""
    at = revision_of(brokers.etcd), time.monotonic(), now_ms()
    for victim in victims:
        brokers.houses[victim].child.send_signal(signal.SIGSTOP if silent else signal.SIGKILL)
    return at


def our_part(brokers, survivors, victims, topic, led, options, _number):
    sampled, served = random.sample(led, min(QUESTIONS // len(survivors), len(led))), {}
    probes = [Probe(brokers.address(other), topic, sampled, served) for other in survivors]
    for probe in probes:
        probe.start()
    write_tail(brokers, victims, topic, led, options)
    revision, killed, since = end_of(brokers, victims, options.silent)
    for probe in probes:
        probe.goes.set()
    for probe in probes:
        probe.join()
        probe.wire.close()
    took = sorted((at - killed) * 1000 for at in served.values())
    check(len(took) == len(sampled), f"{len(sampled) - len(took)} partitions were not served within {GIVE_UP_S} s")
    return "our part", took, since, revision


def move(address, partition, to):
    done = subprocess.run([binary(), "leader", "move", partition, "--to", str(to), "-b", address], capture_output=True, text=True,
                          timeout=60)
    check(done.returncode == 0, f"{partition} cannot be moved: {done.stderr}")


def seen_by_clients(brokers, survivors, victims, topic, led, options, number):
    mine = random.sample(led, min(options.clients, len(led)))
    clients = [OpenLoop(brokers.addresses, topic, [partition], EVERY_S) for partition in mine]
    for client in clients:
        client.start()
    time.sleep(2)
    write_tail(brokers, victims, topic, led, options)
    floor = number % 2 == 1
    if floor:
        for one in mine:
            move(brokers.address(survivors[0]), f"{topic}:{one}", survivors[0])
    revision, killed, since = end_of(brokers, victims, options.silent)
    time.sleep(3)
    waited = []
    for client in clients:
        client.finish()
        waited += client.longest_ms(killed - 0.1, killed + GIVE_UP_S).values()
    return "floor" if floor else "seen", sorted(waited), since, revision


def write_tail(brokers, victims, topic, led, options):
    tail = options.tail_mib << 20
    if tail:
        produce(",".join(brokers.address(victim) for victim in victims), topic, led, os.urandom(tail * len(victims) // len(led)))


def make_topic(address, topic, count):
    """In steps: 10,000 partitions are the most that one request may make."""
    at = min(count, 10_000)
    create_topic(address, topic, at, 60)
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    while at < count:
        at = min(count, at + 10_000)
        admin.create_partitions([NewPartitions(topic, at)], request_timeout=60)[topic].result(60)


def write_retained(brokers, topic, leaders, mib):
    """In pieces of at most a mebibyte, over all partitions."""
    bytes_each = (mib << 20) // len(leaders)
    for _ in range(max(1, bytes_each >> 20)):
        produce(brokers.addresses, topic, leaders, os.urandom(max(100, min(bytes_each, 1000 << 10))))


def resident_mib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def one_round(brokers, number, options, store, writes):
    if store:
        store.begin()
    topic, count = f"round{number}", len(brokers.numbers)
    victims = [brokers.numbers[(number + i) % count] for i in range(options.dead)]
    survivors = [other for other in brokers.numbers if other not in victims]
    make_topic(brokers.address(survivors[0]), topic, options.partitions * count)
    leaders = brokers.leaders(topic, survivors[0])
    led = [partition for partition, leader in leaders.items() if leader in victims]
    write_retained(brokers, topic, leaders, options.retained_mib)
    if options.resident_mib:
        write_retained(brokers, topic, led, options.resident_mib * len(victims))
    # All is uploaded, and the disk has come to rest.
    time.sleep(UPLOAD_AGE_MS / 1000 * 1.5 + (options.retained_mib + options.resident_mib * len(victims)) / 100)
    measure = seen_by_clients if options.clients else our_part
    resident = max(resident_mib(brokers.houses[victim].child.pid) for victim in victims)
    name, took, since, before = measure(brokers, survivors, victims, topic, led, options, number)
    evidence = sorted({notice["evidence"] for notice in brokers.notices(survivors, since)})
    told, log_bytes, directory_bytes = phases(brokers, survivors, since)
    found = {name: [event for other in survivors for event in brokers.events(other, name, since)]
             for name in ("broker.fenced", "lane.sealed")}
    writes.note(before, found["broker.fenced"], revision_of(brokers.etcd))
    words = ""
    if store and name != "floor":
        lanes = {other: brokers.events(other)[-1]["source"].partition("/")[0] for other in survivors}
        words = "\n" + store.note(survivors, lanes, found["lane.sealed"], since, since + told["all served"])
    for victim in victims:
        brokers.houses[victim].kill()
    for victim in victims:
        brokers.houses[victim].start()
    admin = AdminClient({"bootstrap.servers": brokers.addresses, "log_level": 0})
    admin.delete_topics([topic])[topic].result(30)
    print(f"round {number:3}: {name}: first {took[0]:6.1f}  last {took[-1]:6.1f} ms of {len(took)} samples of {len(led)}, {resident} MiB resident   "
          + "  ".join(f"{title} {at}" for title, at in told.items()) + f"   {', '.join(evidence)}{words}", flush=True)
    return name, took, {} if options.clients else told, log_bytes, directory_bytes


def main():
    parser = argparse.ArgumentParser(description="how long a failover takes")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--dead", type=int, default=1, help="at once")
    parser.add_argument("--partitions", type=int, default=1000, help="on each broker")
    parser.add_argument("--tail-mib", type=int, default=8, help="of each victim, not uploaded at the moment of death")
    parser.add_argument("--retained-mib", type=int, default=0, help="of the topic, uploaded")
    parser.add_argument("--resident-mib", type=int, default=0, help="in each victim's log cache at the moment of death")
    parser.add_argument("--silent", action="store_true", help="SIGSTOP instead of SIGKILL")
    parser.add_argument("--store", action="store_true", help="log and objects in Ceph RGW")
    parser.add_argument("--clients", type=int, default=0, help="producers that look on, instead of probes")
    parser.add_argument("--librdkafka", choices=("debian", "2.15"), default="debian")
    options = parser.parse_args()
    if options.librdkafka == "2.15":
        use_librdkafka_2_15()
    print(f"failover: {binary()}, {options.dead} of {options.brokers} brokers {'stand still' if options.silent else 'die'}, "
          f"{options.partitions} partitions on each, {options.tail_mib} MiB of tail, {options.retained_mib} MiB retained, "
          f"{'Ceph RGW' if options.store else 'folders'}, librdkafka {libversion()[0]}", flush=True)
    took, told, read = {}, {}, []
    settings = {"paceline.upload.age.ms": UPLOAD_AGE_MS, "offsets.topic.num.partitions": 3, "paceline.balance.enabled": "false"}
    if options.resident_mib:
        settings["paceline.memory.bytes"] = options.resident_mib * 6 << 20  # the log cache has 3/16 of it
    with contextlib.ExitStack() as stack:
        ceph = stack.enter_context(Ceph()) if options.store else None
        store = stack.enter_context(Counted(ceph, range(1, options.brokers + 1))) if ceph else None
        brokers = Brokers(options.brokers, settings=settings, base=os.environ.get("PACELINE_BENCH"), store=ceph, each=lambda number: {
            "paceline.objects": store.url(number, os.path.basename(brokers.folder))} if store else {})
        stack.enter_context(brokers)
        writes = Writes(brokers.etcd)
        for number in range(options.rounds):
            name, of_round, phases_of_round, log_bytes, directory_bytes = one_round(brokers, number, options, store, writes)
            took.setdefault(name, []).extend(of_round)
            read.append((log_bytes, directory_bytes))
            for title, at in phases_of_round.items():
                told.setdefault(title, []).append(at)
        for name, values in took.items():
            print(f"{name}: {summary(values)}")
        for title, values in told.items():
            print(f"  {title:16} after  {summary(values)}")
        survivors = options.brokers - options.dead
        for what, values in zip(("log", "directories"), zip(*read)):
            each = [value / survivors / 2**20 for value in values]
            print(f"read by a survivor, by its events: {statistics.median(each):.2f}, at most {max(each):.2f} MiB of {what}")
        writes.print_summary()
        if store:
            store.print_summary()
            store.print_store_itself()
    return 0


if __name__ == "__main__":
    sys.exit(main())
