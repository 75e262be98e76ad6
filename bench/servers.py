"""The processes that are measured: our broker, the null broker, the load; and what the kernel says of them."""
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RELEASE = os.path.join(ROOT, "build", "release")
BINARY = os.environ.get("PACELINE_BINARY", os.path.join(RELEASE, "paceline"))
TICKS = os.sysconf("SC_CLK_TCK")

live = {}  # pid -> Popen of everything this run has started and not yet seen end


class Failed(Exception):
    """A row cannot be measured: the reason in one sentence."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tool(name):
    return os.path.join(RELEASE, "bench", f"bench-{name}")


def start(command, **how):
    process = subprocess.Popen(command, **how)
    live[process.pid] = process
    return process


def wait(process, seconds):
    try:
        return process.wait(seconds)
    finally:
        if process.returncode is not None:
            live.pop(process.pid, None)


def stop_all():
    for process in list(live.values()):
        if process.poll() is None:
            process.kill()
        wait(process, 20)


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid):
    """Of a live process, all its threads, without its children."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def own_cpu_seconds():
    """Of this script and of everything it started, ended or not."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    for pid in list(live):
        try:
            total += cpu_seconds(pid)
        except OSError:
            pass  # it ended just now and is among the children
    return total


class Server:
    """A process that listens. `ready_s` is exec to ready."""

    def __init__(self, command, port, banner=None, **how):
        self.port = port
        started = time.monotonic()
        self.process = start(command, stdout=subprocess.PIPE if banner else subprocess.DEVNULL,
                             stderr=how.pop("stderr", subprocess.DEVNULL), text=True, **how)
        if banner:  # the port is bound before recovery; the banner comes after it
            while not (line := self.process.stdout.readline()).startswith(banner):
                if not line:
                    raise Failed(f"{os.path.basename(command[0])} ended before it was ready")
        self.ready_s = time.monotonic() - started

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            wait(self.process, 60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            wait(self.process, 60)
        if self.process.stdout:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


def broker(folder, *options, port=None):
    port = port or free_port()
    command = [BINARY, "serve", "--data", folder, "--listen", f"127.0.0.1:{port}"]
    for option in ("paceline.admin.listen=none", "num.partitions=64", *options):
        command += ["-o", option]
    return Server(command, port, banner="Try:")


def null_broker(*mode, partitions=64):
    """mode: nothing (drops the bytes), "file" PATH (durable) or "keep" MIB (for Fetch)."""
    port = free_port()
    return Server([tool("null-broker"), str(port), str(partitions), *map(str, mode)], port, banner="ready")


def metric(admin, name):
    """One number of a broker's metrics; `admin` is HOST:PORT."""
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    raise Failed(f"there is no metric {name}")


def create_topic(server, topic, partitions):
    subprocess.run([BINARY, "topic", "create", topic, "-p", str(partitions), "-b", server.address], check=True,
                   stdout=subprocess.DEVNULL, timeout=120)


def start_json(command):
    """A tool in the background: give the process to finish()."""
    return start([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def json_of(command, seconds=300):
    """Runs a tool to its end. Its JSON line."""
    return finish(start_json(command), seconds)


def finish(process, seconds=300):
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        process.kill()
        process.communicate()
        raise Failed(f"{process.args[0]} did not end in {seconds} s") from late
    finally:
        live.pop(process.pid, None)
    if process.returncode != 0:
        raise Failed(f"{' '.join(map(str, process.args[:2]))} ended with {process.returncode}: {out[-200:]} {err[-300:]}")
    return json.loads(out)


def load(server, kind, *what):
    """One load, with the server's CPU-seconds for each GB of records."""
    before = cpu_seconds(server.pid)
    done = json_of([tool("load"), kind, server.address, *what])
    if "bytes" in done:
        done["cpu_per_gb"] = (cpu_seconds(server.pid) - before) / (done["bytes"] / 1e9)
    return done


def start_load(server, kind, *what):
    """A load in the background: give the process to finish()."""
    return start_json([tool("load"), kind, server.address, *what])


def files_under(folder):
    return sorted(os.path.join(top, name) for top, _, names in os.walk(folder) for name in names)


def drop_page_cache(paths):
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
