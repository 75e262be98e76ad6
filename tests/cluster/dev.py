#!/usr/bin/python3
"""`paceline dev`: a local cluster in one command, which leaves nothing behind however it ends.

  dev.py [--only 'WORDS']
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("clients", "torture"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from confluent_kafka import Consumer, Producer  # noqa: E402
from harness import Failed, binary, check, check_equal, die_with_parent, free_ports  # noqa: E402
from rig import Skipped, Table, create_topic  # noqa: E402

# All that a cluster of five brokers with three members of etcd and a store may use (dev_plan.h).
PORTS = (*range(5), *range(552, 557), *range(660, 663), *range(670, 673), *range(680, 685))
READY_WITHIN_S, END_WITHIN_S, BACK_WITHIN_S = 90, 40, 40
TOPIC = "orders"


class Dev:
    """One `paceline dev`. Its temporary folders are in one of ours, whose name all its processes have inherited."""

    build = None  # another one than binary()

    def __init__(self, *words, environment=None):
        self.home = tempfile.mkdtemp(prefix="paceline-dev-test-")
        self.temporary = os.path.join(self.home, "tmp")
        os.mkdir(self.temporary)
        self.port = free_ports(PORTS)
        self.words = ["--port", str(self.port), *words]
        self.environment = {**os.environ, "TMPDIR": self.temporary, **(environment or {})}
        self.out = os.path.join(self.home, "out")
        self.child = None

    def launch(self, *words):
        with open(self.out, "ab") as out:
            # A session of its own: what a terminal does to its foreground group can be done to this one.
            self.child = subprocess.Popen([self.build or binary(), "dev", *self.words, *words], stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=out, cwd=self.home, env=self.environment, start_new_session=True,
                                          preexec_fn=die_with_parent)
        return self

    def start(self, *words):
        self.launch(*words)
        self.wait_for(lambda: "Ctrl-C ends" in self.said(), "the cluster is ready", READY_WITHIN_S)
        return self

    def said(self):
        with open(self.out, encoding="utf-8", errors="replace") as out:
            return out.read()

    def wait_for(self, holds, what, seconds):
        end = time.monotonic() + seconds
        while not holds():
            check(self.child is None or self.child.poll() is None, f"dev ended with {self.child.returncode}: {self.said()[-1500:]}")
            check(time.monotonic() < end, f"not within {seconds} s: {what}: {self.said()[-1500:]}")
            time.sleep(0.02)

    def status(self, *words, expected=0):
        done = subprocess.run([binary(), "dev", "--status", "--format", "json", *words], capture_output=True, timeout=20,
                              env=self.environment, check=False)
        check_equal(done.returncode, expected, f"the code of --status, which said {done.stderr}")
        return json.loads(done.stdout)["items"][0] if done.returncode == 0 else done.stderr.decode()

    def service(self, name, *words):
        return next(one for one in self.status(*words)["services"] if one["name"] == name)

    def kill_and_wait(self, name, *words):
        """kill -9; ends when it is ready again."""
        before = self.service(name, *words)
        os.kill(before["pid"], signal.SIGKILL)

        def is_back():
            now = self.service(name, *words)
            return now["state"] == "ready" and now["starts"] == before["starts"] + 1
        self.wait_for(is_back, f"{name} is back", BACK_WITHIN_S)
        check(self.service(name, *words)["pid"] != before["pid"], f"{name} has its old id")
        check(f"(pid {before['pid']}) was killed by signal 9" in self.said(), f"nothing is told of {name}'s end: {self.said()}")

    def ends(self, expected, within=END_WITHIN_S):
        try:
            status = self.child.wait(within)
        except subprocess.TimeoutExpired:
            raise Failed(f"dev did not end within {within} s: {self.said()[-1500:]}") from None
        self.child = None
        check_equal(status, expected, f"the status of dev, which said {self.said()[-1500:]}")

    def interrupt(self, expected=0):
        """Ctrl-C at a terminal goes to the whole foreground group."""
        os.killpg(self.child.pid, signal.SIGINT)
        self.ends(expected)

    def processes(self):
        """Whoever has our folder in its environment, by id, with its command line."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/environ", "rb") as environ:
                    if f"TMPDIR={self.temporary}\0".encode() not in environ.read():
                        continue
                with open(f"/proc/{pid}/cmdline", "rb") as line:
                    found[int(pid)] = line.read().replace(b"\0", b" ").decode(errors="replace")[:100]
        return found

    def left_nothing(self, at_once=True):
        """`at_once`: an orderly end has waited for all; after kill -9 the kernel and the sweeper take their moment."""
        end = time.monotonic() + (0 if at_once else 20)
        while (self.processes() or os.listdir(self.temporary)) and time.monotonic() < end:
            time.sleep(0.02)
        check(not self.processes(), f"left running: {self.processes()}")
        check(not os.listdir(self.temporary), f"left in the temporary folder: {os.listdir(self.temporary)}")

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port},127.0.0.1:{self.port + 1},127.0.0.1:{self.port + 2}"

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.child is not None:
            self.child.kill()
            self.child.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)


