"""Starts real brokers and runs test cases against them.

Every case runs in a process of its own with a time-out; only processes started here are ended, by
their id. A broker lives in a temporary folder, and dies with the process that started it.

  PACELINE_BINARY   the program under test (default: build/release/paceline, then build/debug)
  PACELINE_KEEP=1   keeps the temporary folders of brokers and prints where they are
  PACELINE_PORTS    first and last port that brokers may use (default: 20000-31999)
"""
import ctypes
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PR_SET_PDEATHSIG = 1
PORTS = 20000, 31999
# What tests want different from the defaults: no wait for a first member, four partitions for
# a topic nobody created, and room for values of 1 MiB together with their batch.
SETTINGS = {"num.partitions": "4", "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "true", "message.max.bytes": "4194304",
            "paceline.admin.listen": "none", "paceline.memory.bytes": "536870912"}


class Failed(Exception):
    """A check that did not hold."""


def check(condition, message):
    if not condition:
        raise Failed(message)


def check_equal(seen, expected, what):
    if seen != expected:
        raise Failed(f"{what}: expected {shorten(expected)}, seen {shorten(seen)}")


def shorten(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:280]}... ({len(text)} characters)"


def digest(values):
    """One sum over a sequence of values; None, b"" and the borders between values count."""
    total = hashlib.sha256()
    for value in values:
        if value is None:
            total.update(b"null;")
        else:
            total.update(b"%d:" % len(value))
            total.update(value)
    return total.hexdigest()


def binary():
    candidates = [os.environ.get("PACELINE_BINARY")] if os.environ.get("PACELINE_BINARY") else [
        os.path.join(ROOT, "build", preset, "paceline") for preset in ("release", "debug")]
    for path in candidates:
        if os.access(path, os.X_OK):
            return os.path.abspath(path)
    sys.exit(f"no broker to test: {', '.join(candidates)}; build one or set PACELINE_BINARY")


_claims = []  # sockets that hold the names of ports given away


def free_port():
    """A port below the range from which the kernel takes the ports of outgoing connections, so
    that nobody else sits on it while a broker restarts; given once, to whatever test asks, as
    long as this process lives: most ports are asked for before anybody listens."""
    return free_ports((0,))


def free_ports(offsets):
    """A port as free_port() gives it, from which all these offsets are free as well."""
    while True:
        first = random.randint(PORTS[0], PORTS[1] - max(offsets))
        claims = []
        for offset in offsets:
            claims.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    claims[-1].bind(f"\0paceline-test-port-{first + offset}")
                    probe.bind(("127.0.0.1", first + offset))
                except OSError:
                    break
        else:
            _claims.extend(claims)
            return first
        for claim in claims:
            claim.close()


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Beside:
    """`with` it, run() goes on in a thread of its own; it has to end when `ended` is set."""

    def __init__(self):
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        raise NotImplementedError

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *unused):
        self.ended.set()
        self._thread.join()


