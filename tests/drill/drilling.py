"""One `paceline drill` as a process, and what becomes of it."""
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
for folder in ("clients", "cluster", "stores", "torture"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from harness import Failed, binary, check, check_equal, die_with_parent  # noqa: E402

from evidence import Evidence  # noqa: E402

GREEN, RED, REFUSED, GREY, INTERRUPTED = 0, 4, 6, 7, 130
# What all processes of a drill have inherited, its watchdog and its hooks too.
MARK = "PACELINE_RIG_DRILL"
HEALED_WITHIN_S = 10


def drill(*words, environment=None, seconds=60):
    """Another subcommand, to its end: (code, all that it printed)."""
    done = subprocess.run([binary(), "drill", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=seconds, cwd=ROOT, env={**os.environ, **(environment or {})}, check=False)
    return done.returncode, done.stdout


def keep(target):
    """The runs on a cluster, and what was printed, where they outlive it."""
    base = os.environ.get("PACELINE_DRILL_KEPT", "/tmp/paceline-drill-kept")
    os.makedirs(base, exist_ok=True)
    kept = tempfile.mkdtemp(prefix=time.strftime("%H%M%S-"), dir=base)
    for path in [os.path.join(target.home, "drills"), *glob.glob(os.path.join(target.home, "drill-*.out")), *target.logs()]:
        subprocess.run(["cp", "-r", path, kept], check=False, stderr=subprocess.DEVNULL)
    return kept


class Drill:
    """`with Drill(target, "kill") as run: run.ends(GREEN)`. Its folder of runs is the target's: one chain of manifests."""

    def __init__(self, target, plan, *words, owner="the rig", environment=None, hooks=None):
        self.target, self.plan = target, plan
        self.folder = os.path.join(target.home, "drills")
        self.before = set(self.runs())
        self.mark = uuid.uuid4().hex
        self.environment = {**os.environ, **target.environment, MARK: self.mark, **(environment or {})}
        hooks = hooks or target.hooks
        self.words = ["drill", "run", plan, *target.where(), "--out", self.folder,
                      *(["--owner", owner] if owner else []), *(["--hooks", hooks] if hooks else []), *words]
        self.out = os.path.join(target.home, f"drill-{self.mark[:8]}.out")
        self.child = None
        self.began = 0.0

    def __enter__(self):
        self.began = time.monotonic()
        with open(self.out, "wb") as out:
            self.child = subprocess.Popen([binary(), *self.words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=ROOT,
                                          env=self.environment, start_new_session=True, preexec_fn=die_with_parent)
        return self

    def __exit__(self, kind, *unused):
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)  # so that it heals
            try:
                self.child.wait(60)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if kind is not None:
            print(f"      {' '.join(self.words)}", flush=True)
            if not self.target.shared:
                print(f"      its evidence: {keep(self.target)}", flush=True)

    def runs(self):
        if not os.path.isdir(self.folder):
            return []
        return [name for name in os.listdir(self.folder) if os.path.exists(os.path.join(self.folder, name, "run.json"))]

    @property
    def run_folder(self):
        mine = sorted(set(self.runs()) - self.before)
        check(len(mine) == 1, f"{len(mine)} runs were left, not one: {mine}; {self.said()[-1500:]}")
        return os.path.join(self.folder, mine[0])

    def said(self):
        with open(self.out, encoding="utf-8", errors="replace") as out:
            return out.read()

    def ends(self, *expected, within=180):
        """Its code, which has to be one of these; all of its processes are gone, and the target is as it was."""
        try:
            code = self.child.wait(within)
        except subprocess.TimeoutExpired:
            raise Failed(f"the drill did not end within {within} s: {self.said()[-1500:]}") from None
        self.took = time.monotonic() - self.began
        check(code in expected, f"the drill ended with {code}, not {' or '.join(map(str, expected))}: {self.said()[-1800:]}")
        self.nobody_left(2)
        return code

    def evidence(self):
        return Evidence(self.run_folder)

    def events(self):
        """As far as they are written."""
        found = []
        for path in glob.glob(os.path.join(self.folder, "*", "timeline.ndjson")):
            if os.path.basename(os.path.dirname(path)) not in self.before:
                with open(path, encoding="utf-8") as lines:
                    found += [json.loads(line) for line in lines if line.endswith("\n")]
        return found

    def wait_event(self, kind, within=120, **figures):
        """Until there is such an event in the timeline; the event."""
        end = time.monotonic() + within
        while True:
            for event in self.events():
                if event["type"] == kind and all(event["figures"].get(name) == value for name, value in figures.items()):
                    return event
            check(self.child.poll() is None, f"the drill ended with {self.child.returncode} before {kind} {figures}: {self.said()[-1500:]}")
            check(time.monotonic() < end, f"no {kind} {figures} within {within} s: {self.said()[-1500:]}")
            time.sleep(0.02)

    def wait_said(self, words, within=120):
        """Until it has printed them: at once, while evidence is written now and then."""
        end = time.monotonic() + within
        while words not in self.said():
            check(self.child.poll() is None, f"the drill ended with {self.child.returncode} before '{words}': {self.said()[-1500:]}")
            check(time.monotonic() < end, f"'{words}' is not said within {within} s: {self.said()[-1500:]}")
            time.sleep(0.01)

    def processes(self):
        """Whoever has our mark in its environment, but for the target's: id -> command line."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as environ:
                    if f"{MARK}={self.mark}".encode() not in environ.read().split(b"\0"):
                        continue
                with open(f"/proc/{pid}/cmdline", "rb") as line:
                    found[int(pid)] = line.read().replace(b"\0", b" ").decode(errors="replace")[:120]
            except OSError:
                continue
        return {pid: line for pid, line in found.items() if not self.target.owns(pid)}

    def nobody_left(self, within):
        end = time.monotonic() + within
        while (left := self.processes()) and time.monotonic() < end:
            time.sleep(0.02)
        check(not left, f"{within} s after the drill's end there still runs {left}")

    def kill(self):
        """kill -9: nobody in it can heal any more."""
        self.child.kill()
        self.child.wait()

    def interrupt(self):
        """Ctrl-C at a terminal goes to the whole foreground group."""
        os.killpg(self.child.pid, signal.SIGINT)


def verify(folder, expected=0):
    code, said = drill("verify", folder)
    check_equal(code, expected, f"the code of verify, which said {said[-800:]}")
    return said
