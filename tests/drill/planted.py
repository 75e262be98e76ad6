"""Brokers with a bug of src/sim/planted.txt under a drill: it has to be red. The same drill on sound brokers is played first: what is
red there proves nothing, so the figures decide."""
import contextlib
import os
import shutil
import subprocess

import plans
from drilling import ROOT
from foreign import ROWS, of_zones
from harness import check
from playing import play, told
from targets import DevTarget, entered

BUSY = {"interval_ms": 1, "producers": 8, "partitions": 24}


@contextlib.contextmanager
def alone_with_clients(build):
    """Three brokers, one of which loses the others and etcd for a while, and keeps its clients: it has to find out by its log."""
    with entered(of_zones(build)) as target:
        yield target, plans.write(target, "split-brain", plans.step("cut", direction="cluster", zone="b", hold_s=15), observe_s=20, load=BUSY,
                                  guard={"window_s": 60}, requires=ROWS)


def killed(*words):
    @contextlib.contextmanager
    def stage(build):
        """Several deaths: what is on its way when a broker dies is little."""
        target = DevTarget(*words)
        target.build = build
        with entered(target):
            yield target, plans.write(target, "kill-busy", *(plans.step("kill", id=f"kill-{number}") for number in (1, 2, 3)), observe_s=12,
                                      load=BUSY)
    return stage


# By name: the cluster and the plan, and which of its figures have to show the bug.
PLANTED = {"fenced_without_seal": (alone_with_clients, ("lost", "reordered", "duplicated")),
           "ack_before_fsync": (killed("-o", "paceline.test.forget.unsynced=true"), ("lost",)),
           "takeover_forgets_producers": (killed(), ("lost", "duplicated", "reordered", "errors"))}


def build_of(name):
    """All plants share a folder: what one of them has built is kept beside it."""
    kept = os.path.join(ROOT, "build", "plant", f"paceline-{name}")
    if not os.path.exists(kept) or os.environ.get("PACELINE_BUILD_PLANTS"):
        subprocess.run([os.path.join(ROOT, "dev"), "build", f"plant-{name}", "paceline"], check=True, cwd=ROOT)
        shutil.copy(os.path.join(ROOT, "build", "plant", "paceline"), kept)
    return kept


def case_of(name):
    def case(_, options):
        stage, figures = PLANTED[name]
        build = build_of(name)
        with stage(None) as (target, plan):
            sound = play(target, plan, verdicts=("green", "amber", "red"), within=400)
        check(not any(sound.report["counts"][figure] for figure in figures), f"sound brokers: {sound.report['counts']}")
        with stage(build) as (target, plan):
            evidence = play(target, plan, verdicts=("red",), within=400)
        shown = {figure: evidence.report["counts"][figure] for figure in figures if evidence.report["counts"][figure]}
        check(shown, f"it is red, and none of {figures} shows the bug: {evidence.reasons()}")
        return told(evidence, ", ".join(f"{count} {figure}" for figure, count in shown.items()))
    return case


CASES = {f"planted: {name}": case_of(name) for name in PLANTED}
