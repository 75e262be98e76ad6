"""Hosts in network namespaces of their own, joined by a bridge, whose ways to each other can be cut, also one way only.

All of it is in a network and a mount namespace of the rig itself, which `enter()` makes before anything else happens: the
machine's own network is not touched, and everything is gone when the rig ends, however it ends. It takes root and iproute2.
"""
import os
import subprocess
import sys

from harness import Failed
from rig import Skipped

_OURS = "PACELINE_TEST_NETWORK"
_NET = "10.213.7"
_US = f"{_NET}.254"
_LOCAL = "10.213.6.1/32"
# Packets to this address are on the wire and nobody takes them: that is a cut to who sends, without a word.
_NOBODY = "02:00:00:00:0d:ad"
_UNSHARE = ["unshare", "--net", "--mount", "--propagation", "private"]


def enter():
    """Runs this program again in namespaces of its own, if that is possible; else network() tells why not."""
    if os.environ.get(_OURS):
        _ip("link", "set", "lo", "up")
        # To a resolver that is asked for addresses of families in use, 127.0.0.1 alone is no use of one.
        _ip("address", "add", _LOCAL, "dev", "lo")
        return
    if os.geteuid() != 0:
        return
    try:
        possible = subprocess.run([*_UNSHARE, "ip", "link"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        return
    if possible.returncode == 0:
        sys.stdout.flush()
        os.execvpe(_UNSHARE[0], [*_UNSHARE, sys.executable, *sys.argv], {**os.environ, _OURS: "1"})


class Network:
    """`with Network() as network:`; hosts are made when they are first asked for. We are one of them: None."""

    def __init__(self):
        self._addresses = {}
        self._lost = []  # (from, to)
        self._cut = []

    @classmethod
    def of(cls, hosts, cut=(), lost=()):
        """The network of another process, whose hosts() they are, with what somebody has done to it."""
        network = cls()
        network._addresses, network._cut, network._lost = dict(hosts), list(cut), [tuple(one) for one in lost]
        return network

    def hosts(self):
        return dict(self._addresses)

    def __enter__(self):
        if not os.environ.get(_OURS):
            raise Skipped("no network namespaces: this takes root, unshare and ip (util-linux, iproute2)")
        # Names of namespaces are files, and stay behind; in this folder they do not.
        os.makedirs("/run/netns", exist_ok=True)
        _run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
        _ip("link", "add", "bridge", "type", "bridge")
        _ip("address", "add", f"{_US}/24", "dev", "bridge")
        _ip("link", "set", "bridge", "up")
        return self

    def __exit__(self, *unused):
        for name in self._addresses:
            # The namespace goes when it likes.
            _ip("link", "delete", f"to-{name}")
            _ip("netns", "delete", name)
        _ip("link", "delete", "bridge")
        _run("umount", "--lazy", "/run/netns")

    def host(self, name):
        """Its address, and the words before a command that is to run there."""
        if name not in self._addresses:
            self._add(name)
        return self._addresses[name], ("ip", "netns", "exec", name)

    def _add(self, name):
        number = len(self._addresses) + 1
        _ip("netns", "add", name)
        _ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", f"to-{name}", "master", "bridge", "up")
        _ip("-n", name, "address", "add", f"{_NET}.{number}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        self._addresses[name] = f"{_NET}.{number}"

    def cut(self, name):
        """Its cable is pulled."""
        _ip("link", "set", f"to-{name}", "down")
        self._cut.append(name)

    def lose(self, source, target):
        """What `source` sends to `target` is lost; not what comes the other way."""
        _ip(*_at(source), "neigh", "replace", self._address(target), "lladdr", _NOBODY, "nud", "permanent", "dev", _device(source))
        self._lost.append((source, target))

    def part(self, one, other):
        self.lose(one, other)
        self.lose(other, one)

    def heal(self):
        for name in self._cut:
            _ip("link", "set", f"to-{name}", "up")
        for source, target in self._lost:
            _ip(*_at(source), "neigh", "delete", self._address(target), "dev", _device(source))
        self._cut, self._lost = [], []

    def _address(self, name):
        return _US if name is None else self._addresses[name]


def _at(name):
    return () if name is None else ("-n", name)


def _device(name):
    return "bridge" if name is None else "eth0"


def _ip(*words):
    _run("ip", *words)


def _run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stdout.strip()}")
