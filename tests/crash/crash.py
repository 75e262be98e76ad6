#!/usr/bin/python3
"""Kills the real broker at random moments under real clients, and judges what they saw.

  crash.py [--rounds 50] [--seconds-per-round 2] [--rate N] [--seed N] [--keep FOLDER]
  crash.py --disk-loss       the broker stands on etcd and a real store, and each death takes its data folder along
  crash.py --disk-loss --bad-day       and the store, seen through the fault proxy, has one
  crash.py --self-test       paceline-judge must find every anomaly in hand-made histories

Status 0 if paceline-judge finds nothing, and enough happened to say so.
"""
import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("clients", "stores"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from bad_histories import judge_files, self_test  # noqa: E402
from harness import Broker, Failed, binary, check, die_with_parent, run_check  # noqa: E402
from world import BAD_DAY, STORES, World, lose_disk  # noqa: E402

TOPIC = "crash"
GROUP = "crash-group"
PARTITIONS = 6
MEMBERS = (1, 2)
# A run with fewer acknowledged records than this a round has not tested anything.
ACKED_PER_ROUND_MIN = 1000
# Uploads happen within a round, so that crashes fall into them too.
SETTINGS = {"num.partitions": str(PARTITIONS), "paceline.upload.bytes": "8000000", "paceline.upload.age.ms": "700"}


CHECKED_WITHIN_S = 300
# Of a store that keeps everything in memory.
RATE, RATE_WITH_STORE = 80000, 15000


class Run:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.noise = random.Random(options.seed)
        self.broker = Broker(SETTINGS)
        self.world = World(options.store) if options.disk_loss else None
        self.disks_lost = 0
        self.clients = []
        self.looks = 0
        self.starts_ms = []

    def play(self):
        self.start()
        self.start_clients()
        for number in range(self.options.rounds):
            self.round(number)
        if self.world:
            self.world.proxy.rules()
        self.settle()
        # One more crash with nothing under way: what was acknowledged must be durable by itself.
        self.kill()
        self.broker.start()
        self.ask_everything()
        self.prove()

    def prove(self):
        """`paceline check` has the word when nobody runs any more: every offset once, every checksum, nothing half done."""
        self.broker.kill()
        began = time.monotonic()
        status, sentences, said = run_check(os.path.join(self.broker.folder, "data"), timeout=CHECKED_WITHIN_S,
                                            settings=self.broker.settings, environment=self.broker.environment)
        check(status == 0, f"check ended with {status}: {sentences[:3] or said[-300:]}")
        print(f"check, {time.monotonic() - began:.1f} s: {said.strip().splitlines()[-1]}", flush=True)

    def start(self):
        if self.world:
            self.world.start()
            self.world.put_before(self.broker, f"crash-{self.options.seed}")
        self.broker.start()
        if self.options.bad_day:
            self.world.proxy.rules(*BAD_DAY, seed=self.options.seed)

    def kill(self):
        """The end of a life. A broker without a disk of its own loses what it has of one."""
        self.broker.kill()
        if self.world:
            lose_disk(self.broker)
            self.disks_lost += 1

    def ask_everything(self):
        self.look().wait(60)
        self.end_client(self.client("final", "final", 0), 300, "the final reader")

    def client(self, role, name, number):
        command = [os.path.join(os.path.dirname(binary()), "crash-client"), role,
                   os.path.join(self.folder, name + ".ndjson"), os.path.join(self.folder, "stop-" + role),
                   self.broker.address, TOPIC, str(PARTITIONS), str(number), str(self.options.rate)]
        with open(os.path.join(self.folder, "clients.log"), "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    preexec_fn=die_with_parent)

    def look(self):
        """Somebody outside of the group asks what it has committed."""
        self.looks += 1
        return self.client("look", f"look-{self.looks}", 0)

    def start_clients(self):
        from confluent_kafka.admin import AdminClient, NewTopic
        admin = AdminClient({"bootstrap.servers": self.broker.address})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(20)
        self.clients = [self.client("producer", "producer", self.options.seed)]
        self.clients += [self.client("member", f"member-{number}", number) for number in MEMBERS]

    def round(self, number):
        """One life of the broker and its end, for every second one with a disk that forgets."""
        life = self.noise.uniform(0.1, self.options.seconds_per_round)
        if number > 0:
            life_of = {} if self.world else {"paceline__test__forget__unsynced": "true" if number % 2 else "false"}
            began = time.monotonic()
            self.broker.launch(**life_of)
            if self.noise.random() < 0.15:  # a crash during recovery
                time.sleep(self.noise.uniform(0.005, 0.5 if self.world else 0.1))
                self.kill()
                self.broker.launch(**life_of)
            self.broker.wait_ready(60)
            self.starts_ms.append((time.monotonic() - began) * 1000)
        look = self.look() if number % 3 == 0 else None
        time.sleep(life)
        check(self.broker.alive(), f"the broker ended by itself in round {number}: {self.broker.tail()}")
        for client in self.clients:
            check(client.poll() is None, f"a client ended with {client.returncode}; see clients.log in {self.folder}")
        self.kill()
        if look and look.poll() is None:  # it would ask the next life, and that may be soon enough
            look.kill()
            look.wait()
            cut_last_line(os.path.join(self.folder, f"look-{self.looks}.ndjson"))
        if (number + 1) % 10 == 0:
            print(f"round {number + 1}: {sum(self.ends().values())} records acknowledged", flush=True)

    def ends(self):
        """By partition: behind the highest acknowledged offset. As fast as the disk: the lines are many."""
        ends = dict.fromkeys(range(PARTITIONS), 0)
        with open(os.path.join(self.folder, "producer.ndjson"), encoding="ascii") as lines:
            for line in lines:
                sent = SENT.search(line)
                if sent and line.endswith("\n"):
                    key, count, base = map(int, sent.groups())
                    ends[key] = max(ends[key], base + count)
        return ends

    def settle(self):
        """The clients finish with a broker that stays: all is answered, read and committed."""
        if not self.broker.alive():
            self.broker.start(**({} if self.world else {"paceline__test__forget__unsynced": "true"}))
        open(os.path.join(self.folder, "stop-producer"), "w").close()
        self.end_client(self.clients[0], 120, "the producer")
        end, ends = time.monotonic() + 120, self.ends()
        while time.monotonic() < end and not self.group_has_reached(ends):
            time.sleep(0.3)
        check(self.group_has_reached(ends), "the group has not read everything within 120 s")
        open(os.path.join(self.folder, "stop-member"), "w").close()
        for client in self.clients[1:]:
            self.end_member(client)

    def group_has_reached(self, ends):
        look = self.look()
        look.wait(60)
        told = {}
        with open(os.path.join(self.folder, f"look-{self.looks}.ndjson"), encoding="ascii") as lines:
            for event in map(json.loads, lines):
                if event.get("event") == "committed":
                    told[event["key"]] = event["offset"]
        return all(told.get(key, -1) >= end for key, end in ends.items())

    def end_client(self, client, timeout, what):
        try:
            status = client.wait(timeout)
        except subprocess.TimeoutExpired:
            client.kill()
            raise Failed(f"{what} did not come to its end within {timeout} s") from None
        check(status == 0, f"{what} ended with {status}; see clients.log in {self.folder}")

    def end_member(self, member):
        try:
            self.end_client(member, 60, "a member")
        except Failed as failed:
            raise Failed(f"{failed}; to the broker the group is {self.group()}") from None

    def group(self):
        """What the broker says of it: whose members are gone has let them go, and their end is theirs."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient
        admin = AdminClient({"bootstrap.servers": self.broker.address})
        try:
            groups = admin.list_groups(GROUP, 10)
        except KafkaException as unknown:
            return f"unknown: {unknown}"
        return ", ".join(f"{group.state} with {len(group.members)} members" for group in groups) or "not there"

    def close(self):
        for client in self.clients:
            if client.poll() is None:
                client.kill()
            client.wait()
        if self.world:
            self.world.close()


SENT = re.compile(r'"key":(\d+),.*"count":(\d+),.*"outcome":"ok".*"base":(\d+)')


def cut_last_line(path):
    """What its writer was killed in the middle of; without a whole line there is no file."""
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        text = file.read()
    whole = text[:text.rfind(b"\n") + 1]
    if not whole:
        os.remove(path)
    elif whole != text:
        with open(path, "wb") as file:
            file.write(whole)


def report(folder, rounds):
    """Prints the verdict; False if something is wrong, or too little happened to judge."""
    files = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".ndjson"))
    status, said = judge_files(files)
    print(said.strip())
    counts = re.search(r"(\d+) records acknowledged.* (\d+) commits acknowledged, (\d+) times asked", said)
    if status != 0 or not counts:
        print(f"paceline-judge ended with {status}")
        return False
    acked, commits, looks = map(int, counts.groups())
    if acked < ACKED_PER_ROUND_MIN * rounds:
        print(f"too little: fewer than {ACKED_PER_ROUND_MIN} acknowledged records a round")
    if not commits or not looks:
        print("too little: the group never committed, or nobody looked at it")
    return acked >= ACKED_PER_ROUND_MIN * rounds and commits > 0 and looks > 0


def told_of_store(run):
    proxy = run.world.proxy
    print(f"{run.disks_lost} data folders lost; the store has seen {proxy.total('requests')} requests, "
          f"{proxy.total('bytes_in') / 1e6:.0f} MB in, {proxy.total('bytes_out') / 1e6:.0f} MB out; "
          f"{proxy.total('faults')} met a fault")


def main():
    parser = argparse.ArgumentParser(description="kill -9 under real clients")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seconds-per-round", type=float, default=2)
    parser.add_argument("--rate", type=int, help="records a second that the producer sends at most "
                        f"({RATE}, with --disk-loss {RATE_WITH_STORE})")
    parser.add_argument("--disk-loss", action="store_true", help="etcd, a real store, and no data folder after a death")
    parser.add_argument("--store", choices=STORES, default="ceph")
    parser.add_argument("--bad-day", action="store_true", help="with --disk-loss: the store is late, loses, refuses, damages")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--keep", help="leave histories and data in this folder")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return 1 if self_test() else 0
    options.rate = options.rate or (RATE_WITH_STORE if options.disk_loss else RATE)
    if options.bad_day and not options.disk_loss:
        parser.error("--bad-day is one of the store of --disk-loss")
    folder = options.keep or tempfile.mkdtemp(prefix="paceline-crash-")
    os.makedirs(folder, exist_ok=True)
    run = Run(options, folder)
    print(f"crash: {options.rounds} rounds of at most {options.seconds_per_round} s, seed {options.seed}", flush=True)
    failure = None
    began = time.monotonic()
    try:
        run.play()
        if run.world:
            told_of_store(run)
    except Failed as failed:
        failure = str(failed)
    finally:
        run.broker.kill()
        run.close()
    bad = not report(folder, options.rounds) or failure is not None
    starts = sorted(run.starts_ms)
    if starts:
        print(f"starts after a crash: median {starts[len(starts) // 2]:.0f} ms, slowest {starts[-1]:.0f} ms")
    if failure:
        print(f"failed: {failure}")
    if bad or options.keep:
        shutil.copytree(run.broker.folder, os.path.join(folder, "broker"), dirs_exist_ok=True)
        print(f"kept in {folder}: the histories, clients.log, broker/data; paceline-judge {folder}/*.ndjson")
    else:
        shutil.rmtree(folder)
    run.broker.close()
    print(f"crash: {options.rounds} rounds, seed {options.seed}, {time.monotonic() - began:.0f} s: "
          f"{'FAILED' if bad else 'passed'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
