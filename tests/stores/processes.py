"""Servers that tests start: on 127.0.0.1, on ports of their own, in a folder of their own, ended by their id.

A server dies with the process that started it, whatever becomes of that; only the command line
(`rgw start`) leaves one running, with its ids in the folder for `rgw stop`.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "clients"))

from harness import Failed, check, die_with_parent, free_port, in_own_process  # noqa: E402,F401


class Processes:
    """Named processes of one server. The folder goes when they do, if it was made here."""

    def __init__(self, folder=None, outlive=False, base=None):
        self.made_here = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="paceline-store-", dir=base)
        self.outlive = outlive
        self.children = {}
        os.makedirs(self.folder, exist_ok=True)

    def start(self, name, command, environment=None):
        check(name not in self.children, f"{name} runs already")
        with open(self.log_of(name), "ab") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                     env={**os.environ, **(environment or {})}, start_new_session=self.outlive,
                                     preexec_fn=None if self.outlive else die_with_parent)
        self.children[name] = child
        with open(self._pid_file(name), "w", encoding="ascii") as file:
            file.write(f"{child.pid} {_started_at(child.pid)}\n")

    def pid(self, name):
        return self.children[name].pid

    def rss_mib(self):
        """Of all of them together."""
        total = 0
        for child in self.children.values():
            with open(f"/proc/{child.pid}/statm", encoding="ascii") as pages:
                total += int(pages.read().split()[1]) * os.sysconf("SC_PAGESIZE")
        return total / 2**20

    def wait_for(self, holds, what, seconds=60):
        end = time.monotonic() + seconds
        while not holds():
            for name, child in self.children.items():
                check(child.poll() is None, f"{name} ended with {child.returncode}: {self.tail(name)}")
            check(time.monotonic() < end, f"not within {seconds} s: {what}: "
                  + "; ".join(f"{name}: {self.tail(name, 300)}" for name in self.children))
            time.sleep(0.02)

    def run(self, *command, seconds=60, environment=None):
        """A tool, to its end. What it printed."""
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=seconds, cwd=self.folder, check=False,
                                  env={**os.environ, **(environment or {})})
        except FileNotFoundError:
            raise Failed(f"there is no {command[0]}; ./dev installs it") from None
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(command[:3])} did not end within {seconds} s") from None
        check(done.returncode == 0, f"{' '.join(command[:3])} ended with {done.returncode}: {done.stdout[-500:]}")
        return done.stdout

    def kill(self, name):
        """kill -9, without a chance to tidy up."""
        self._end(name, signal.SIGKILL)

    def stop(self, name):
        self._end(name, signal.SIGTERM)

    def close(self, how=signal.SIGTERM):
        """Ends all, the last one first, and removes the folder if it was made here."""
        for name in reversed(list(self.children)):
            self._end(name, how)
        if self.made_here and not os.environ.get("PACELINE_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def tail(self, name, characters=600):
        with open(self.log_of(name), "rb") as log:
            return log.read().decode(errors="replace").strip()[-characters:] or "(it said nothing)"

    def log_of(self, name):
        return os.path.join(self.folder, name + ".out")

    def _pid_file(self, name):
        return os.path.join(self.folder, name + ".pid")

    def _end(self, name, how, patience=10):
        child = self.children.pop(name)
        if child.poll() is None:
            child.send_signal(how)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        os.remove(self._pid_file(name))


def stop_folder(folder, names, how=signal.SIGTERM, patience=10):
    """Ends what an earlier process left running in `folder`; an id that somebody else has by now is left alone."""
    running = []
    for name in reversed(names):
        path = os.path.join(folder, name + ".pid")
        if not os.path.exists(path):
            continue
        with open(path, encoding="ascii") as file:
            pid, began = map(int, file.read().split())
        if _started_at(pid) == began:
            os.kill(pid, how)
            running.append((pid, began))
        os.remove(path)
    end = time.monotonic() + patience
    for pid, began in running:
        while _started_at(pid) == began and time.monotonic() < end:
            time.sleep(0.02)
        if _started_at(pid) == began:
            os.kill(pid, signal.SIGKILL)
    return len(running)


def _started_at(pid):
    """When the process began, in the kernel's ticks; with its id this names it for good. 0: there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])
