"""Some brokers on one etcd, with log and objects in one folder that all of them reach, or in a store."""
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("clients", "stores", "torture"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from confluent_kafka.admin import AdminClient  # noqa: E402
from etcd import Etcd  # noqa: E402
from harness import binary, check  # noqa: E402
from rig import House  # noqa: E402


class Brokers:
    """`with Brokers() as brokers:`; brokers.houses are by node id, from 1.

    `store`: one of tests/stores that runs, for log and objects. `network`: each broker and each member of etcd is a host of its
    own there. `each`: what one broker has besides, by its number. `ways`: proxies before the store, by the brokers that have one."""

    def __init__(self, count=3, settings=None, base=None, members=1, store=None, network=None, each=None, ways=None):
        self.each, self.ways = each or (lambda _: {}), ways or {}
        self.numbers = tuple(range(1, count + 1))
        self.settings = settings or {}
        self.folder = tempfile.mkdtemp(prefix="paceline-cluster-", dir=base)
        self.store, self.network, self.kept, self.followers = store, network, False, []
        self.etcd = Etcd(members, hosts=network and [network.host(f"etcd-{member + 1}") for member in range(members)])
        self.houses = {}

    def places(self, number):
        if self.store:
            port = self.ways[number].port if number in self.ways else None
            return {"paceline.objects": self.store.url(os.path.basename(self.folder), port=port), "paceline.wal": "objects:"}
        return {"paceline.objects": f"file:{self.folder}/objects", "paceline.wal": f"file:{self.folder}/wal"}

    def house(self, number):
        house = House(os.path.join(self.folder, str(number)), {
            "node.id": number, "paceline.metadata": self.etcd.url("cluster"), "paceline.admin.listen": "none", **self.places(number),
            **self.settings, **self.each(number)})
        if self.store:
            house.environment = self.store.environment()
        if self.network:
            address, house.within = self.network.host(f"broker-{number}")
            house.address = f"{address}:{house.port}"
        return house

    def __enter__(self):
        self.etcd.start()
        try:
            for number in self.numbers:
                self.add(number)
            self.wait_known()
        except BaseException:
            self.__exit__()
            raise
        return self

    def add(self, number):
        """One more broker, or one of those that begin."""
        self.houses[number] = self.house(number)
        self.houses[number].start()

    def __exit__(self, *unused):
        for follower in self.followers:
            follower.child.kill()
            follower.child.wait()
        for house in self.houses.values():
            house.kill()
        self.etcd.close()
        if self.kept:
            return
        if os.environ.get("PACELINE_KEEP"):
            print(f"     kept {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def addresses(self):
        return ",".join(house.address for house in self.houses.values())

    def address(self, number):
        return self.houses[number].address

    def leaders(self, topic, asked=None):
        """Partition -> leader, as one of them says."""
        address = self.addresses if asked is None else self.address(asked)
        listed = AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(topic, timeout=10).topics[topic]
        return {index: partition.leader for index, partition in listed.partitions.items()}

    def wait_known(self):
        """Until each knows all: who is ready is heard of a moment later, and a topic goes to those who are known."""
        end = time.monotonic() + 10
        for number in self.numbers:
            admin = AdminClient({"bootstrap.servers": self.houses[number].address, "log_level": 0})
            while len(admin.list_topics(timeout=10).brokers) < len(self.numbers):
                check(time.monotonic() < end, f"broker {number} does not know all of {list(self.numbers)}")
                time.sleep(0.01)

    def controller(self, asked):
        """The id of the controller, as one of them names it."""
        return AdminClient({"bootstrap.servers": self.address(asked), "log_level": 0}).list_topics(timeout=10).controller_id

    def keep(self):
        """Leaves what they have written behind: the folder."""
        self.kept = True
        return self.folder

    def events(self, number, name=None, since_ms=0):
        """What a broker wrote down since then: the data of its events."""
        found = []
        for file_name in ("events.old.jsonl", "events.jsonl"):
            path = os.path.join(self.houses[number].data, file_name)
            if os.path.exists(path):
                with open(path, encoding="utf-8") as lines:
                    # The last line may be on its way.
                    found += [json.loads(line)["data"] for line in lines if line.endswith("\n")]
        return [one for one in found if at_ms(one) >= since_ms and name in (None, one["type"])]

    def notices(self, others, since_ms):
        """The evidence by which `others` took somebody for dead since then."""
        return [event["figures"] | {"silent_ms": event["value"]} for number in others
                for event in self.events(number, "broker.noticed", since_ms)]

    def deaths(self, others, since_ms):
        """What `others` noticed while the lease of whoever it was still lasted: after a planned end it is given up."""
        return [notice for notice in self.notices(others, since_ms) if notice["evidence"] != "lease_ended"]

    def timeline(self, *words, asked=None):
        """What `paceline events` prints."""
        addresses = self.addresses if asked is None else self.address(asked)
        done = subprocess.run([binary(), "events", "-b", addresses, "--format", "json", *words],
                              capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, f"paceline events ended with {done.returncode}: {done.stderr}")
        check(not done.stderr, f"paceline events says: {done.stderr}")
        return [json.loads(line)["data"] for line in done.stdout.splitlines()]

    def wait_timeline(self, cause, wanted, seconds):
        """The events of one cause, once there are at least so many of each type in `wanted`."""
        end = time.monotonic() + seconds
        while True:
            told = self.timeline("--cause", cause)
            types = [event["type"] for event in told]
            missing = {name: count for name, count in wanted.items() if types.count(name) < count}
            if not missing:
                return told
            check(time.monotonic() < end, f"the timeline of {cause} lacks {missing}: {sorted(types)}")
            time.sleep(0.2)


class Follower:
    """`paceline events --follow`, through whatever happens."""

    def __init__(self, brokers):
        brokers.followers.append(self)
        self.brokers, self.path = brokers, os.path.join(brokers.folder, "followed.jsonl")
        self.child = subprocess.Popen([binary(), "events", "-b", brokers.addresses, "--follow", "--format", "json"],
                                      stdout=open(self.path, "wb"), stderr=subprocess.DEVNULL)

    def seen(self):
        with open(self.path, encoding="utf-8") as lines:
            return [json.loads(line)["id"] for line in lines if line.endswith("\n")]

    def finish(self):
        """It has printed all that there is, once. How much that was."""
        wanted, end = {event["event_id"] for event in self.brokers.timeline()}, time.monotonic() + 10
        while not wanted <= set(self.seen()) and time.monotonic() < end:
            time.sleep(0.2)
        check(self.child.poll() is None, f"it has ended with {self.child.returncode}")
        self.child.send_signal(signal.SIGINT)
        self.child.wait(10)
        seen = self.seen()
        check(wanted <= set(seen), f"{len(wanted - set(seen))} of {len(wanted)} events were not followed")
        check(len(set(seen)) == len(seen), "an event was printed twice")
        return len(seen)


def now_ms():
    return int(time.time() * 1000)


def at_ms(event):
    return int(datetime.datetime.fromisoformat(event["t_wall"].replace("Z", "+00:00")).timestamp() * 1000)


def expect_order(told, *steps):
    """Of each two steps of a timeline: the first of the one is not behind the first of the other."""
    first = {}
    for event in sorted(told, key=lambda one: one["t_mono_ns"]):
        first.setdefault(event["type"], event)
    for before, after in zip(steps, steps[1:]):
        check(first[before]["t_mono_ns"] <= first[after]["t_mono_ns"],
              f"{after} of {first[after]['source']} is in front of {before} of {first[before]['source']}")


def expect_once(told):
    """Nothing is there twice, and no step of a broker came twice; what is named one by one may, and a death be noticed by
    one evidence and another."""
    ids = [event["event_id"] for event in told]
    check(len(set(ids)) == len(ids), "an event is there twice")
    steps = [(event["source"], event["type"], event["lane"], event["figures"].get("evidence")) for event in told
             if not event["type"].startswith("peer.") and event["type"] != "leader.moved"]
    twice = sorted({step for step in steps if steps.count(step) > 1})
    check(not twice, f"more than once: {twice}")


def guardian_of(house):
    """The process id of a broker's guardian."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                name, rest = file.read().rsplit(")", 1)
        except OSError:
            continue
        if int(rest.split()[1]) == house.child.pid and name.endswith("(paceline-guard"):
            return int(entry)
    return None


def wait_until_gone(pid, seconds=5):
    end = time.monotonic() + seconds
    while os.path.exists(f"/proc/{pid}"):
        check(time.monotonic() < end, f"process {pid} is still there {seconds} s later")
        time.sleep(0.01)
