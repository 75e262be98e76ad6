"""Breaks and heals three brokers of Apache Kafka, and tells what their logs know of a failover.

What is told of it: the controller's decision that a broker is gone (t2), each partition's new leader as the controller has
committed it (t3), and the broker that says it leads (t6). Kafka has neither a log to seal nor one to replay, so t4 and t5 are not
told. Its log has milliseconds.
"""
import json
import os
import re
import signal
import subprocess

import hooking
import netns_hooks

LOG_ERROR_NS = 1_000_000
LINE = re.compile(r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) \w+ (?P<said>.*)")
GONE = (re.compile(r"Fencing broker (?P<broker>\d+)\b.*session has timed out"),
        re.compile(r"The request from broker (?P<broker>\d+) to shut ?down"),
        re.compile(r"Unfenced broker (?P<broker>\d+) has requested and been granted a controlled shutdown"))
MOVED = re.compile(r"partition change for (?P<topic>\S+)-(?P<partition>\d+) with topic ID \S+: .*leader: (?P<old>-?\d+) -> (?P<new>-?\d+)"
                   r".*leaderEpoch: \d+ -> (?P<epoch>\d+)")
LEADS = re.compile(r"Leader (?P<topic>\S+)-(?P<partition>\d+) with topic id .* starts at leader epoch (?P<epoch>\d+)")
OURS = "paceline-drill-"


def brokers(rig=None):
    return (rig or hooking.read_rig())["brokers"]


def victim(rig=None):
    asked = hooking.brokers_asked()
    if len(asked) != 1 or str(asked[0]) not in brokers(rig):
        raise hooking.Refuse(f"no broker is {asked or 'told'}")
    return str(asked[0])


def fault():
    return hooking.asked("FAULT")


def inject():
    rig = hooking.read_rig()
    if fault() == "cut":
        if "hosts" not in rig:
            raise hooking.Refuse("the brokers are not in network namespaces: nothing of this machine's network is touched")
        return netns_hooks.inject()
    number = victim(rig)
    if not hooking.send(brokers(rig)[number]["process"], hooking.SIGNALS[fault()]):
        raise hooking.NotDone(f"broker {number} does not run")
    return {"broker": int(number), "signal": hooking.SIGNALS[fault()].name}


def effective():
    if fault() == "cut":
        return netns_hooks.effective()
    number = victim()
    return {"why": hooking.effect_of(fault(), brokers()[number]["process"], f"broker {number}")}


def heal():
    """All of it, whatever has been done to whom."""
    done = []
    with hooking.changing_rig() as rig:
        for number, one in rig["brokers"].items():
            state = hooking.state_of(one["process"])
            if state == "T":
                hooking.send(one["process"], signal.SIGCONT)
                done.append(f"broker {number} goes on")
            elif not state:
                one["process"] = hooking.process(start(one))
                done.append(f"broker {number} is started again")
    if "hosts" in hooking.read_rig():
        done.append(netns_hooks.heal()["why"])
    return {"why": ", ".join(done) or "there was nothing to heal"}


def start(one):
    """It outlives us, and nothing of it hangs on our pipes."""
    with open(one["log"], "ab") as log:
        return subprocess.Popen(one["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                cwd=os.path.dirname(one["log"])).pid


def status():
    """All of them run, and none stands still."""
    states = {number: hooking.state_of(one["process"]) or "gone" for number, one in brokers().items()}
    wrong = [f"broker {number} is {'gone' if state == 'gone' else 'standing still'}" for number, state in states.items() if state in ("gone", "T")]
    if wrong:
        raise hooking.NotDone(", ".join(wrong))
    return {"states": " ".join(f"{number}:{state}" for number, state in sorted(states.items()))}


def list_all():
    return {"brokers": sorted(brokers()), "version": hooking.read_rig()["version"]}


def plan():
    """What a clean-up of ours would touch: nothing. Topics are the drill's own, and brokers stay."""
    return {"topics": [], "brokers": []}


def milestone(said):
    """The event that a line of a broker's or controller's log stands for; None: it is of no interest."""
    for pattern in GONE:
        if found := pattern.search(said):
            return {"type": "broker.noticed", "plane": "control", "figures": {"broker": int(found["broker"])}}
    if (found := MOVED.search(said)) and found["topic"].startswith(OURS) and int(found["new"]) >= 0:
        kind = "broker.fenced"
    elif (found := LEADS.search(said)) and found["topic"].startswith(OURS):
        kind = "partition.serving"
    else:
        return None
    return {"type": kind, "plane": "control", "topic": found["topic"], "partition": int(found["partition"]),
            "leader_epoch": int(found["epoch"])}


def log():
    """Each thing once, by who wrote it down first: every controller writes what all of them know."""
    since, seen, told = hooking.asked("SINCE"), set(), []
    for one in brokers().values():
        with open(one["log"], encoding="utf-8", errors="replace") as lines:
            for line in lines:
                found = LINE.match(line)
                if found and found["at"] >= since and (event := milestone(found["said"])):
                    told.append((found["at"], event))
    for at, event in sorted(told, key=lambda pair: pair[0]):
        key = json.dumps(event, sort_keys=True)
        if key not in seen:
            seen.add(key)
            print(json.dumps({"t_wall": at, "clock_err_ns": LOG_ERROR_NS, **event}, separators=(",", ":")))


if __name__ == "__main__":
    hooking.run({"list": list_all, "plan": plan, "inject": inject, "effective": effective, "heal": heal, "status": status, "log": log})