def produce(bootstrap, values, meanwhile=None):
    """All of them, acknowledged; `meanwhile` runs when half of them are on their way."""
    refused = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "message.timeout.ms": 60000, "log_level": 0})
    for index, value in enumerate(values):
        if meanwhile and index == len(values) // 2:
            producer.flush(0.2)
            meanwhile()
        producer.produce(TOPIC, value, on_delivery=lambda error, _: refused.append(str(error)) if error else None)
        producer.poll(0)
    check_equal(producer.flush(60), 0, "records without an answer")
    check(not refused, f"refused: {refused[:3]}")


def consume(bootstrap, count, group):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "log_level": 0})
    consumer.subscribe([TOPIC])
    values, end = [], time.monotonic() + 60
    while len(values) < count and time.monotonic() < end:
        values += [message.value() for message in consumer.consume(1000, 0.2) if message.error() is None]
    consumer.close()
    return sorted(values)


def values_of(name, count=2000):
    return sorted(b"%s-%06d" % (name.encode(), index) for index in range(count))


def say(dev, broker, *words):
    """What a command prints that is pointed at one broker."""
    done = subprocess.run([binary(), *words, "--format", "json", "-b", dev.bootstrap.split(",")[broker]], capture_output=True,
                          timeout=30, check=False)
    check_equal(done.returncode, 0, f"the code of {' '.join(words)}, which said {done.stderr.decode()}")
    return json.loads(done.stdout)["items"]


def same_everywhere(dev, *words):
    """Each broker leads some of it, and any of them is as good to be asked."""
    said = [say(dev, broker, *words) for broker in range(3)]
    check(said[0] == said[1] == said[2], f"{' '.join(words)} depends on who is asked: {said}")
    return said[0]


def session():
    with Dev() as dev:
        began = time.monotonic()
        dev.start()
        ready = time.monotonic() - began
        state = dev.status()
        check_equal(state["state"], "ready", "the state")
        check_equal(state["pid"], dev.child.pid, "whose cluster it is")
        check_equal(state["bootstrap"], dev.bootstrap, "the bootstrap")
        check_equal([one["name"] for one in state["services"]], ["etcd-1", "broker-1", "broker-2", "broker-3"], "who runs")
        for word in (state["bootstrap"], *(str(one["pid"]) for one in state["services"]), state["folder"]):
            check(word in dev.said(), f"'{word}' is not on the screen: {dev.said()}")
        create_topic(dev.bootstrap, TOPIC, 12)
        values = values_of("first")
        produce(dev.bootstrap, values, lambda: dev.kill_and_wait("broker-2"))
        check_equal(consume(dev.bootstrap, len(values), "readers"), values, "what is read")
        for group in ("others", "third", "fourth"):
            consume(dev.bootstrap, 1, group)
        groups = [one["group"] for one in same_everywhere(dev, "group", "list")]
        check_equal(groups, ["fourth", "others", "readers", "third"], "the groups")
        ends = [one["end_offset"] for one in same_everywhere(dev, "topic", "describe", TOPIC)]
        check_equal(sum(ends), len(values), "the ends that the topic is said to have")
        lags = [one["lag"] for one in same_everywhere(dev, "group", "describe", "readers")]
        check_equal(sum(lags), 0, "the lag of who has read all")
        began = time.monotonic()
        dev.interrupt()
        ended = time.monotonic() - began
        dev.left_nothing()
        check("does not end" not in dev.said(), dev.said())
        return f"ready in {ready:.1f} s, ended in {ended:.1f} s"


