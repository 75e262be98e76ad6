"""Brokers with a bug of src/sim/planted.txt under a drill: it has to be red. The same drill on sound brokers is played first: what is
red there proves nothing, so the figures decide."""
import contextlib
import os
import shutil
import subprocess

import plans
from drilling import ROOT
from harness import check
from playing import play, told
from targets import DevTarget, entered

# By name: the words of `paceline dev`, the plan, and which of its figures have to show the bug.
BUSY = {"interval_ms": 1, "producers": 8, "partitions": 24}


def zombies(target):
    """Several: who wakes learns within milliseconds that it was fenced, and what it has heard before that is little."""
    steps = [plans.step("zombie", id=f"zombie-{number}", hold_s=10) for number in range(1, 6)]
    return plans.write(target, "zombie-busy", *steps, observe_s=12, load=BUSY)


def kills(target):
    """Several deaths: what is on its way when a broker dies is little."""
    steps = [plans.step("kill", id=f"kill-{number}") for number in (1, 2, 3)]
    return plans.write(target, "kill-busy", *steps, observe_s=12, load=BUSY)


PLANTED = {"fenced_without_seal": ((), zombies, ("lost", "reordered", "duplicated")),
           "ack_before_fsync": (("-o", "paceline.test.forget.unsynced=true"), kills, ("lost",)),
           "takeover_forgets_producers": ((), kills, ("lost", "duplicated", "reordered", "errors"))}


class PlantedDev(DevTarget):
    """Its brokers are of another build; who drills them is not."""

    def __init__(self, build, *words):
        super().__init__(*words)
        self.build = build

    def launch(self, *words):
        with brokers_of(self.build):
            return super().launch(*words)


@contextlib.contextmanager
def brokers_of(build):
    before = os.environ.get("PACELINE_BINARY")
    if build:
        os.environ["PACELINE_BINARY"] = build
    try:
        yield
    finally:
        os.environ.pop("PACELINE_BINARY", None)
        if before:
            os.environ["PACELINE_BINARY"] = before


def build_of(name):
    """All plants share a folder: what one of them has built is kept beside it."""
    kept = os.path.join(ROOT, "build", "plant", f"paceline-{name}")
    if not os.path.exists(kept) or os.environ.get("PACELINE_BUILD_PLANTS"):
        subprocess.run([os.path.join(ROOT, "dev"), "build", f"plant-{name}", "paceline"], check=True, cwd=ROOT)
        shutil.copy(os.path.join(ROOT, "build", "plant", "paceline"), kept)
    return kept


def case_of(name):
    def case(_, options):
        words, plan, figures = PLANTED[name]
        build = build_of(name)
        with entered(DevTarget(*words)) as target:
            sound = play(target, plan(target), verdicts=("green", "amber", "red"), within=400)
        check(not any(sound.report["counts"][figure] for figure in figures), f"sound brokers: {sound.report['counts']}")
        with entered(PlantedDev(build, *words)) as target:
            evidence = play(target, plan(target), verdicts=("red",), within=400)
        shown = {figure: evidence.report["counts"][figure] for figure in figures if evidence.report["counts"][figure]}
        check(shown, f"it is red, and none of {figures} shows the bug: {evidence.reasons()}")
        return told(evidence, ", ".join(f"{count} {figure}" for figure, count in shown.items()))
    return case


CASES = {f"planted: {name}": case_of(name) for name in PLANTED}
