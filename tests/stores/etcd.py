"""Three members of etcd (Debian's etcd-server) on loopback, whose elections take a quarter of a second."""
import base64
import json
import os
import signal
import urllib.error
import urllib.request

from processes import Processes, check, free_port

HEARTBEAT_MS, ELECTION_MS = 20, 250


class Etcd:
    """`with Etcd() as etcd:`; members are 0, 1 and 2. The data lies in memory where there is /dev/shm.

    `hosts`: for each member its address, and the words before its command that bring it there."""

    def __init__(self, members=3, auto_compaction=None, hosts=None):
        # Three members that share a disk with the broker under test measure nothing but that disk.
        self.processes = Processes(base="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.clients = [free_port() for _ in range(members)]
        self._peers = [free_port() for _ in range(members)]
        self.hosts = hosts or [("127.0.0.1", ())] * members
        self._auto_compaction = auto_compaction

    @property
    def endpoints(self):
        return ",".join(f"{host}:{port}" for (host, _), port in zip(self.hosts, self.clients))

    def url(self, prefix):
        """What paceline.metadata takes."""
        return f"etcd://{self.endpoints}/{prefix}"

    def start(self):
        try:
            for member in range(len(self.clients)):
                self.start_member(member)
            self.processes.wait_for(self.healthy, "etcd has a leader", 30)
        except BaseException:
            self.close()
            raise
        return self

    def start_member(self, member):
        cluster = ",".join(f"n{i}=http://{host}:{port}" for i, ((host, _), port) in enumerate(zip(self.hosts, self._peers)))
        host, prefix = self.hosts[member]
        command = [*prefix, "etcd", "--name", f"n{member}", "--data-dir", os.path.join(self.processes.folder, f"member-{member}"),
                   "--listen-client-urls", f"http://{host}:{self.clients[member]}",
                   "--advertise-client-urls", f"http://{host}:{self.clients[member]}",
                   "--listen-peer-urls", f"http://{host}:{self._peers[member]}",
                   "--initial-advertise-peer-urls", f"http://{host}:{self._peers[member]}",
                   "--initial-cluster", cluster, "--initial-cluster-state", "new", "--log-level", "warn",
                   "--heartbeat-interval", str(HEARTBEAT_MS), "--election-timeout", str(ELECTION_MS)]
        if self._auto_compaction:
            command += ["--auto-compaction-mode", "revision", "--auto-compaction-retention", str(self._auto_compaction)]
        self.processes.start(f"etcd-{member}", command)

    def kill_member(self, member):
        self.processes.kill(f"etcd-{member}")

    def pause(self, member):
        os.kill(self.processes.pid(f"etcd-{member}"), signal.SIGSTOP)

    def resume(self, member):
        os.kill(self.processes.pid(f"etcd-{member}"), signal.SIGCONT)

    def healthy(self):
        """A write through every member that runs has a quorum."""
        try:
            for member in range(len(self.clients)):
                if f"etcd-{member}" in self.processes.children:
                    self._call(member, "kv/put", key=b"/health", value=b"")
        except (OSError, ValueError):
            return False
        return True

    def used_bytes(self, prefix=""):
        """Of the keys and values under a prefix, as they are now; history and indexes do not count."""
        total, keys, key = 0, 0, prefix.encode() or b"\0"
        end = _after_prefix(prefix.encode())
        while True:
            answer = self._call(0, "kv/range", key=key, range_end=end, limit=2000)
            found = answer.get("kvs", [])
            for one in found:
                name = base64.b64decode(one["key"])
                total += len(name) + len(base64.b64decode(one.get("value", "")))
                key = name + b"\0"
            keys += len(found)
            if not answer.get("more"):
                return total, keys

    def leader(self):
        """Which member leads the others; None if nobody says so."""
        for member in range(len(self.clients)):
            if f"etcd-{member}" in self.processes.children:
                status = self._call(member, "maintenance/status")
                if status.get("leader") == status["header"]["member_id"]:
                    return member
        return None

    def _call(self, member, what, **fields):
        body = {name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in fields.items()}
        request = urllib.request.Request(f"http://{self.hosts[member][0]}:{self.clients[member]}/v3/{what}", json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise OSError(f"etcd: {error.read()[:200]!r}") from None

    def close(self):
        self.processes.close(signal.SIGKILL)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.close()


def _after_prefix(prefix):
    """The first key behind all that start so."""
    check(not prefix.endswith(b"\xff"), "a prefix of plain text")
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else b"\0"
