#!/usr/bin/python3
"""`paceline drill` on a `paceline dev`: what it leaves behind, and that a drill which is killed leaves nothing broken.

  drill.py [--plans drill,…] [--killed freeze,…] [--quick] [--keep FOLDER]
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("clients", "torture", "cluster"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from dev import Dev  # noqa: E402
from harness import Failed, binary, check, check_equal, die_with_parent  # noqa: E402

FILES = ("plan.toml", "run.json", "timeline.ndjson", "ledger.bin", "hooks.log", "report.json", "report.html", "junit.xml",
         "metrics.prom", "MANIFEST.sha256")
PLANS = ("drain", "stop", "kill", "freeze", "zombie", "storm", "cleanup", "sabotage")
# After which event a drill is killed; of the plan freeze, so that there is something to be healed.
MOMENTS = (("P0", None), ("P1", None), ("P2", None), ("P3", "fault.commanded"), ("P4", None), ("P5", None), ("P6", None), ("P7", None))
RUN_WITHIN_S, HEALED_WITHIN_S = 300, 60


def drill(dev, *words, wait=True):
    argv = [binary(), "drill", *words]
    if wait:
        return subprocess.run(argv, capture_output=True, text=True, timeout=RUN_WITHIN_S, env=dev.environment, cwd=dev.home, check=False)
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dev.environment, cwd=dev.home,
                            preexec_fn=die_with_parent)


def newest(folder):
    return os.path.join(folder, max(name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name))))


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


def watchdogs():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                if file.read().strip() == "drill-watchdog" and state_of(pid) != "Z":
                    found.append(int(pid))
        except OSError:
            pass
    return found


def is_whole(dev):
    services = dev.status()["services"]
    try:
        return all(one["state"] == "ready" and one["pid"] and state_of(one["pid"]) not in "TZ" for one in services)
    except FileNotFoundError:
        return False


def run_plan(dev, plan, quick, out):
    began = time.monotonic()
    words = ["run", plan, "--owner", "the test", "--out", out] + (["--quick"] if quick else [])
    done = drill(dev, *words)
    took = time.monotonic() - began
    folder = newest(out)
    for name in FILES:
        check(os.path.exists(os.path.join(folder, name)), f"{name} is missing in {folder}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
    with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
        report = json.load(file)
    counts = report["counts"]
    print(f"{plan:10} {took:5.0f} s, exit {done.returncode}, {report['verdict']}: {report['sentence']}")
    for row in report["scorecard"]:
        print(f"           {row['id']:10} {row['state']:6} {row['why'][:150]}")
    check_equal(report["exit_code"], done.returncode, "the exit code")
    if plan == "sabotage":
        check_equal(report["verdict"], "red", "the verdict of a falsified ledger")
    else:
        check_equal((counts["lost"], counts["duplicated"]), (0, 0), "lost and duplicated")
        check(report["verdict"] != "red", f"{plan} is red: {report['reason']}")
    verified = drill(dev, "verify", folder)
    check_equal(verified.returncode, 0, f"verify, which said {verified.stdout} {verified.stderr}")
    check(is_whole(dev), "the cluster is not whole")
    check(not watchdogs(), "a watchdog is left")


def timeline(folder):
    with open(os.path.join(folder, "timeline.ndjson"), encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def reached(out, before, phase, event):
    if not os.path.isdir(out):
        return False
    new = [name for name in os.listdir(out) if name not in before and os.path.isdir(os.path.join(out, name))]
    if not new:
        return False
    for one in timeline(os.path.join(out, new[0])):
        if event is None and one["type"] == "phase.began" and one["figures"]["phase"] == phase:
            return True
        if event is not None and one["type"] == event:
            return True
    return False


def kill_in(dev, plan, phase, event, out):
    before = set(os.listdir(out)) if os.path.isdir(out) else set()
    child = drill(dev, "run", plan, "--quick", "--owner", "the test", "--out", out, wait=False)
    end = time.monotonic() + RUN_WITHIN_S
    while not reached(out, before, phase, event):
        check(child.poll() is None, f"the drill has ended before {phase}")
        check(time.monotonic() < end, f"the drill did not come to {phase}")
        time.sleep(0.05)
    stood = [one["name"] for one in dev.status()["services"] if one["pid"] and state_of(one["pid"]) == "T"]
    child.send_signal(signal.SIGKILL)
    child.wait()
    began = time.monotonic()
    while watchdogs() or not is_whole(dev):
        check(time.monotonic() - began < HEALED_WITHIN_S, f"killed in {phase}: not whole, or watched on: {watchdogs()}, {dev.status()}")
        time.sleep(0.05)
    print(f"killed in {phase} of {plan}, while {', '.join(stood) or 'nobody'} stood still: whole after {time.monotonic() - began:.1f} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plans", default=",".join(PLANS))
    parser.add_argument("--killed", default="freeze")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", help="where the runs' folders stay")
    options = parser.parse_args()
    failed = 0
    with Dev("--brokers", "3") as dev:
        dev.start()
        out = options.keep or os.path.join(dev.home, "drills")
        for plan in filter(None, options.plans.split(",")):
            try:
                run_plan(dev, plan, options.quick, out)
            except Failed as error:
                failed += 1
                print(f"{plan}: FAILED: {error}")
        for plan in filter(None, options.killed.split(",")):
            for phase, event in MOMENTS:
                try:
                    kill_in(dev, plan, phase, event, out)
                except Failed as error:
                    failed += 1
                    print(f"killed in {phase} of {plan}: FAILED: {error}")
    print(f"drill: {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