class Broker:
    """One broker on one folder and one port; may be stopped, killed and started again."""

    environment = {}  # besides our own
    within = ()  # a command in front: where it runs
    build = None  # another one than binary()

    def __init__(self, settings=None):
        self.settings = {**SETTINGS, **(settings or {})}
        self.folder = tempfile.mkdtemp(prefix="paceline-test-")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.log = os.path.join(self.folder, "broker.log")
        self.child = None

    @property
    def addresses(self):
        return [self.address]

    def start(self, timeout=60, **settings):
        """Ends when the broker says that it serves. `settings` (dots as __) are for this life."""
        self.launch(**settings)
        self.wait_ready(timeout)
        return self

    def launch(self, **settings):
        check(self.child is None, "the broker runs already")
        given = {**self.settings, **{key.replace("__", "."): value for key, value in settings.items()}}
        command = [*self.within, self.build or binary(), "serve", "--data", os.path.join(self.folder, "data"), "--listen", self.address]
        for key, value in given.items():
            command += ["-o", f"{key}={value}"]
        with open(self.log, "ab") as log:
            self.banner_from = log.tell()
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          cwd=self.folder, preexec_fn=die_with_parent,
                                          env={**os.environ, **self.environment})

    def wait_ready(self, timeout=60):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.child.poll() is not None:
                status, self.child = self.child.returncode, None
                raise Failed(f"the broker ended with status {status} while starting: {self.tail()}")
            with open(self.log, "rb") as log:
                log.seek(self.banner_from)
                # The banner is printed when the broker serves, and this line is in it.
                if b"kafka    " in log.read():
                    return
            time.sleep(0.01)
        raise Failed(f"the broker was not ready after {timeout} s: {self.tail()}")

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def stop(self, timeout=30):
        """SIGTERM; the broker must end by itself, with status 0."""
        self.child.terminate()
        try:
            status = self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"the broker did not stop within {timeout} s: {self.tail()}") from None
        self.child = None
        check(status == 0, f"the broker stopped with status {status}: {self.tail()}")

    def kill(self):
        """kill -9."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None

    def tail(self, characters=1500):
        with open(self.log, "rb") as log:
            text = log.read().decode(errors="replace").strip()
        return text[-characters:] or "(it said nothing)"

    def close(self):
        self.kill()
        if os.environ.get("PACELINE_KEEP"):
            print(f"     kept {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.close()


PLACES = ("metadata", "objects", "wal")


def run_check(data, ledger=None, timeout=60, settings=None, environment=None):
    """`paceline check` of a folder, or of the places that a broker's `settings` name:
    (status, sentences of problems, everything it printed)"""
    command = [binary(), "check", "--data", data, "--format", "json"] + (["--ledger", ledger] if ledger else [])
    for place in PLACES:
        if f"paceline.{place}" in (settings or {}):
            command += [f"--{place}", settings[f"paceline.{place}"]]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, env={**os.environ, **(environment or {})})
    except subprocess.TimeoutExpired:
        return None, [], f"check did not end within {timeout} s"
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    try:
        sentences = [item["problem"] for item in json.loads(out)["items"] if item["problem"]]
    except ValueError:
        sentences = []
    sentences += [line for line in err.split("\n") if line.startswith("paceline")]
    return done.returncode, list(dict.fromkeys(sentences)), out + err


def in_own_process(body, timeout):
    """Runs `body` in a fork. None if it went well, else the reason as one text."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        os.setsid()
        die_with_parent()
        status = 1
        try:
            body()
            status = 0
        except Failed as failed:
            os.write(write_end, str(failed).encode()[:4000])
        except BaseException:  # whatever a client throws is a failed test
            os.write(write_end, traceback.format_exc(limit=-4).encode()[:4000])
        finally:
            os._exit(status)
    os.close(write_end)
    end = time.monotonic() + timeout
    status = None
    while status is None and time.monotonic() < end:
        pid, code = os.waitpid(child, os.WNOHANG)
        if pid:
            status = os.waitstatus_to_exitcode(code)
        else:
            time.sleep(0.01)
    timed_out = status is None
    if timed_out:
        os.killpg(child, signal.SIGKILL)  # the group that this child leads
        os.waitpid(child, 0)
    with os.fdopen(read_end, "rb") as pipe:
        reason = pipe.read().decode(errors="replace")
    if timed_out:
        return f"not done after {timeout} s"
    return None if status == 0 else reason or f"ended with status {status}"


class Suite:
    """Cases of one client. They share a broker, unless a case makes its own."""

    def __init__(self, name, settings=None):
        self.name = name
        self.make_broker = lambda: Broker(settings)
        self.addresses = []  # of all brokers that there are
        self.cases = []

    def case(self, title, timeout=60):
        def add(function):
            self.cases.append((title, function, timeout))
            return function
        return add

    def main(self, wanted=None):
        """Runs all cases, or those whose title contains an argument of the command line."""
        wanted = sys.argv[1:] if wanted is None else wanted
        passed = failed = 0
        broker = None
        for title, function, timeout in self.cases:
            if wanted and not any(word in f"{self.name}: {title}" for word in wanted):
                continue
            started = time.monotonic()
            reason = None
            try:
                if broker is None:
                    broker = self.make_broker()
                    broker.start()
                    self.addresses = broker.addresses
                reason = in_own_process(lambda f=function, b=broker: f(b.address), timeout)
                if not broker.alive():
                    reason = f"{reason or 'the case went well'}; but the broker died: {broker.tail()}"
            except Failed as failure:
                reason = str(failure)
            if broker is not None and not broker.alive():
                broker.close()
                broker = None
            seconds = time.monotonic() - started
            if reason is None:
                passed += 1
                print(f"ok   {self.name}: {title} ({seconds:.1f} s)", flush=True)
            else:
                failed += 1
                print(f"FAIL {self.name}: {title} ({seconds:.1f} s)", flush=True)
                print("     " + reason.strip().replace("\n", "\n     "), flush=True)
        if broker is not None:
            broker.close()
        print(f"{passed} passed, {failed} failed", flush=True)
        return 1 if failed or not passed else 0


def fresh(prefix):
    """A name that no other case uses."""
    return f"{prefix}-{os.getpid()}-{random.randrange(1 << 30):08x}"


def values_of_all_kinds(seed=1):
    """Text, empty, null and 1 MiB of incompressible and of compressible bytes, as (key, value)."""
    noise = random.Random(seed)
    return [(b"text", "naïve Grüße 你好 🚀".encode()), (b"empty", b""), (b"null", None),
            (None, b"no key"), (b"", b"empty key"), (bytes(range(256)), bytes(range(256))),
            (b"noise", noise.randbytes(1 << 20)), (b"zeros", bytes(1 << 20)),
            (b"lines", b"one\ntwo\r\nthree\0four")]


def many_values(count, seed=1, bytes_max=300):
    """`count` different values, half of each compressible."""
    noise = random.Random(seed)
    return [b"%d:" % index + noise.randbytes(noise.randrange(bytes_max)) + b"x" * noise.randrange(bytes_max)
            for index in range(count)]
