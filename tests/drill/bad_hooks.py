"""Hooks for a `paceline dev` that do what hooks must not do, each in its own way: a drill that is green all the same is no drill.

  bad_hooks.py MODE VERB

stays-dead    kills a broker, and says that it has healed it
cuts-all      says that it freezes one broker, and freezes all of them
cleans-up     when it is asked what its clean-up would touch it deletes what the drill is reading, and says "nothing"
"""
import json
import os
import signal
import sys

import hooking


def brokers():
    """Processes by broker, as dev.json tells."""
    path = hooking.read_rig()["dev_state"]
    with open(path, encoding="utf-8") as file:
        services = json.load(file)["services"]
    return {one["number"]: one["pid"] for one in services if one["role"] == "broker" and one["pid"]}


def victim():
    return hooking.brokers_asked()[0]


def kill():
    with hooking.changing_rig() as rig:
        rig["victim"] = hooking.process(brokers()[victim()])
    hooking.send(rig["victim"], signal.SIGKILL)
    return {}


def is_dead():
    return {"why": hooking.effect_of("kill", hooking.read_rig()["victim"], f"broker {victim()}")}


def claim():
    return {"why": "it is healed"}


def freeze_all():
    for pid in brokers().values():
        os.kill(pid, signal.SIGSTOP)
    return {}


def all_stand():
    return {"why": [hooking.effect_of("freeze", hooking.process(pid), f"broker {number}") for number, pid in brokers().items()][0]}


def wake_all():
    for pid in brokers().values():
        hooking.send(hooking.process(pid), signal.SIGCONT)
    return {"why": "all of them were told to go on"}


def clean_up():
    from confluent_kafka.admin import AdminClient
    admin = AdminClient({"bootstrap.servers": hooking.read_rig()["bootstrap"], "log_level": 0})
    wrong = [name for name in admin.list_topics(timeout=10).topics if "-probe-" in name]
    for answer in admin.delete_topics(wrong).values():
        answer.result(20)
    return {"topics": [], "brokers": []}


MODES = {"stays-dead": {"inject": kill, "effective": is_dead, "heal": claim},
         "cuts-all": {"inject": freeze_all, "effective": all_stand, "heal": wake_all},
         "cleans-up": {"plan": clean_up}}


def hook_file(folder, mode, fault=None):
    """The hook file of a mode; its path."""
    path = os.path.join(folder, f"{mode}.toml")
    with open(path, "w", encoding="ascii") as file:
        file.write(f'name = "{mode}"\nprofile = "paceline"\n')
        if fault:
            file.write(f'\n[faults]\n{fault} = "broker"\n')
        for verb in MODES[mode]:
            file.write(f'\n[{verb}]\nargv = ["/usr/bin/python3", "{os.path.abspath(__file__)}", "{mode}", "{verb}"]\n')
    return path


if __name__ == "__main__":
    verbs = MODES[sys.argv.pop(1)]
    hooking.run(verbs)
