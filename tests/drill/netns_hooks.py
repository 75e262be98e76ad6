"""Cuts the ways of brokers that are hosts of tests/cluster/network.py, and mends them.

`both`: the cable is pulled. `out`: nobody hears them. `in`: they hear nobody. Whoever else there is, the drill too, is on the
other side. `cluster`: they and the other hosts, brokers and etcd, do not hear each other, and clients hear all. What is about to be
done is written down first, so that a heal undoes an injection that has failed half-way.
"""
import os
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("clients", "cluster", "torture"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from harness import Failed  # noqa: E402
from network import Network  # noqa: E402

import hooking  # noqa: E402

SILENT_S = 0.15


def victims():
    return [f"broker-{number}" for number in hooking.brokers_asked()]


def ways(hosts, names, direction):
    """(from, to) of all that is to be lost; the drill is None."""
    others = [name for name in hosts if name not in names]
    if direction == "cluster":
        return [way for name in names for other in others for way in ((name, other), (other, name))]
    others.append(None)
    if direction == "out":
        return [(name, other) for name in names for other in others]
    return [(other, name) for name in names for other in others]


def inject():
    names, direction = victims(), hooking.asked("DIRECTION") or "both"
    with hooking.changing_rig() as rig:
        unknown = [name for name in names if name not in rig["hosts"]]
        if unknown or not names:
            raise hooking.Refuse(f"no hosts: {unknown or 'no broker is told'}")
        if rig.get("cut") or rig.get("lost"):
            raise hooking.Refuse("something is cut already: one failure domain at a time")
        rig["cut"] = names if direction == "both" else []
        rig["lost"] = [] if direction == "both" else ways(rig["hosts"], names, direction)
    network = Network.of(rig["hosts"])
    for name in rig["cut"]:
        network.cut(name)
    for one, other in rig["lost"]:
        network.lose(one, other)
    return {"brokers": names, "direction": direction, "ways": len(rig["lost"]) or len(names)}


def answers(address):
    """Whether a packet goes there and one comes back."""
    with socket.socket() as probe:
        probe.settimeout(SILENT_S)
        try:
            # A port where nobody listens: a refusal is an answer.
            probe.connect((address, 9))
            return True
        except ConnectionRefusedError:
            return True
        except OSError:
            return False


def hears(name, address):
    """The same, asked by a host."""
    code = f"import sys; sys.path.insert(0, {HERE!r}); import netns_hooks; sys.exit(not netns_hooks.answers({address!r}))"
    return subprocess.run(["ip", "netns", "exec", name, sys.executable, "-c", code], timeout=5, check=False).returncode == 0


def effective():
    rig, names = hooking.read_rig(), victims()
    if hooking.asked("DIRECTION") == "cluster":
        others = [name for name in rig["hosts"] if name not in names]
        heard = [f"{name} hears {other}" for name in names for other in others if hears(name, rig["hosts"][other])]
        deaf = [name for name in names if not answers(rig["hosts"][name])]
        if heard or deaf:
            raise hooking.NotDone("; ".join(heard + [f"{name} does not answer clients" for name in deaf]))
        return {"why": f"{', '.join(names)} answers clients, and hears none of {', '.join(others)}"}
    heard = [name for name in names if answers(rig["hosts"][name])]
    if heard:
        raise hooking.NotDone(f"{', '.join(heard)} can be heard")
    return {"why": f"{', '.join(names)} answers nobody here for {SILENT_S * 1000:.0f} ms"}


def heal():
    with hooking.changing_rig() as rig:
        cut, lost = rig.get("cut", []), rig.get("lost", [])
        for name in cut:
            mend(Network.of(rig["hosts"], cut=[name]))
        for way in lost:
            mend(Network.of(rig["hosts"], lost=[way]))
        rig["cut"], rig["lost"] = [], []
        still = [name for name in rig["hosts"] if is_down(name)]
    if still:
        raise hooking.NotDone(f"{', '.join(still)} is still cut off")
    return {"why": f"{len(cut)} cables and {len(lost)} ways are mended"}


def mend(network):
    try:
        network.heal()
    except Failed:
        pass  # it never was done, or has been mended; what counts is looked at afterwards


def is_down(name):
    return "state DOWN" in subprocess.run(["ip", "link", "show", f"to-{name}"], capture_output=True, text=True, timeout=5,
                                          check=False).stdout
