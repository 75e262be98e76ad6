#!/usr/bin/python3
"""Takes the right to write away from a broker that works, and gives it back.

  read_only.py [--quick] [--seed N] [--only TEXT]

root may write whatever the modes say, so this is done with read-only mounts, with the attribute
"immutable", which also fails writes to files that are open, and by shutting an ext4 down. Allowed is
to wait and go on, to refuse with an error that clients try again on, and, where the log itself
cannot be written, to end with the documented sentence and come up again afterwards. Everything
acknowledged must be there at the end, after a kill -9 too.
"""
import os
import random
import shutil
import subprocess
import sys
import time

from filesystem import run
from full_disk import GOES_ON, LOGGING, UPLOADING, Stage
from rig import (ENDS_DOCUMENTED, Failed, Feeder, Skipped, check, crash_in, error_name, judge_wholly, run_check,
                 run_cases)
from wire import RETRIABLE


class BoundReadOnly:
    """New opens below the folder are of a read-only mount; what is open already can be written."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        run("mount", "--bind", self.folder, self.folder)
        run("mount", "-o", "remount,bind,ro", self.folder)

    def __exit__(self, *unused):
        # A lazy unmount: files opened meanwhile keep theirs.
        run("umount", "-l", self.folder)


class Immutable:
    """Nothing in these files and folders can be changed, open or not."""

    def __init__(self, *paths):
        self.paths = paths

    def __enter__(self):
        run("chattr", "-R", "+i", *self.paths)

    def __exit__(self, *unused):
        run("chattr", "-R", "-i", *self.paths)


class Watch:
    """What was seen while nothing could be written."""

    def __init__(self, stage, feeder):
        self.stage, self.feeder = stage, feeder
        self.answers, self.ended = set(), ""

    def look(self, seconds, log_writable):
        house, end = self.stage.house, time.monotonic() + seconds
        while time.monotonic() < end and not self.ended:
            error = self.feeder.probe(timeout=3)
            ending = house.ending()
            if ending is None:
                name = "no answer within 3 s" if error is None else "acknowledged" if error == 0 else error_name(error)
                self.answers.add(name)
                check(error in RETRIABLE or error in (None, 0), f"a produce request got {name}")
            else:
                self.note_end(ending, log_writable)
            time.sleep(0.1)

    def note_end(self, ending, log_writable):
        status, last = ending
        self.stage.house.child = None
        said = self.stage.house.said()
        crash = crash_in(status, said)
        check(not crash, f"the broker crashed: {crash}")
        last = next((line for line in said.split("\n") if ENDS_DOCUMENTED in line), last)
        check(ENDS_DOCUMENTED in last and status == 1, f"the broker ended with {status}: {last}")
        check(not log_writable, f"the broker ended, though its log could be written: {last}")
        self.ended = last

    def text(self):
        answers = ", ".join(sorted(self.answers)) or "nothing asked"
        return f"produce: {answers}" + (f"; ended: {self.ended[self.ended.find(ENDS_DOCUMENTED):][:160]}"
                                        if self.ended else "; stays up")


def go_on(stage, feeder, watch, uploads=True):
    """By itself, or, if it has ended as documented, in its next life."""
    began = time.monotonic()
    if watch.ended:
        stage.house.start()
    newest = stage.newest_object()
    feeder.wait_for(50, GOES_ON, "with the right to write again")
    if uploads:
        stage.wait_for_upload(newest)
    stage.house.expect_alive("with the right to write again")
    feeder.stop()
    seconds = time.monotonic() - began
    judge_wholly(stage.house, feeder, "at the end")
    return f"{watch.text()}; goes on within {seconds:.1f} s; {len(feeder.ledger)} records intact"


def begin(stage, options):
    stage.disk.need_ext4()
    feeder = Feeder(stage.house.address, options.seed, value_bytes=4000, pause=0.003).start()
    feeder.wait_for(100, 30, "before")
    return feeder


def bound_while_running(folder, options):
    with Stage(folder, UPLOADING) as stage:
        feeder, watch = begin(stage, options), None
        for _ in range(1 if options.quick else 3):
            watch = Watch(stage, feeder)
            with BoundReadOnly(stage.house.data):
                watch.look(2, log_writable=True)
        return go_on(stage, feeder, watch)


def immutable(part, log_writable):
    def body(folder, options):
        with Stage(folder, UPLOADING) as stage:
            feeder = begin(stage, options)
            watch = Watch(stage, feeder)
            data = stage.house.data
            paths = [os.path.join(data, name) for name in os.listdir(data) if name.startswith(part)]
            with Immutable(*paths):
                watch.look(2, log_writable)
                second, problem = refused_start(stage) if watch.ended else ("", "")
            text = go_on(stage, feeder, watch) + second
            check(not problem, f"{problem}; otherwise: {text}")
            return text
    return body


def refused_start(stage):
    """A start while nothing can be written: a sentence, or a wait that tells of itself.
    Gives what it did, and what was wrong with that."""
    house, problem = stage.house, ""
    house.launch()
    try:
        house.wait_ready(5)
        text = "; a start meanwhile serves"
    except Failed:
        lines = [line for line in house.said().strip().split("\n") if line]
        if house.child is None:
            text = f"; a start meanwhile refuses ({lines[-1][:120] if lines else ''})"
            if not lines or not lines[-1].startswith("paceline: "):
                problem = f"a start meanwhile ended without a sentence: {lines[-1:]}"
        else:
            text = "; a start meanwhile waits"
            if not any(" warning " in line or " error " in line for line in lines):
                problem = "a start meanwhile waits without a word: neither ready nor ended after 5 s"
            house.child.terminate()
            try:
                house.child.wait(5)
            except subprocess.TimeoutExpired:
                problem += "; SIGTERM does not end it"
    problem = problem or crash_in(None, house.said())
    house.kill()
    return text, problem


def started_read_only(folder, options):
    with Stage(folder, LOGGING) as stage:
        feeder = begin(stage, options)
        feeder.stop()
        house = stage.house
        house.kill()
        run("mount", "-o", "remount,ro", house.data)
        began = time.monotonic()
        text, problem = refused_start(stage)
        status, sentences, said = run_check(house.data)
        if not problem and (crash_in(status, said) or status != 0 and "ead-only" not in said):
            problem = f"check ends with {status} and says: {sentences[0] if sentences else said[-200:]}"
        run("mount", "-o", "remount,rw", house.data)
        house.start()
        judge_wholly(house, feeder, "at the end")
        text = f"{text[2:]}, after {time.monotonic() - began:.1f} s; check: {status}; records intact"
        check(not problem, f"{problem}; otherwise: {text}")
        return text


def file_system_shut_down(folder, options):
    """ext4 gives up in the middle of everything, as it does when its device fails."""
    with Stage(folder, UPLOADING) as stage:
        feeder = begin(stage, options)
        watch = Watch(stage, feeder)
        time.sleep(random.Random(options.seed).uniform(0, 0.5))
        run("mount", "-o", "remount,abort", stage.house.data)
        watch.look(5, log_writable=False)
        check(watch.ended, "the file system is gone, and the broker stays up: " + watch.text())
        stage.house.kill()
        stage.disk.mount_again()
        return go_on(stage, feeder, watch)


def failing_sync(folder, options):
    if not os.path.exists("/dev/mapper/control") or not shutil.which("dmsetup"):
        raise Skipped("an fsync that fails once (row 28) needs a device mapper, and there is none; "
                      "src/wal/wal_crash_test.cc plays it on the simulated disk")
    raise Skipped("an fsync that fails once (row 28) is played on the simulated disk by src/wal/wal_crash_test.cc")


CASES = {"started on a read-only file system": started_read_only,
         "read-only mount over the folder": bound_while_running,
         "objects immutable": immutable("objects", True),
         "metadata immutable": immutable("metadata", True),
         "log immutable": immutable("wal", False),
         "everything immutable": immutable("", False),
         "file system shut down": file_system_shut_down,
         "failing fsync": failing_sync}


if __name__ == "__main__":
    sys.exit(run_cases("read-only", "a data folder that cannot be written", "ro", CASES))
