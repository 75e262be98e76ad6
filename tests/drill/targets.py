"""Clusters to be drilled: a `paceline dev`, and one that is known by its address alone."""
import contextlib
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("clients", "cluster", "torture"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from confluent_kafka.admin import AdminClient  # noqa: E402
from dev import Dev, needs_root  # noqa: E402,F401
from harness import check  # noqa: E402
from rig import create_topic  # noqa: E402

import hooking  # noqa: E402

TOPIC = "orders"


class Target:
    """What cases ask of a cluster, whatever it is."""

    hooks = None  # a file
    shared = False  # by several cases, and kept by who shares it out
    home = environment = None

    def services(self):
        """(name, role, process id or None) of all that belongs to it."""
        raise NotImplementedError

    def where(self):
        """Which tell the drill where it is."""
        raise NotImplementedError

    def owns(self, pid):
        """Whether a process is the cluster's, although a drill has started it."""
        return False

    def logs(self):
        return []

    def metadata(self, topic=None):
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(topic, timeout=10)

    def faults(self):
        """One sentence for each thing that is not as it should be."""
        wrong = []
        for name, _, pid in self.services():
            state = hooking.look_at(pid) if pid else None
            if state is None:
                wrong.append(f"{name} does not run")
            elif state[0] == "T":
                wrong.append(f"{name} stands still")
        if wrong:
            return wrong
        try:
            listed = self.metadata()
        except Exception as error:  # pylint: disable=broad-except  # whatever librdkafka throws
            return [f"no metadata: {error}"]
        brokers = sum(role == "broker" for _, role, _ in self.services())
        if len(listed.brokers) != brokers:
            wrong.append(f"{len(listed.brokers)} of {brokers} brokers are there")
        wrong += [f"{topic.topic}-{one.id} has no leader" for topic in listed.topics.values()
                  for one in topic.partitions.values() if one.leader < 0]
        return wrong

    def wait_whole(self, within=10):
        """No fault is left; the seconds that took."""
        began = time.monotonic()
        while wrong := self.faults():
            check(time.monotonic() - began < within, f"{within} s later {'; '.join(wrong[:4])}")
            time.sleep(0.05)
        return time.monotonic() - began

    def own_topics(self):
        """What drills have made."""
        return sorted(name for name in self.metadata().topics if name.startswith("paceline-drill-"))


class DevTarget(Dev, Target):
    """A `paceline dev`. A drill finds it as anybody would who works beside it."""

    def __enter__(self):
        self.start()
        self.wait_whole(30)
        return self

    def where(self):
        return []

    def services(self):
        return [(one["name"], one["role"], one["pid"]) for one in self.status()["services"]]

    def logs(self):
        return [self.out, os.path.join(self.status()["folder"], "logs")] if self.child else [self.out]

    @property
    def bootstrap(self):
        return self.status()["bootstrap"]

    def by_address(self):
        """The same cluster for somebody who knows nothing but its address."""
        return ByAddress(self)

    def leave(self):
        """It is ended, and leaves nothing."""
        self.interrupt()
        self.left_nothing()


class ByAddress(Target):
    """A cluster of which the drill knows the bootstrap address alone, perhaps with a hook file."""

    def __init__(self, target, hooks=None, **environment):
        self.target, self.home, self.hooks, self.bootstrap = target, target.home, hooks, target.bootstrap
        self.shared = target.shared
        nowhere = os.path.join(target.home, "nowhere")
        os.makedirs(nowhere, exist_ok=True)
        # Where it finds no `paceline dev`.
        self.environment = {**target.environment, "TMPDIR": nowhere, **environment}

    def where(self):
        return ["--bootstrap", self.bootstrap, "--profile", "paceline"]

    def services(self):
        return self.target.services()

    def owns(self, pid):
        return self.target.owns(pid)

    def logs(self):
        return self.target.logs()


def make_topic(target, name=TOPIC, partitions=3):
    create_topic(target.bootstrap.split(",")[0], name, partitions)
    end = time.monotonic() + 20
    while any(one.leader < 0 for one in target.metadata(name).topics[name].partitions.values()):
        check(time.monotonic() < end, f"{name} has no leader")
        time.sleep(0.05)


def delete_topic(target, name):
    admin = AdminClient({"bootstrap.servers": target.bootstrap, "log_level": 0})  # for as long as it is waited for
    admin.delete_topics([name])[name].result(20)
    end = time.monotonic() + 20
    while name in target.metadata().topics:
        check(time.monotonic() < end, f"{name} is there still")
        time.sleep(0.05)


@contextlib.contextmanager
def entered(target):
    """A cluster, which has to leave nothing behind."""
    try:
        target.__enter__()
        yield target
        target.leave()
    finally:
        target.__exit__(None, None, None)
    check(os.environ.get("PACELINE_KEEP") or not os.path.exists(target.home), f"{target.home} is left")
