"""Stores besides Ceph: two independent implementations that `./dev test --stores all` adds, and one that is careless.

They are installed into .cache/stores by their ordinary package managers when they are first asked for.
"""
import os
import shutil
import subprocess
import sys

import s3
from processes import HERE, ROOT, Failed, Processes, free_port

CACHE = os.path.join(ROOT, ".cache", "stores")
VERSITY_VERSION = "v1.8.0"
# moto's own extra "server" brings everything that it knows of Amazon; its S3 needs no more than this.
MOTO_PACKAGES = ["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"]


class Other(s3.Store):
    """One process, on a folder in memory where there is one."""

    def __init__(self, port=None):
        super().__init__(port or free_port(), "testaccess", "testsecretkey")
        self.processes = Processes(base="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)

    def start(self):
        try:
            self.processes.start("store", self.command(), {"PYTHONUNBUFFERED": "1"})
            self.processes.wait_for(self.answers, f"{self.name} answers")
            made = self.client().make_bucket("paceline")
            if made.status != 200:
                raise Failed(f"{self.name} makes no bucket: {made}")
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        self.processes.close()


class Versity(Other):
    """Versity S3 Gateway, in Go, on a folder: signatures, conditional writes, multipart."""

    name = "Versity Gateway"
    checks_signatures = True

    @staticmethod
    def install():
        if os.path.exists(_versity()):
            return
        if not shutil.which("go"):
            raise Failed("Versity Gateway is built with Go, which is not here")
        os.makedirs(CACHE, exist_ok=True)
        _install(["go", "install", f"github.com/versity/versitygw/cmd/versitygw@{VERSITY_VERSION}"],
                 {"GOBIN": os.path.dirname(_versity()), "CGO_ENABLED": "0"})

    def command(self):
        root = os.path.join(self.processes.folder, "root")
        os.makedirs(root)
        return [_versity(), "--port", f"127.0.0.1:{self.port}", "--region", s3.REGION, "--access", self.access_key,
                "--secret", self.secret_key, "--quiet", "--keep-alive", "posix", "--sidecar", self._sidecar(), root]

    def _sidecar(self):
        """Where it keeps what belongs to an object: not every file system in memory has extended attributes."""
        folder = os.path.join(self.processes.folder, "sidecar")
        os.makedirs(folder)
        return folder


class Moto(Other):
    """moto's server, in Python. It does not look at signatures."""

    name = "moto"

    @staticmethod
    def install():
        marker = os.path.join(_moto(), "complete")
        wanted = " ".join(MOTO_PACKAGES)
        if os.path.exists(marker):
            with open(marker, encoding="ascii") as file:
                if file.read() == wanted:
                    return
        os.makedirs(CACHE, exist_ok=True)
        _install([sys.executable, "-m", "venv", "--clear", _moto()])
        _install([os.path.join(_moto(), "bin", "pip"), "install", "-q", *MOTO_PACKAGES])
        with open(marker, "w", encoding="ascii") as file:
            file.write(wanted)

    def command(self):
        return [os.path.join(_moto(), "bin", "moto_server"), "-H", "127.0.0.1", "-p", str(self.port)]


class Careless(Other):
    """Ours: a store that does what it likes with If-None-Match, Range or signatures. See careless.py."""

    name = "careless"

    def __init__(self, *flaws):
        super().__init__()
        self.flaws = flaws

    @staticmethod
    def install():
        pass

    def command(self):
        return [sys.executable, os.path.join(HERE, "careless.py"), str(self.port), *self.flaws]


def _versity():
    return os.path.join(CACHE, "versity-" + VERSITY_VERSION, "versitygw")


def _moto():
    return os.path.join(CACHE, "moto")


def _install(command, environment=None):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=900, check=False, env={**os.environ, **(environment or {})})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{command[0]}: {error}") from None
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stdout[-500:]}")
