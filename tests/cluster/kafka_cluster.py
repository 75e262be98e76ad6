"""Three brokers of Apache Kafka: its released jars, KRaft, its defaults, everything replicated three times."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tools"))
for folder in ("clients", "torture"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

import kafka_jars  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402
from harness import check, free_port  # noqa: E402
from wire import Wire  # noqa: E402

VERSION = kafka_jars.VERSION
READY_WITHIN_S = 60
ELECT_LEADERS, PREFERRED = 43, 0


class KafkaCluster:
    """`with KafkaCluster() as cluster:`. Brokers are by node id, from 1; each is a controller too.

    `hosts`: for each broker its address, and the words before its command that bring it there."""

    def __init__(self, count=3, base=None, hosts=None):
        self.numbers = tuple(range(1, count + 1))
        self.hosts = hosts or {number: ("127.0.0.1", ()) for number in self.numbers}
        self.folder = tempfile.mkdtemp(prefix="paceline-kafka-", dir=base)
        self.ports = {number: free_port() for number in self.numbers}
        self.controllers = {number: free_port() for number in self.numbers}
        self.children = {}

    def properties(self, number):
        path = os.path.join(self.folder, f"{number}.properties")
        voters = ",".join(f"{one}@{self.hosts[one][0]}:{port}" for one, port in self.controllers.items())
        host = self.hosts[number][0]
        with open(path, "w", encoding="ascii") as file:
            file.write(f"process.roles=broker,controller\nnode.id={number}\ncontroller.quorum.voters={voters}\n"
                       f"listeners=PLAINTEXT://{host}:{self.ports[number]},CONTROLLER://{host}:{self.controllers[number]}\n"
                       f"controller.listener.names=CONTROLLER\nlog.dirs={self.folder}/{number}\n"
                       f"default.replication.factor={len(self.numbers)}\noffsets.topic.replication.factor={len(self.numbers)}\n"
                       "auto.leader.rebalance.enable=false\n")
        return path

    def format_words(self):
        """More words for Kafka's storage tool."""
        return []

    def __enter__(self):
        try:
            identity = str(uuid.uuid4()).replace("-", "")[:22]
            for number in self.numbers:
                done = subprocess.run(kafka_jars.java("kafka.tools.StorageTool", "format", "-t", identity, "-c", self.properties(number),
                                                      *self.format_words()),
                                      capture_output=True, text=True, timeout=READY_WITHIN_S)
                check(done.returncode == 0, f"Kafka's storage tool: {done.stdout[-300:]}{done.stderr[-300:]}")
            for number in self.numbers:
                self.launch(number)
            self.wait_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        for number in list(self.children):
            self.kill(number)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def addresses(self):
        return ",".join(self.address(number) for number in self.numbers)

    def address(self, number):
        return f"{self.hosts[number][0]}:{self.ports[number]}"

    def admin(self, asked=None):
        return AdminClient({"bootstrap.servers": self.address(asked) if asked else self.addresses, "log_level": 0})

    def command(self, number):
        return [*self.hosts[number][1], *kafka_jars.java("kafka.Kafka", self.properties(number))]

    def launch(self, number):
        log = open(os.path.join(self.folder, f"{number}.log"), "ab")
        with log:
            self.children[number] = subprocess.Popen(self.command(number), stdout=log, stderr=subprocess.STDOUT)

    def start(self, number):
        """Again, until everything is replicated on it."""
        self.launch(number)
        self.wait_all()

    def wait_all(self):
        end = time.monotonic() + READY_WITHIN_S
        while not self.whole():
            for number, child in self.children.items():
                check(child.poll() is None, f"Kafka's broker {number} has ended with {child.returncode}")
            check(time.monotonic() < end, f"Kafka is not whole within {READY_WITHIN_S} s")
            time.sleep(0.2)

    def whole(self):
        """All brokers are there, and in sync."""
        for number, port in self.ports.items():
            with socket.socket() as probe:
                if probe.connect_ex((self.hosts[number][0], port)) != 0:
                    return False
        listed = self.admin().list_topics(timeout=READY_WITHIN_S)
        return len(listed.brokers) == len(self.numbers) and all(
            sorted(partition.isrs) == sorted(partition.replicas) and partition.leader > 0
            for topic in listed.topics.values() for partition in topic.partitions.values())

    def create(self, topic, partitions):
        admin = self.admin()  # which has to stay until there is an answer
        admin.create_topics([NewTopic(topic, partitions, len(self.numbers))])[topic].result(30)
        end = time.monotonic() + 30
        while len(self.leaders(topic)) < partitions or min(self.leaders(topic).values()) < 1:
            check(time.monotonic() < end, f"{topic} has no leaders")
            time.sleep(0.1)

    def leaders(self, topic, asked=None):
        listed = self.admin(asked).list_topics(topic, timeout=10).topics[topic]
        return {index: partition.leader for index, partition in listed.partitions.items()}

    def kill(self, number):
        child = self.children.pop(number)
        child.kill()
        child.wait()

    def stop(self, number):
        """A controlled shutdown; returns when it has ended."""
        child = self.children.pop(number)
        child.send_signal(signal.SIGTERM)
        child.wait(READY_WITHIN_S)

    def elect_preferred(self, topic, partitions):
        """All of them in one request, as kafka-leader-election asks."""
        name = topic.encode()
        body = (struct.pack(">bih", PREFERRED, 1, len(name)) + name + struct.pack(f">i{len(partitions)}i", len(partitions), *partitions)
                + struct.pack(">i", 30000))
        with Wire(self.address(self.numbers[0]), 30) as wire:
            answer = wire.call(ELECT_LEADERS, 1, body)
        error = struct.unpack_from(">h", answer, 4)[0]  # behind the throttle time
        check(error == 0, f"Kafka's election ended with error {error}")
