"""What the torture tests share: a broker on a folder of one's choice, a producer that keeps the
ledger, and the judgement of what can be read afterwards. The judge is the crash test's."""
import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("clients", "crash"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from clients import QUICK, value_of  # noqa: E402
from harness import SETTINGS, Broker, Failed, binary, check, free_port, run_check  # noqa: E402,F401
from judge import judge  # noqa: E402

from wire import Silent, Wire, error_name, read_partition  # noqa: E402,F401

TOPIC = "torture"
PARTITIONS = 4
# The producer leaves the last partition to single requests of which we want to know the answer.
PROBED = PARTITIONS
# A failed write of the log ends the process with this, and the next life recovers (ARCHITECTURE.md).
ENDS_DOCUMENTED = "the broker ends, because its log is lost"
CRASH_WORDS = ("CHECK(", "terminate called", "Sanitizer", "Segmentation", "runtime error", "Assertion")


class House(Broker):
    """A broker whose data is FOLDER/data and whose log stays outside of it."""

    def __init__(self, folder, settings=None):
        self.settings = {**SETTINGS, "num.partitions": str(PARTITIONS), **(settings or {})}
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = os.path.join(folder, "broker.log")
        self.child = None
        self.banner_from = 0

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    def said(self):
        """What this life has printed."""
        with open(self.log, "rb") as log:
            log.seek(self.banner_from)
            return log.read().decode(errors="replace")

    def ending(self):
        """None while it runs; else (status, its last words)."""
        if self.child is None or self.child.poll() is None:
            return None
        return self.child.returncode, self.said().strip().split("\n")[-1]

    def expect_alive(self, when):
        ending = self.ending()
        check(ending is None, f"the broker ended {when}: {ending}")


def crash_in(status, said):
    """A sentence if an end was a crash, else ''."""
    if status is not None and status < 0:
        return f"signal {-status}"
    found = [word for word in CRASH_WORDS if word in said]
    return f"it printed {found[0]}" if found else ""


class Feeder:
    """An idempotent producer in a thread. What is acknowledged is in `ledger`, in order."""

    def __init__(self, address, seed, value_bytes=0, in_flight=400, pause=0.0):
        self.address, self.seed, self.value_bytes = address, seed, value_bytes
        self.in_flight, self.pause = in_flight, pause
        self.sent, self.ledger, self.refused = [], [], []
        self.numbers = [0] * (PARTITIONS + 1)
        self.open = 0
        self.stopping = False
        self.fatal = ""
        self.thread = None

    def start(self):
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def run(self):
        from confluent_kafka import Producer
        noise = random.Random(self.seed)
        producer = Producer({"bootstrap.servers": self.address, "enable.idempotence": True, "acks": "all",
                             "linger.ms": 2, "message.timeout.ms": 600000, "retry.backoff.ms": 50,
                             "batch.size": 400000, "error_cb": self.on_error, "log_level": 0, **QUICK})
        while not self.stopping and not self.fatal:
            if self.open < self.in_flight:
                self.send(producer, noise)
                producer.poll(0)
                if self.pause:
                    time.sleep(self.pause)
            else:
                producer.poll(0.01)
        end = time.monotonic() + 40
        while self.open and not self.fatal and time.monotonic() < end:
            producer.poll(0.05)

    def send(self, producer, noise):
        record, value = self.next_record(noise.randrange(PARTITIONS), noise)

        def delivered(error, message):
            self.open -= 1
            if error is None:
                self.ledger.append({**record, "offset": message.offset()})
            else:
                self.refused.append(str(error))
        try:
            producer.produce(TOPIC, value, record["key"].encode(), record["partition"], on_delivery=delivered)
            self.open += 1
        except BufferError:
            pass

    def next_record(self, partition, noise):
        key = f"{partition}-{self.numbers[partition]:08d}"
        self.numbers[partition] += 1
        value = value_of(key, noise) if not self.value_bytes else key.encode() + noise.randbytes(self.value_bytes)
        record = {"topic": TOPIC, "partition": partition, "key": key, "sha256": hashlib.sha256(value).hexdigest()}
        self.sent.append(record)
        return record, value

    def on_error(self, error):
        if error.fatal():
            self.fatal = str(error)

    def stop(self):
        """Ends when everything is answered; fails if that takes too long."""
        self.stopping = True
        self.thread.join(60)
        check(not self.thread.is_alive() and not self.open and not self.fatal,
              f"the producer ended with {self.open} records unanswered {self.fatal}")

    def wait_for(self, more, timeout, why):
        """Until so many more records are acknowledged; the seconds that took."""
        began, goal = time.monotonic(), len(self.ledger) + more
        while len(self.ledger) < goal:
            check(time.monotonic() < began + timeout, f"{why}: {more - goal + len(self.ledger)} of {more} records "
                  f"acknowledged after {timeout} s {self.fatal}")
            time.sleep(0.02)
        return time.monotonic() - began

    def probe(self, partition=PROBED, count=1, timeout=10):
        """One produce request by hand: the error code, 0 if acknowledged, None if nothing came."""
        noise = random.Random(f"{self.seed} {self.numbers[partition]}")
        made = [self.next_record(partition, noise) for _ in range(count)]
        try:
            with Wire(self.address, timeout) as wire:
                error, base = wire.produce(TOPIC, partition, [(r["key"].encode(), value) for r, value in made])
        except Silent:
            return None
        if error == 0:
            self.ledger += [{**record, "offset": base + index} for index, (record, _) in enumerate(made)]
        return error

    def write_ledger(self, path):
        with open(path, "w") as file:
            file.writelines(json.dumps(record) + "\n" for record in self.ledger)


def create_topic(address, name=TOPIC, partitions=PARTITIONS + 1, timeout=20):
    from confluent_kafka.admin import AdminClient, NewTopic
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    admin.create_topics([NewTopic(name, partitions, 1)], request_timeout=timeout)[name].result(timeout + 5)


class Verdict:
    def __init__(self):
        self.wrong = []      # sentences; each is a failure
        self.refused = {}    # partition -> sentence
        self.missing = set()  # acknowledged places that are not there, and were allowed not to be

    def outcome(self):
        if not self.refused:
            return "intact" if not self.missing else f"last commit cut ({len(self.missing)} records)"
        codes = ", ".join(sorted(set(self.refused.values())))
        return f"{len(self.refused)} partitions refuse: {codes}"


def read_and_judge(address, sent, ledger, may_miss=frozenset(), partitions=PARTITIONS + 1):
    """Reads everything; each acknowledged record must be there, or its partition refuse it."""
    verdict = Verdict()
    acked_keys = {record["key"] for record in ledger}
    sums = {record["key"]: record["sha256"] for record in sent}
    history = {"sent": sent, "acked": [], "read": [], "final": [], "commits": [], "looks": []}
    for partition in range(partitions):
        acked = [record for record in ledger if record["partition"] == partition]
        last = max((record["offset"] for record in acked), default=-1)
        stride = max(1, len(acked) // 8)
        read = read_partition(address, TOPIC, partition, [record["offset"] for record in acked[::stride]])
        if read.hung:
            verdict.wrong.append(f"partition {partition} hangs: {read.hung}")
            continue
        got = {record["offset"]: record["key"] for record in read.records}
        if read.error:
            verdict.refused[partition] = read.error
            if read.error == "UNKNOWN_TOPIC_OR_PARTITION" and acked:
                verdict.wrong.append(f"partition {partition} is unknown")
            acked = [r for r in acked if r["offset"] < read.error_at or r["offset"] in got]
        elif read.end <= last and (partition, last) not in may_miss:
            verdict.wrong.append(f"partition {partition} ends at {read.end}, offset {last} was acknowledged")
        gone = {(partition, r["offset"]) for r in acked
                if got.get(r["offset"]) != r["key"] and (partition, r["offset"]) in may_miss}
        verdict.missing |= gone
        history["acked"] += [r for r in acked if (partition, r["offset"]) not in gone]
        # A probe that was given up may have been taken later: probes are no single producer's, so their
        # order is open, but not their bytes.
        history["final"] += [r for r in read.records if partition != PROBED or r["key"] in acked_keys
                             or sums.get(r["key"]) != r["sha256"]]
    history["read"] = history["final"]
    for name, sentences in judge(history).items():
        if sentences:
            verdict.wrong.append(f"{name}: {len(sentences)} ({sentences[0]})")
    return verdict


def judge_wholly(house, feeder, what):
    """Everything acknowledged is served; after kill -9 `check` proves it, and another life serves it."""
    for life in ("", "after a kill, "):
        verdict = read_and_judge(house.address, feeder.sent, feeder.ledger)
        check(not verdict.wrong, f"{what}: {life}{'; '.join(verdict.wrong[:3])}")
        check(not verdict.refused, f"{what}: {life}partitions refuse: {verdict.refused}")
        if not life:
            house.kill()
            path = os.path.join(house.folder, "ledger.jsonl")
            feeder.write_ledger(path)
            status, sentences, said = run_check(house.data, path)
            check(status == 0, f"{what}: check ended with {status}: {sentences[:2] or said[-300:]}")
            house.start()


class Table:
    """Rows that are printed as they come, and counted."""

    def __init__(self, name):
        self.name = name
        self.counts = {"ok": 0, "FAIL": 0, "limit": 0, "skip": 0}
        self.kinds = {}
        self.reasons = {}

    def row(self, result, kind, text, seconds=None):
        self.counts[result] += 1
        self.kinds.setdefault(kind, dict.fromkeys(self.counts, 0))[result] += 1
        took = f" ({seconds:.1f} s)" if seconds is not None else ""
        print(f"{result:5} {kind}: {text}{took}", flush=True)

    def case(self, kind, body):
        """Runs `body`, which gives a sentence, or raises Failed, or Skipped."""
        began = time.monotonic()
        try:
            result, text = "ok", body()
        except Skipped as skipped:
            result, text = "skip", str(skipped)
        except Failed as failed:
            result, text = "FAIL", str(failed)
        except Exception:  # whatever a client throws is a failed case
            result, text = "FAIL", traceback.format_exc(limit=-3).strip()
        self.row(result, kind, text, time.monotonic() - began)

    def explain(self, sentences):
        """Why a row is not ok: below the row, and once at the end."""
        for sentence in sentences:
            print(f"        {sentence}", flush=True)
        for sentence in {sentence.partition(": ")[2] if sentence.startswith("life ") else sentence
                         for sentence in sentences}:
            self.reasons[sentence] = self.reasons.get(sentence, 0) + 1

    def finish(self, began):
        counts = self.counts
        if self.reasons:
            print(f"{'kind':20} " + " ".join(f"{name:>6}" for name in counts))
            for kind, row in self.kinds.items():
                print(f"{kind:20} " + " ".join(f"{row[name]:6}" for name in counts))
            for sentence, count in sorted(self.reasons.items(), key=lambda item: -item[1]):
                print(f"{count:6} times: {sentence}")
        print(f"{self.name}: {counts['ok']} passed, {counts['FAIL']} failed, {counts['limit']} documented limits, "
              f"{counts['skip']} skipped, {time.monotonic() - began:.0f} s", flush=True)
        return 1 if counts["FAIL"] or not counts["ok"] + counts["skip"] else 0


def run_cases(name, description, scratch_name, cases):
    """The command line of a file whose cases are title -> body(data folder, options); its exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="cases whose title contains this")
    options = parser.parse_args()
    began, table = time.monotonic(), Table(name)
    print(f"{name}: seed {options.seed}", flush=True)
    for title, body in cases.items():
        if options.only and options.only not in title:
            continue
        folder = scratch(scratch_name)
        table.case(title, lambda: body(os.path.join(folder, "broker"), options))
        if not os.environ.get("PACELINE_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
    return table.finish(began)


class Skipped(Exception):
    """A case that cannot be played here, and why."""


def scratch(name):
    base = os.environ.get("PACELINE_TORTURE", "/tmp/paceline-torture")
    os.makedirs(base, exist_ok=True)
    return tempfile.mkdtemp(prefix=name + "-", dir=base)
