"""The real broker on a World: a producer that keeps the ledger, a judge, and what must hold in every fault."""
import os
import re
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "torture"))

from rig import PARTITIONS, Feeder, House, Table, create_topic, read_and_judge  # noqa: E402,F401
from harness import Beside  # noqa: E402  (rig has said where it is)
from wire import Silent, Wire, error_name  # noqa: E402,F401

from processes import Failed, check, free_port  # noqa: E402,F401
from world import lose_disk  # noqa: E402

# The slack of a broker of 512 MiB whose caches are counted: pools, and what the allocator keeps.
RSS_SLACK_MIB = 224
PROGRESS_S = 10  # after the end of a fault, until the client goes on
SETTINGS = {"paceline.upload.bytes": "300000", "paceline.upload.age.ms": "500", "paceline.memory.bytes": "536870912"}


class StoreHouse(House):
    """A broker on the world's store, under a prefix of its own."""

    def __init__(self, world, folder, prefix, settings=None):
        self.admin = free_port()
        super().__init__(folder, {**SETTINGS, "paceline.admin.listen": f"127.0.0.1:{self.admin}"})
        self.world, self.prefix = world, prefix
        world.put_before(self, prefix)
        self.settings.update(settings or {})

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as page:
            lines = page.read().decode().split("\n")
        found = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{"))]
        check(found, f"there is no metric {name}")
        return sum(found)

    def rss_mib(self):
        with open(f"/proc/{self.child.pid}/statm", encoding="ascii") as pages:
            return int(pages.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

    def begin_anew(self, timeout=60):
        """kill -9, and the next life has nothing but the store and etcd."""
        self.kill()
        lose_disk(self)
        self.start(timeout)

    def keys(self, part):
        """Of objects of this broker in the store, past the proxy."""
        return self.world.client.keys(f"{self.prefix}/{part}")


class Watched(Beside):
    """Samples the memory of a broker twice a second, life after life."""

    def __init__(self, house):
        super().__init__()
        self._house, self.samples = house, []

    def run(self):
        while not self.ended.wait(0.5):
            try:
                self.samples.append((time.monotonic(), self._house.rss_mib()))
            except (OSError, AttributeError, IndexError):
                pass  # between two lives

    def most(self):
        return max((mib for _, mib in self.samples), default=0)

    def flat(self, what, slack_mib=64):
        """After the first third nothing grows beyond what that third has seen."""
        if len(self.samples) < 9:
            return
        third = len(self.samples) // 3
        early, late = max(mib for _, mib in self.samples[:third]), max(mib for _, mib in self.samples[third:])
        check(late <= early + slack_mib, f"{what}: the memory grows from {early:.0f} to {late:.0f} MiB")


class Play:
    """One case: a broker under a producer. `fault` lasts, then all must go on and be there."""

    def __init__(self, world, folder, name, seed, settings=None, rate=1000, value_bytes=0):
        self.world, self.proxy = world, world.proxy
        world.proxy.outage("")
        world.proxy.rules()
        world.proxy.reset()
        self.house = StoreHouse(world, folder, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + f"-{seed}", settings)
        self.house.start()
        create_topic(self.house.address)
        self.feeder = Feeder(self.house.address, seed, value_bytes, pause=1 / rate)
        self.watched = Watched(self.house)

    def __enter__(self):
        self.watched.__enter__()
        self.feeder.start()
        self.feeder.wait_for(300, 20, "before the fault")
        return self

    def __exit__(self, kind, *unused):
        self.proxy.outage("")
        self.proxy.rules()
        self.watched.__exit__()
        self.feeder.stopping = True
        if kind is not None:
            print(f"        the broker's last words: {self.house.tail(300)}", flush=True)
        self.house.close()

    def expect_alive(self, when):
        self.house.expect_alive(when)

    def acked_meanwhile(self, seconds):
        before = len(self.feeder.ledger)
        time.sleep(seconds)
        self.expect_alive("under the fault")
        return len(self.feeder.ledger) - before

    def goes_on(self, within=PROGRESS_S):
        """The fault is over."""
        self.expect_alive("under the fault")
        return self.feeder.wait_for(50, within, "after the fault")

    def whole(self, what):
        """Stops the producer; all that was acknowledged is served, now and after the loss of the disk, once each."""
        self.feeder.stop()
        self.judge(what)
        self.house.begin_anew()
        self.judge(what + ", after the loss of the disk")
        budget = int(self.house.settings["paceline.memory.bytes"]) / 2**20
        check(self.watched.most() <= budget + RSS_SLACK_MIB, f"{what}: {self.watched.most():.0f} MiB of memory")

    def judge(self, what):
        verdict = read_and_judge(self.house.address, self.feeder.sent, self.feeder.ledger)
        check(not verdict.wrong, f"{what}: {'; '.join(verdict.wrong[:3])}")
        check(not verdict.refused, f"{what}: partitions refuse: {verdict.refused}")

    def no_secret(self):
        """Neither in the log nor in the metrics."""
        with open(self.house.log, "rb") as log:
            said = log.read().decode(errors="replace")
        for secret in (self.world.store.secret_key, "Signature="):
            check(secret not in said, f"the log has {secret[:4]}...")

    def said(self, *words):
        """The log has one of them, whatever its case."""
        with open(self.house.log, "rb") as log:
            text = log.read().decode(errors="replace").lower()
        check(any(word.lower() in text for word in words), f"the log has none of {words}")