def killed():
    with Dev() as dev:
        dev.start()
        check(len(dev.processes()) >= 5, f"they are not found: {dev.processes()}")
        dev.child.kill()
        dev.ends(-signal.SIGKILL)
        dev.left_nothing(at_once=False)
        return "no process, no folder"


def continued():
    with Dev("--dir", "cluster", "--etcd-members", "3") as dev:
        where = ("--dir", os.path.join(dev.home, "cluster"))
        dev.start()
        create_topic(dev.bootstrap, TOPIC, 12)
        values = values_of("first")
        produce(dev.bootstrap, values)
        # Another one does not get between.
        other = subprocess.run([binary(), "dev", "--any-port", *where], capture_output=True, timeout=30, check=False)
        check_equal((other.returncode, b"runs in" in other.stderr), (1, True), f"a second one in the folder: {other.stderr}")
        dev.child.terminate()
        dev.ends(0)
        dev.left_nothing()
        state = dev.status(*where)
        check_equal((state["state"], state["pid"]), ("ended", None), "the state of what has ended")
        os.remove(dev.out)
        dev.start("--no-restart")
        check_equal(consume(dev.bootstrap, len(values), "readers"), values, "what is read after a second start")
        victim = dev.service("broker-3", *where)
        os.kill(victim["pid"], signal.SIGKILL)
        dev.wait_for(lambda: dev.service("broker-3", *where)["state"] == "ended", "the end is seen", 10)
        check("it stays away" in dev.said(), dev.said())
        produce(dev.bootstrap, values_of("second"))
        dev.child.kill()
        dev.ends(-signal.SIGKILL)
        dev.left_nothing(at_once=False)
        state = dev.status(*where)
        check_equal((state["state"], state["services"][0]["pid"]), ("ended", None), "the state of what was killed")
        return "read after a second start; a broker stays away"


def store():
    with Dev("--store", "s3", "--etcd-members", "3") as dev:
        began = time.monotonic()
        dev.start()
        ready = time.monotonic() - began
        state = dev.status()
        create_topic(dev.bootstrap, TOPIC, 12)
        values = values_of("first")
        produce(dev.bootstrap, values, lambda: dev.kill_and_wait("store-gateway"))
        dev.kill_and_wait("etcd-2")
        check_equal(consume(dev.bootstrap, len(values), "readers"), values, "what is read")
        # What it says about the store is enough for others.
        proof = subprocess.run([binary(), "check", "--metadata", state["metadata"], "--objects", state["objects"], "--wal", "objects:"],
                               env={**os.environ, **state["environment"]}, capture_output=True, timeout=60, check=False)
        check_equal(proof.returncode, 0, f"the code of a check, which said {proof.stdout[-500:]} {proof.stderr[-500:]}")
        dev.interrupt()
        dev.left_nothing()
        return f"ready in {ready:.1f} s"


def needs_root():
    if os.geteuid() != 0:
        raise Skipped("network namespaces take root")


def ends_with(dev, name, sentence):
    """kill -9 of what cannot be replaced: the cluster says why, ends, and leaves nothing."""
    os.kill(dev.service(name)["pid"], signal.SIGKILL)
    dev.ends(1, within=60)
    check(sentence in dev.said(), dev.said())
    dev.left_nothing()


