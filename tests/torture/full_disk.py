#!/usr/bin/python3
"""Fills the disk under a broker that works, and gives the space back (row 26 of the fault table).

  full_disk.py [--quick] [--seed N] [--only TEXT]

While the disk is full a produce request must get an answer that clients try again on, or wait; a
broker must not end, and what it acknowledged stays. With space again it must go on by itself,
within GOES_ON seconds. Afterwards everything acknowledged is read, after a kill -9 too.
"""
import os
import random
import shutil
import sys
import time

from filesystem import SmallDisk
from rig import (TOPIC, Failed, Feeder, House, check, create_topic, error_name, judge_wholly,
                 read_and_judge, run_cases)
from wire import RETRIABLE

# The bound of the table is 5 s; uploads back off up to 5 s more.
GOES_ON = 12
MEMORY = {"paceline.memory.bytes": "1500000000"}
LOGGING = {**MEMORY, "paceline.upload.bytes": "1000000000", "paceline.upload.age.ms": "600000"}
UPLOADING = {**MEMORY, "paceline.upload.bytes": "500000", "paceline.upload.age.ms": "200"}
SEGMENT = 128 << 20


class Stage:
    """A broker on a small disk, with a topic."""

    def __init__(self, folder, settings, leave=None):
        self.house = House(folder, settings)
        self.disk = SmallDisk(self.house.data)
        if leave is not None:
            self.disk.fill(leave)
        self.house.start()
        create_topic(self.house.address)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.house.kill()
        self.disk.close()
        if os.environ.get("PACELINE_KEEP"):
            print(f"      kept {self.house.log}", flush=True)
            return
        shutil.rmtree(self.house.folder, ignore_errors=True)

    def newest_object(self):
        names = [name for _, _, names in os.walk(os.path.join(self.house.data, "objects")) for name in names
                 if not name.startswith(".")]
        return max(names, default="")

    def wait_for_upload(self, before):
        began = time.monotonic()
        while self.newest_object() <= before:
            check(time.monotonic() < began + GOES_ON, f"no upload within {GOES_ON} s after space came back")
            time.sleep(0.05)
        return time.monotonic() - began


def probe_full(feeder, seen):
    """What a produce request is told; only answers that clients try again on are right."""
    error = feeder.probe(timeout=3)
    seen.add("no answer within 3 s (back-pressure)" if error is None else
             "acknowledged" if error == 0 else error_name(error))
    check(error in RETRIABLE or error in (None, 0), f"on the full disk a produce request got {error_name(error)}")
    return error


def fill_the_log(folder, options):
    """The log fills the disk by itself: one segment fits, the next one does not."""
    with Stage(folder, LOGGING, leave=SEGMENT + (24 << 20)) as stage:
        house, disk = stage.house, stage.disk
        feeder = Feeder(house.address, options.seed, value_bytes=100000).start()
        seen, end = set(), time.monotonic() + 90
        while not seen - {"acknowledged"}:
            check(time.monotonic() < end, f"the log is not full after 90 s: {len(feeder.ledger)} records")
            house.expect_alive("before the disk was full")
            probe_full(feeder, seen)
            time.sleep(0.2)
        time.sleep(1)
        for _ in range(5):
            probe_full(feeder, seen)
        house.expect_alive("while the disk was full")
        before = len(feeder.ledger)
        verdict = read_and_judge(house.address, feeder.sent, list(feeder.ledger))
        check(not verdict.wrong and not verdict.refused,
              f"reading on the full disk: {verdict.wrong[:2]} {verdict.refused}")
        disk.free()
        seconds = feeder.wait_for(300, GOES_ON, "after space came back")
        feeder.stop()
        house.expect_alive("after space came back")
        judge_wholly(house, feeder, "at the end")
        return (f"{before} records filled it; then {', '.join(sorted(seen))}; goes on after {seconds:.1f} s; "
                f"{len(feeder.ledger)} records intact, {len(feeder.refused)} refused to the producer")


def start_when_full(folder, options):
    """Killed on the full disk and started on it: serves what it has, or waits and says so, or refuses."""
    with Stage(folder, LOGGING) as stage:
        house, disk = stage.house, stage.disk
        feeder = Feeder(house.address, options.seed).start()
        feeder.wait_for(500, 30, "before")
        feeder.stop()
        texts = []
        for leave in (4 << 20, 64 << 10, 0):
            disk.free()
            disk.fill(leave)
            house.kill()
            house.launch()
            texts.append(f"{leave >> 10} KiB left: {started_how(stage, feeder)}")
            disk.free()
            if house.child is None or not house.alive():
                house.child = None
                house.start()
            house.wait_ready(GOES_ON)
            began = time.monotonic()
            while feeder.probe(timeout=5) != 0:
                check(time.monotonic() < began + GOES_ON, f"{leave} bytes left: no record is taken within {GOES_ON} s "
                      "after space came back")
                time.sleep(0.1)
        judge_wholly(house, feeder, "at the end")
        return "; ".join(texts)


