#!/usr/bin/python3
"""Kills the real broker at random moments under real clients, and judges what they saw.

  crash.py [--rounds 50] [--seconds-per-round 2] [--seed N] [--keep FOLDER]
  crash.py --self-test       the judge must find every anomaly in hand-made histories
  crash.py --judge FOLDER    judges once more what a run has left in FOLDER

Status 0 if nothing was lost, doubled, reordered or went back, and enough happened to say so.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "clients"))

from harness import Broker, Failed, check, die_with_parent  # noqa: E402
from judge import ANOMALIES, judge, self_test  # noqa: E402

TOPIC = "crash"
PARTITIONS = 6
MEMBERS = ("one", "two")
# A run with fewer acknowledged records than this a round has not tested anything.
ACKED_PER_ROUND_MIN = 20
# Uploads happen within a round, so that crashes fall into them too.
SETTINGS = {"num.partitions": str(PARTITIONS), "paceline.upload.bytes": "2000000", "paceline.upload.age.ms": "700"}


def start_client(folder, *arguments):
    log = open(os.path.join(folder, "clients.log"), "ab")
    return subprocess.Popen(["/usr/bin/python3", os.path.join(HERE, "clients.py"), *map(str, arguments)],
                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)


def lines_in(path):
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:
        return [json.loads(line) for line in file.read().split(b"\n")[:-1]]


def load(folder):
    def of_all(kind):
        names = sorted(name for name in os.listdir(folder) if name.startswith(kind) and name.endswith(".jsonl"))
        return [record for name in names for record in lines_in(os.path.join(folder, name))]
    return {"sent": of_all("sent"), "acked": of_all("ledger"), "read": of_all("read"),
            "final": of_all("final"), "commits": of_all("commits"), "looks": of_all("looks")}


def append(folder, name, records):
    with open(os.path.join(folder, name + ".jsonl"), "ab") as file:
        file.write(b"".join(json.dumps(record).encode() + b"\n" for record in records))


def count_lines(path):
    return open(path, "rb").read().count(b"\n") if os.path.exists(path) else 0


class Run:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.noise = random.Random(options.seed)
        self.broker = Broker(SETTINGS)
        self.clients = []
        self.starts_ms = []

    def play(self):
        import clients
        self.broker.start()
        self.start_clients()
        for number in range(self.options.rounds):
            self.round(number, clients)
        self.settle(clients)
        # One more crash with nothing under way: what was acknowledged must be durable by itself.
        self.broker.kill()
        self.broker.start()
        append(self.folder, "looks-end", clients.look_at_group(self.broker.address, TOPIC, PARTITIONS))
        records, complete = clients.read_all(self.broker.address, TOPIC, PARTITIONS)
        append(self.folder, "final", records)
        check(complete, "the log could not be read to its end within 120 s")

    def start_clients(self):
        from confluent_kafka.admin import AdminClient, NewTopic
        admin = AdminClient({"bootstrap.servers": self.broker.address})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(20)
        common = (self.folder, self.broker.address, TOPIC, PARTITIONS)
        self.clients = [start_client(self.folder, "producer", *common, self.options.seed)]
        self.clients += [start_client(self.folder, "member", *common, name) for name in MEMBERS]

    def round(self, number, clients):
        """One life of the broker and its end, for every second one with a disk that forgets."""
        life = self.noise.uniform(0.1, self.options.seconds_per_round)
        if number > 0:
            forget = "true" if number % 2 else "false"
            began = time.monotonic()
            self.broker.launch(paceline__test__forget__unsynced=forget)
            if self.noise.random() < 0.15:  # a crash during recovery
                time.sleep(self.noise.uniform(0.005, 0.1))
                self.broker.kill()
                self.broker.launch(paceline__test__forget__unsynced=forget)
            self.broker.wait_ready(30)
            self.starts_ms.append((time.monotonic() - began) * 1000)
        end = time.monotonic() + life
        if number % 3 == 0:
            looks = clients.look_at_group(self.broker.address, TOPIC, PARTITIONS, timeout=max(life, 0.5))
            append(self.folder, "looks-outside", looks)
        time.sleep(max(0, end - time.monotonic()))
        check(self.broker.alive(), f"the broker ended by itself in round {number}: {self.broker.tail()}")
        for client in self.clients:
            check(client.poll() is None, f"a client ended with {client.returncode}; see clients.log in {self.folder}")
        self.broker.kill()
        if (number + 1) % 10 == 0:
            acked = count_lines(os.path.join(self.folder, "ledger.jsonl"))
            print(f"round {number + 1}: {acked} records acknowledged", flush=True)

    def settle(self, clients):
        """The clients finish with a broker that stays: all is answered, read and committed."""
        self.broker.start(paceline__test__forget__unsynced="true")
        open(os.path.join(self.folder, "stop-producer"), "w").close()
        self.end_client(self.clients[0], 90, "the producer")
        end, ends = time.monotonic() + 60, {}
        for record in lines_in(os.path.join(self.folder, "ledger.jsonl")):
            ends[record["partition"]] = max(ends.get(record["partition"], 0), record["offset"] + 1)
        while time.monotonic() < end:
            known = {look["partition"]: look["offset"] for look in
                     clients.look_at_group(self.broker.address, TOPIC, PARTITIONS)}
            if all(known.get(partition, -1) >= offset for partition, offset in ends.items()):
                break
            time.sleep(0.3)
        open(os.path.join(self.folder, "stop-members"), "w").close()
        for client in self.clients[1:]:
            self.end_client(client, 30, "a member")

    def end_client(self, client, seconds, who):
        try:
            status = client.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{who} did not end within {seconds} s") from None
        check(status == 0, f"{who} ended with {status}; see clients.log in {self.folder}")

    def close(self):
        for client in self.clients:
            if client.poll() is None:
                client.kill()
                client.wait()


def report(folder, rounds):
    """Prints the counts; the number of anomalies, or 1 if too little happened to judge."""
    history = load(folder)
    found = judge(history)
    refused = [note for note in lines_in(os.path.join(folder, "producer.jsonl")) if "key" in note]
    print(f"{len(history['sent'])} sent, {len(history['acked'])} acknowledged, {len(refused)} refused, "
          f"{len(history['final'])} read back; the group read {len(history['read'])}, "
          f"committed {len(history['commits'])} times and was looked at {len(history['looks'])} times")
    for note in sorted({note["error"] for note in refused}):
        print(f"  refused: {note}")
    for name, meaning in ANOMALIES.items():
        print(f"  {name:15} {len(found[name]):6}   {meaning}")
        for sentence in found[name][:5]:
            print(f"      {sentence}")
    bad = sum(map(len, found.values()))
    if len(history["acked"]) < ACKED_PER_ROUND_MIN * max(rounds, 1):
        print(f"too little: fewer than {ACKED_PER_ROUND_MIN} acknowledged records a round")
        bad += 1
    if not history["commits"] or not history["looks"]:
        print("too little: the group never committed, or nobody looked at it")
        bad += 1
    return bad


def main():
    parser = argparse.ArgumentParser(description="kill -9 under real clients")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seconds-per-round", type=float, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--keep", help="leave ledger, notes and data in this folder")
    parser.add_argument("--judge", help="judge the notes in this folder again")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return 1 if self_test() else 0
    if options.judge:
        return 1 if report(options.judge, 0) else 0
    folder = options.keep or tempfile.mkdtemp(prefix="paceline-crash-")
    os.makedirs(folder, exist_ok=True)
    run = Run(options, folder)
    print(f"crash: {options.rounds} rounds of at most {options.seconds_per_round} s, seed {options.seed}", flush=True)
    failure = None
    began = time.monotonic()
    try:
        run.play()
    except Failed as failed:
        failure = str(failed)
    finally:
        run.close()
        run.broker.kill()
    anomalies = report(folder, options.rounds)
    starts = sorted(run.starts_ms)
    if starts:
        print(f"starts after a crash: median {starts[len(starts) // 2]:.0f} ms, slowest {starts[-1]:.0f} ms")
    bad = bool(anomalies or failure)
    if failure:
        print(f"failed: {failure}")
    if bad or options.keep:
        shutil.copytree(run.broker.folder, os.path.join(folder, "broker"), dirs_exist_ok=True)
        print(f"kept in {folder}: ledger.jsonl, the other notes, broker/data; --judge judges them again")
    else:
        shutil.rmtree(folder)
    run.broker.close()
    print(f"crash: {options.rounds} rounds, seed {options.seed}, {time.monotonic() - began:.0f} s: "
          f"{'FAILED' if bad else 'passed'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
