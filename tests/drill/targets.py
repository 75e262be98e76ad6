"""Clusters to be drilled: a `paceline dev`, and one that is like it but for where its brokers run and where their data lies."""
import contextlib
import fcntl
import json
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("clients", "cluster", "stores", "torture"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from brokers import Brokers  # noqa: E402
from confluent_kafka.admin import AdminClient  # noqa: E402
from dev import Dev  # noqa: E402
from harness import check, free_port  # noqa: E402
from rig import create_topic  # noqa: E402

import hooking  # noqa: E402

RESTART_AFTER_S = 1
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

    def __init__(self, *words):
        # For zones and time-outs all of it is what a user has who types three words.
        super().__init__(*words)
        self.count = int(words[words.index("--brokers") + 1]) if "--brokers" in words else 3

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
        return ",".join(f"127.0.0.1:{self.port + index}" for index in range(self.count))

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


class OwnTarget(Brokers, Target):
    """Three brokers of three zones, kept alive as `paceline dev` would, and told of in a dev.json as it would; in network namespaces,
    or behind a store. Hooks find it in rig.json."""

    def __init__(self, network=None, store=None, hooks=None, rig=None, build=None):
        self.admins, self.build = {}, build
        settings = {"auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": 0, "paceline.memory.bytes": 268435456}
        super().__init__(3, settings, network=network, store=store, each=self.of_one)
        self.home, self.hooks = self.folder, hooks
        self.rig_file = os.path.join(self.folder, "rig.json")
        self.environment = {"PACELINE_RIG": self.rig_file}
        self.starts, self.dead_since = {}, {}
        self.ending, self.changing = threading.Event(), threading.Lock()
        self.lock = None
        with hooking.changing_rig(self.rig_file) as content:
            content.update(rig or {})

    def house(self, number):
        house = super().house(number)
        house.build = self.build
        return house

    def of_one(self, number):
        host = self.network.host(f"broker-{number}")[0] if self.network else "127.0.0.1"
        self.admins[number] = f"{host}:{free_port()}"
        return {"broker.rack": "abc"[number - 1], "paceline.admin.listen": self.admins[number]}

    def __enter__(self):
        super().__enter__()
        if self.network:
            with hooking.changing_rig(self.rig_file) as content:
                content["hosts"] = self.network.hosts()
        # Who holds it lives.
        self.lock = open(os.path.join(self.folder, "dev.lock"), "w", encoding="ascii")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.write_state()
        self.keeper = threading.Thread(target=self.keep_alive, daemon=True)
        self.keeper.start()
        self.wait_whole(30)
        return self

    def __exit__(self, *unused):
        self.ending.set()
        if self.lock:
            self.keeper.join()
            self.lock.close()
        super().__exit__()

    def keep_alive(self):
        while not self.ending.wait(0.05):
            changed = False
            for number, house in self.houses.items():
                if house.child is not None and house.child.poll() is not None:
                    house.child, changed = None, True
                    self.dead_since[number] = time.monotonic()
                elif house.child is None and time.monotonic() - self.dead_since[number] > RESTART_AFTER_S:
                    house.launch()
                    self.starts[number] = self.starts.get(number, 1) + 1
                    changed = True
            if changed:
                self.write_state()

    def write_state(self):
        services = []
        for number, house in self.houses.items():
            services.append({"name": f"broker-{number}", "role": "broker", "number": number,
                             "state": "ready" if house.child else "ended", "pid": house.child.pid if house.child else None,
                             "address": house.address, "admin": self.admins[number], "starts": self.starts.get(number, 1),
                             "log": house.log, "command": ["paceline", "serve", *(f"{key}={value}" for key, value in house.settings.items()
                                                                                  if "secret" not in key)]})
        for member, (host, _) in enumerate(self.etcd.hosts):
            services.append({"name": f"etcd-{member + 1}", "role": "etcd", "number": member + 1, "state": "ready",
                             "pid": self.etcd.processes.pid(f"etcd-{member}"), "address": f"{host}:{self.etcd.clients[member]}",
                             "admin": None, "starts": 1, "log": "", "command": ["etcd"]})
        state = {"api_version": "paceline/v1", "kind": "DevCluster", "state": "ready", "pid": os.getpid(), "folder": self.folder,
                 "store": "s3" if self.store else "folder", "restart": True, "bootstrap": self.bootstrap, "services": services}
        path = os.path.join(self.folder, "dev.json")
        with self.changing:
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump(state, file)
            os.replace(path + ".new", path)

    @property
    def bootstrap(self):
        return self.addresses

    def where(self):
        return ["--dev-dir", self.folder]

    def services(self):
        return [(f"broker-{number}", "broker", house.child.pid if house.child else None) for number, house in self.houses.items()] + [
            (f"etcd-{member + 1}", "etcd", self.etcd.processes.pid(f"etcd-{member}")) for member in range(len(self.etcd.clients))]

    def logs(self):
        return [house.log for house in self.houses.values()] + [self.rig_file]

    def leave(self):
        """All that there is of it goes with __exit__."""


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