def started_how(stage, feeder):
    house = stage.house
    try:
        house.wait_ready(6)
    except Failed:
        if house.child is None:
            last = house.said().strip().split("\n")[-1]
            check(last.startswith("paceline: "), f"ended without a sentence: {last}")
            return f"refuses ({last})"
        lines = [line for line in house.said().split("\n") if " warning " in line or " error " in line]
        check(lines, "it waits for space without a word: neither ready nor ended after 6 s, and its log is silent")
        return f"waits ({lines[-1]})"
    verdict = read_and_judge(house.address, feeder.sent, feeder.ledger)
    check(not verdict.wrong and not verdict.refused, f"started on the full disk: {verdict.wrong} {verdict.refused}")
    seen = set()
    probe_full(feeder, seen)
    return f"serves, produce: {', '.join(seen)}"


def fill_during_uploads(folder, options):
    noise = random.Random(options.seed)
    rounds = 2 if options.quick else 12
    with Stage(folder, UPLOADING) as stage:
        house, disk = stage.house, stage.disk
        feeder = Feeder(house.address, options.seed, value_bytes=8000, pause=0.002).start()
        feeder.wait_for(100, 30, "before")
        seen, slowest = set(), 0
        for _ in range(rounds):
            disk.fill(noise.choice([0, 0, 4096, 40960, 300000]))
            end = time.monotonic() + noise.uniform(0.5, 2)
            while time.monotonic() < end:
                probe_full(feeder, seen)
                time.sleep(0.1)
            house.expect_alive("while the disk was full")
            newest = stage.newest_object()
            disk.free()
            slowest = max(slowest, stage.wait_for_upload(newest), feeder.wait_for(20, GOES_ON, "after space came back"))
        feeder.stop()
        house.expect_alive("after space came back")
        judge_wholly(house, feeder, "at the end")
        return (f"{rounds} times; produce: {', '.join(sorted(seen))}; goes on after at most {slowest:.1f} s; "
                f"{len(feeder.ledger)} records intact, {len(feeder.refused)} refused to the producer")


def fill_during_metadata(folder, options):
    """Topics are created until that fails, then there is space again."""
    from confluent_kafka import KafkaException
    noise = random.Random(options.seed)
    rounds = 3 if options.quick else 10
    with Stage(folder, UPLOADING) as stage:
        house, disk = stage.house, stage.disk
        feeder = Feeder(house.address, options.seed, value_bytes=500, pause=0.01).start()
        created, maybe, answers = set(), set(), set()
        number = 0
        for _ in range(rounds):
            disk.fill(noise.choice([0, 4096, 20480, 65536]))
            failed_at, end = None, time.monotonic() + 4
            while failed_at is None and time.monotonic() < end:
                name, number = f"made-{number:04d}", number + 1
                try:
                    create_topic(house.address, name, 1, timeout=4)
                    created.add(name)
                except KafkaException as error:
                    failed_at = name
                    maybe.add(name)
                    answers.add(error.args[0].name())
            house.expect_alive("while topics were created on the full disk")
            disk.free()
            began = time.monotonic()
            while failed_at is not None and failed_at not in created:
                try:
                    create_topic(house.address, failed_at, 1, timeout=5)
                    created.add(failed_at)
                except KafkaException as error:
                    if error.args[0].name() == "TOPIC_ALREADY_EXISTS":
                        created.add(failed_at)
                    check(time.monotonic() < began + GOES_ON,
                          f"topic {failed_at} cannot be created {GOES_ON} s after space came back: {error}")
                    time.sleep(0.1)
            feeder.wait_for(20, GOES_ON, "after space came back")
        check("UNKNOWN_SERVER_ERROR" not in answers and "UNKNOWN" not in answers,
              f"creating a topic on the full disk is answered {answers}")
        feeder.stop()
        house.expect_alive("after space came back")
        judge_wholly(house, feeder, "at the end")
        listed = topics_of(house.address)
        check(created <= listed, f"created topics are gone: {sorted(created - listed)[:5]}")
        extra = {name for name in listed - created - maybe - {TOPIC} if not name.startswith("__")}
        check(not extra, f"topics nobody created: {extra}")
        return (f"{rounds} times; creating a topic then: {', '.join(sorted(answers)) or 'always worked'}; "
                f"{len(created)} topics and {len(feeder.ledger)} records intact")


def topics_of(address):
    from confluent_kafka.admin import AdminClient
    return set(AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=10).topics)


CASES = {"the log fills the disk": fill_the_log, "started on a full disk": start_when_full,
         "full during uploads": fill_during_uploads, "full during metadata writes": fill_during_metadata}


if __name__ == "__main__":
    sys.exit(run_cases("full disk", "a full disk", "full", CASES))
