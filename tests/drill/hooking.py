"""What the programs of hook files share. They find the rig's cluster by a file that the rig has left: PACELINE_RIG names it."""
import contextlib
import fcntl
import json
import os
import signal
import sys

DONE, FAILED, REFUSED = 0, 1, 2


class NotDone(Exception):
    """It has failed, and may work when it is tried again."""


class Refuse(Exception):
    """It will not be done."""


def asked(name):
    """What the drill gives: FAULT, BROKER, ZONE, DIRECTION, SETTING_LATENCY_MS, ..."""
    return os.environ.get(f"PACELINE_DRILL_{name}", "")


def brokers_asked():
    return [int(word) for word in asked("BROKER").split(",") if word]


def run(verbs):
    """The command line of a program whose verbs are functions that return the fields of the answer."""
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        if verb not in verbs:
            raise Refuse(f"there is no verb '{verb}'")
        answer, code = verbs[verb](), DONE
    except Refuse as refused:
        answer, code = {"why": str(refused)}, REFUSED
    except NotDone as failed:
        answer, code = {"why": str(failed)}, FAILED
    if answer is not None:
        print(json.dumps(answer))
    sys.exit(code)


def rig_file():
    path = os.environ.get("PACELINE_RIG")
    if not path:
        raise Refuse("PACELINE_RIG names no cluster: it is set by whoever has started one")
    return path


def read_rig():
    with open(rig_file(), encoding="utf-8") as file:
        return json.load(file)


@contextlib.contextmanager
def changing_rig(path=None):
    """The file's content, which is written back; one at a time."""
    path = path or rig_file()
    with open(path + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
        try:
            yield content
        finally:
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
            os.replace(path + ".new", path)


def look_at(pid):
    """(state, when it began) as in /proc; None: there is no such process, or it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (fields[0], int(fields[19]))


def process(pid):
    """A process by its id and its beginning, for a file."""
    look = look_at(pid)
    return {"pid": pid, "began": look[1] if look else 0}


def state_of(one):
    """Of such a process; "" when it is gone, whoever has its id by now."""
    look = look_at(one["pid"])
    return look[0] if look and look[1] == one["began"] else ""


def send(one, number):
    """False: it is gone."""
    if not state_of(one):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(one["pid"], number)
        return True
    return False


def has_heard(one, number):
    """The signal is not waiting for it any more."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{one['pid']}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(("SigPnd:", "ShdPnd:")) and int(line.split()[1], 16) >> (number - 1) & 1:
                    return False
    return True


def effect_of(fault, one, name):
    """What is observed of a signal's effect, as a sentence; NotDone: nothing yet."""
    state = state_of(one)
    if fault in ("freeze", "zombie") and state == "T":
        return f"{name} stands still"
    if fault in ("kill", "stop") and not state:
        return f"{name} is gone"
    if fault == "stop" and has_heard(one, signal.SIGTERM):
        return f"{name} has heard SIGTERM"
    raise NotDone(f"{name} is in state {state or 'gone'}")


SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGTERM, "freeze": signal.SIGSTOP, "zombie": signal.SIGSTOP}
