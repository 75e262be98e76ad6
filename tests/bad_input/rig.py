"""A broker under bad input, and what must hold after every case of it."""
import os
import re
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "clients"))

from harness import Broker, Failed, check, free_port  # noqa: E402,F401

import wire  # noqa: E402

TOPIC = "bad"
PARTITIONS = 4
# What a case may leave behind beside the caches: blocks of 4 MiB that pools of the WAL and of connections keep, and what
# the allocator keeps of batches that opened to 64 MiB in one piece, as zstd frames of big windows do. Under the budget
# of 512 MiB, but not under the first idle moment's: a leak shows because every case shares it.
RSS_SLACK = 224 << 20
RSS_PATIENCE = 12.0


class Target(Broker):
    """A broker with its metrics on a port."""

    def __init__(self, **settings):
        super().__init__({"paceline.shards": "2", "num.partitions": "1", "message.max.bytes": "1048588", **settings})
        self.admin = free_port()
        self.settings["paceline.admin.listen"] = f"127.0.0.1:{self.admin}"
        self.here = ("127.0.0.1", self.port)
        self.bystander = None

    def start(self, timeout=60, **settings):
        super().start(timeout, **settings)
        with self.connect() as one:
            error = one.create(TOPIC, PARTITIONS)
            check(error == 0, f"the topic cannot be made: error {error}")
            wait_for(lambda: one.produce(TOPIC, [(0, wire.batch())])[0][0] == 0, "the topic serves")
        return self

    def connect(self, **more):
        return wire.Connection(self.here, **more)

    def rss(self):
        with open(f"/proc/{self.child.pid}/statm") as pages:
            return int(pages.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def rss_limit(self):
        caches = self.metric("paceline_log_cache_bytes") + self.metric("paceline_block_cache_bytes")
        return self.baseline + RSS_SLACK + caches

    def metric(self, name):
        """The sum of a counter over its labels that are not named; `name` may name one."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as page:
            lines = page.read().decode().split("\n")
        found = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{"))]
        check(found, f"there is no metric {name}")
        return sum(found)

    def logged(self, offset=0):
        with open(self.log, "rb") as log:
            log.seek(offset)
            return re.sub(r"\x1b\[[0-9;]*m", "", log.read().decode(errors="replace"))

    def log_size(self):
        return os.path.getsize(self.log)

    def lines_of(self, connection, offset):
        return [line for line in self.logged(offset).split("\n") if connection.name + " " in line]

    def expect_served(self):
        """A client that does everything right, on one connection for the whole run."""
        check(self.alive(), f"the broker ended: {self.tail()}")
        if self.bystander is None:
            self.bystander = self.connect()
        error, base = self.bystander.produce(TOPIC, [(3, wire.batch([b"good"]))])[3]
        check(error == 0, f"a good produce gets error {error}")
        failed, seen = self.bystander.fetch(TOPIC, [(3, base, -1)])
        check((failed, seen[3][0]) == (0, 0) and seen[3][1] > 60, f"a good fetch gets {failed}, {seen}")


def wait_for(holds, what, patience=10.0):
    end = time.monotonic() + patience
    while not holds():
        check(time.monotonic() < end, f"not within {patience:g} s: {what}")
        time.sleep(0.02)


def expect_one_line(target, connection, offset, words):
    """One line in the log names this peer and all of the words."""
    def found():
        return [line for line in target.lines_of(connection, offset) if all(word in line for word in words)]
    wait_for(found, f"a line in the log with {connection.name} and {words}; "
             f"seen: {target.lines_of(connection, offset)}", 2.0)
    check(len(target.lines_of(connection, offset)) == 1,
          f"more than one line tells of it: {target.lines_of(connection, offset)}")