def hosts():
    """Brokers with addresses of their own, which nothing is left of however the cluster ends."""
    needs_root()
    for words, end in ((("--racks", "east,west"), "Ctrl-C"), ((), "kill -9")):
        with Dev("--hosts", *words) as dev:
            dev.start()
            state = dev.status()
            bootstrap, interface = state["bootstrap"], state["network"]["interface"]
            check(os.path.exists(f"/sys/class/net/{interface}"), f"there is no {interface}")
            own = {address.rsplit(":", 1)[0] for address in bootstrap.split(",")}
            check(len(own) == 3 and "127.0.0.1" not in own, f"brokers are at {bootstrap}")
            if words:
                racks = {one["id"]: one["rack"] for one in cluster_of(bootstrap)}
                check_equal(racks, {1: "east", 2: "west", 3: "east"}, "the racks")
                create_topic(bootstrap, TOPIC, 12)
                values = values_of("first")
                produce(bootstrap, values, lambda: dev.kill_and_wait("broker-2"))
                check_equal(consume(bootstrap, len(values), "readers"), values, "what is read")
                dev.interrupt()
            else:
                dev.child.kill()
                dev.ends(-signal.SIGKILL)
            dev.left_nothing(at_once=bool(words))
            gone = time.monotonic() + 10  # the kernel takes namespaces down when it likes
            while os.path.exists(f"/sys/class/net/{interface}"):
                check(time.monotonic() < gone, f"{interface} is left after {end}")
                time.sleep(0.05)
    with Dev("--hosts") as dev:
        dev.start()
        ends_with(dev, "host-2", "a part of the network is gone")
    return "no interface is left"


def cluster_of(bootstrap):
    """Its brokers, as any client is told of them: librdkafka's Python does not tell racks."""
    from kafka import KafkaAdminClient
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        return [{"id": one["node_id"], "rack": one["rack"]} for one in admin.describe_cluster()["brokers"]]
    finally:
        admin.close()


def lost_store():
    with Dev("--store", "s3", "--brokers", "1") as dev:
        dev.start()
        ends_with(dev, "store-osd", "what the store held is gone")
        return "the cluster ends with it"


def refusals():
    with Dev() as dev, socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", dev.port + 1))
        taken.listen()
        dev.launch().ends(1)
        for word in (f"port {dev.port + 1} of broker 2 is taken by", f"(pid {os.getpid()})", "--port", "--any-port"):
            check(word in dev.said(), f"'{word}' is not in: {dev.said()}")
        dev.left_nothing()
    with Dev(environment={"PATH": "/nowhere"}) as dev:
        dev.launch().ends(1)
        check("etcd is not installed: apt-get install etcd-server" in dev.said(), dev.said())
        dev.left_nothing()
    with Dev("--brokers", "2", "-o", "num.partitions=0") as dev:
        dev.launch().ends(1)
        for word in ("broker ", "ended with code 1", "num.partitions=0: must be at least 1"):
            check(word in dev.said(), f"'{word}' is not in: {dev.said()}")
        dev.left_nothing()
    with Dev("--brokers", "0") as dev:
        dev.launch().ends(2)
        dev.left_nothing()
    with Dev() as dev:
        check("no cluster" in dev.status(expected=3), "what is told where nothing runs")
    return "a sentence each"


def interrupted():
    """At any moment of a start, by either signal."""
    for moment, number in ((0.02, signal.SIGINT), (0.3, signal.SIGINT), (0.8, signal.SIGINT), (0.3, signal.SIGKILL), (1, signal.SIGKILL)):
        with Dev("--store", "s3") as dev:
            dev.launch()
            time.sleep(moment)
            os.killpg(dev.child.pid, number)
            status = dev.child.wait(END_WITHIN_S)
            dev.child = None
            # Before it listens to signals one ends it as it ends any process.
            check(status in (0, 130, -number), f"status {status} when interrupted after {moment} s: {dev.said()}")
            dev.left_nothing(at_once=status >= 0)
    return "5 times"


CASES = {"a session, a broker killed in it, Ctrl-C": session, "kill -9 of dev": killed, "a folder that stays": continued,
         "with a store": store, "brokers as hosts": hosts, "the store is lost": lost_store, "refusals": refusals,
         "interrupted while it starts": interrupted}


def main():
    parser = argparse.ArgumentParser(description="a local cluster in one command")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    began, table = time.monotonic(), Table("dev")
    print(f"dev: {binary()}", flush=True)
    for title, case in CASES.items():
        if all(word in title for word in options.only.split()):
            table.case(title, case)
    return table.finish(began)


if __name__ == "__main__":
    sys.exit(main())
