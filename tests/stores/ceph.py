"""Ceph RGW from Debian's packages: one monitor, one OSD that keeps everything in memory, one gateway.

A real store, with real signatures, in two seconds and without a container. It needs no manager, no systemd
and no root.
"""
import os
import shutil
import signal
import uuid

import s3
from processes import Processes, free_port, stop_folder

NAMES = ["mon", "osd", "rgw"]
_CONF = """[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
# Every daemon must know every other: the gateway refuses to run without authentication.
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = true
keyring = {folder}/keyring
run dir = {folder}/run
crash dir = {folder}/run
admin socket = {folder}/run/$name.asok
pid file =
log file = {folder}/log/$name.log
log to stderr = false
mon cluster log file = {folder}/log/cluster.log
mon cluster log to stderr = false
# One copy on one OSD is all there is.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
# A change of the map is decided at once: 1.2 s until the OSD is up instead of 3.5 s.
paxos propose interval = 0.05
[mon]
mon data = {folder}/mon
mon data avail crit = 1
mon data avail warn = 2
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = {bytes}
osd heartbeat grace = 3600
[client.rgw.a]
# Without tcp_nodelay an answer waits 40 ms for an acknowledgement.
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw data = {folder}/rgw
rgw dns name = localhost
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
rgw enable lc threads = false
rgw enable quota threads = false
# Deleted tails go after seconds instead of two hours, or the memory fills up.
rgw enable gc threads = true
rgw gc obj min wait = 5
rgw gc processor period = 5
rgw gc processor max time = 5
rgw gc max concurrent io = 32
rgw gc max trim chunk = 256
rgw rados pool pg num min = 4
rgw override bucket index max shards = {index_shards}
"""
_CAPS = {"mon.": ["mon", "allow *"],
         "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *"],
         "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
         "client.rgw.a": ["mon", "allow rw", "osd", "allow rwx"]}


class Ceph(s3.Store):
    """`with Ceph() as store:` is a running store with the bucket `paceline`."""

    name = "Ceph RGW"
    checks_signatures = True

    def __init__(self, folder=None, port=None, memory_bytes=16 << 30, outlive=False, index_shards=4):
        self.processes = Processes(folder, outlive)
        self.folder = self.processes.folder
        super().__init__(port or free_port(), "testaccess", "testsecretkey")
        self._conf = os.path.join(self.folder, "ceph.conf")
        self._environment = {"CEPH_CONF": self._conf, "CEPH_ARGS": ""}
        for name in ("mon", "osd", "rgw", "run", "log"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        self._fsid, self._mon2, self._mon1 = str(uuid.uuid4()), free_port(), free_port()
        with open(self._conf, "w", encoding="ascii") as file:
            file.write(_CONF.format(fsid=self._fsid, folder=self.folder, mon2=self._mon2, mon1=self._mon1, port=self.port,
                                    bytes=memory_bytes, index_shards=index_shards))

    def start(self):
        try:
            self._start_mon()
            self._start_osd()
            self._start_gateway()
            self._run("radosgw-admin", "user", "create", "--uid=test", "--display-name=test",
                      f"--access-key={self.access_key}", f"--secret-key={self.secret_key}")
            self.client().make_bucket("paceline")
        except BaseException:
            self.close()
            raise
        return self

    def _start_mon(self):
        for name, caps in _CAPS.items():
            words = [word for pair in zip(caps[::2], caps[1::2]) for word in ("--cap", *pair)]
            create = [] if os.path.exists(os.path.join(self.folder, "keyring")) else ["--create-keyring"]
            self._run("ceph-authtool", "keyring", *create, "--gen-key", "-n", name, *words)
        self._run("monmaptool", "--create", "--clobber", "--addv", "a", f"[v2:127.0.0.1:{self._mon2},v1:127.0.0.1:{self._mon1}]",
                  "--fsid", self._fsid, "--enable-all-features", "monmap")
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
        self._daemon("mon", "ceph-mon", "-f", "-i", "a")

    def _start_osd(self):
        identity = str(uuid.uuid4())
        self._run("ceph", "osd", "new", identity, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        self._daemon("osd", "ceph-osd", "-f", "-i", "0")

    def _start_gateway(self):
        # It waits for the OSD by itself.
        self._daemon("rgw", "radosgw", "-f", "-n", "client.rgw.a")
        self.processes.wait_for(self.answers, "the gateway answers")

    def restart_gateway(self):
        """kill -9 of the gateway; what it has acknowledged lies in the OSD."""
        self.processes.kill("rgw")
        self._start_gateway()

    def _run(self, *command):
        return self.processes.run(*command, environment=self._environment)

    def _daemon(self, name, *command):
        self.processes.start(name, command, self._environment)

    def close(self):
        # Nothing of it is worth the seconds of an orderly end.
        self.processes.close(signal.SIGKILL)


def stop(folder):
    """Ends a store that `rgw start` left running, and removes what it wrote."""
    ended = stop_folder(folder, NAMES, signal.SIGKILL)
    for name in ("mon", "osd", "rgw", "run", "log"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    for name in ("ceph.conf", "keyring", "monmap", "env.sh", *(n + ".out" for n in NAMES)):
        if os.path.exists(os.path.join(folder, name)):
            os.remove(os.path.join(folder, name))
    return ended
