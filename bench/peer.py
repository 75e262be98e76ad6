"""Ours, Apache Kafka as it comes, and Kafka that syncs every message, side by side in one run.

Kafka's released jars come from Maven Central into .cache/kafka; nothing of it is in the repository.
"""
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
import uuid

import servers
from rounds import interleave
from servers import BINARY, ROOT, Failed, Server, cpu_seconds, create_topic, free_port, load, rss_mib

sys.path.insert(0, os.path.join(ROOT, "tools"))
import kafka_jars  # noqa: E402
from kafka_jars import VERSION  # noqa: E402

_PARTITIONS = 64
_PACED_PER_S = 1000


def _exactly(connection, count):
    parts = b""
    while len(parts) < count:
        got = connection.recv(count - len(parts))
        if not got:
            raise OSError("closed")
        parts += got
    return parts


def _text(value):
    return struct.pack(">h", len(value)) + value.encode()


class _Reader:
    def __init__(self, text):
        self._text, self._at = text, 0

    def take(self, shape):
        value = struct.unpack_from(">" + shape, self._text, self._at)[0]
        self._at += struct.calcsize(">" + shape)
        return value

    def skip_string(self):
        length = self.take("h")  # -1: null
        self._at += max(0, length)


def _metadata(port, topics=()):
    """(brokers, partitions with a leader) of Metadata version 1."""
    with socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.settimeout(5)
        request = struct.pack(">hhi", 3, 1, 1) + _text("bench") + struct.pack(">i", len(topics)) + b"".join(map(_text, topics))
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = _Reader(_exactly(connection, struct.unpack(">i", _exactly(connection, 4))[0]))
    answer.take("i")
    brokers = answer.take("i")
    for _ in range(brokers):
        answer.take("i"), answer.skip_string(), answer.take("i"), answer.skip_string()
    answer.take("i")
    with_leader = 0
    for _ in range(answer.take("i")):
        answer.take("h"), answer.skip_string(), answer.take("b")
        for _ in range(answer.take("i")):
            error, _, leader = answer.take("h"), answer.take("i"), answer.take("i")
            for _ in range(2):
                for _ in range(answer.take("i")):
                    answer.take("i")
            with_leader += error == 0 and leader >= 0
    return brokers, with_leader


class Contender:
    """One broker with its folder, which can be started again."""

    def __init__(self, name, folder, kafka_options=None):
        self.name, self.folder, self.port = name, folder, free_port()
        self.kafka = kafka_options is not None
        self.share = 10 if kafka_options else 1  # one that syncs every message gets a tenth of the load
        self.server = None
        os.makedirs(folder)
        if self.kafka:
            self._write_properties(kafka_options)

    def _write_properties(self, options):
        controller = free_port()
        self.properties = os.path.join(self.folder, "server.properties")
        lines = ["process.roles=broker,controller", "node.id=1", f"controller.quorum.voters=1@127.0.0.1:{controller}",
                 f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
                 "controller.listener.names=CONTROLLER", f"log.dirs={self.folder}/log", f"num.partitions={_PARTITIONS}",
                 "offsets.topic.replication.factor=1", *options]
        with open(self.properties, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        formatted = servers.start(kafka_jars.java("kafka.tools.StorageTool", "format", "-t", str(uuid.uuid4()).replace("-", "")[:22],
                                        "-c", self.properties), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out = formatted.communicate(timeout=60)[0]
        servers.live.pop(formatted.pid, None)
        if formatted.returncode != 0:
            raise Failed(f"Kafka's storage tool: {out[-400:]}")

    def start(self, topics=()):
        """Milliseconds from exec until there is a broker and every partition of the topics has a leader."""
        if self.kafka:
            command = kafka_jars.java("kafka.Kafka", self.properties)
        else:
            command = [BINARY, "serve", "--data", os.path.join(self.folder, "data"), "--listen", f"127.0.0.1:{self.port}",
                       "-o", "paceline.admin.listen=none", "-o", f"num.partitions={_PARTITIONS}"]
        began = time.monotonic()
        self.server = Server(command, self.port, stderr=subprocess.DEVNULL)
        while time.monotonic() - began < 60:
            if self.server.process.poll() is not None:
                raise Failed(f"{self.name} ended before it was ready")
            try:
                brokers, with_leader = _metadata(self.port, topics)
                if brokers > 0 and with_leader == _PARTITIONS * len(topics):
                    return (time.monotonic() - began) * 1000
            except (OSError, struct.error):
                pass
            time.sleep(0.002)
        raise Failed(f"{self.name} was not ready in a minute")


def _told(rounds, name, key, shape):
    values = rounds.values(name, key)
    return (shape + " (" + shape + ".." + shape + ")").format(statistics.median(values), min(values), max(values))


def run(bench):
    """Prints the table as Markdown. The rows for the JSON."""
    rows = []
    with bench.scratch() as folder:
        contenders = [Contender("Paceline", os.path.join(folder, "ours")),
                      Contender("Kafka", os.path.join(folder, "kafka"), []),
                      Contender("Kafka, flush each", os.path.join(folder, "flush"), ["log.flush.interval.messages=1"])]
        names = [one.name for one in contenders]
        print(f"Kafka {VERSION}, KRaft, one node, the JVM flags of its start script; 1 KiB records, acks=all; medians of "
              f"{bench.rounds} interleaved rounds (min..max)\n")
        print(f"| | {' | '.join(names)} |\n|---{'|---' * len(names)}|", flush=True)

        def row(what, cells, rounds=None):
            note = f" ({rounds.noisy} of {bench.rounds} rounds noisy)" if rounds and rounds.noisy else ""
            print(f"| {what}{note} | {' | '.join(cells)} |", flush=True)
            rows.append({"scenario": what, **dict(zip(names, cells)),
                         **({"results": rounds.results, "dropped": rounds.dropped, "noisy": rounds.noisy} if rounds else {})})

        def every(measure):
            return interleave(bench.rounds, **{one.name: lambda one=one: measure(one) for one in contenders})

        row("first start to ready, ms", [f"{one.start():.0f}" for one in contenders])
        for one in contenders:
            create_topic(one.server, "t", _PARTITIONS)
        row("RSS when ready, MiB", [f"{rss_mib(one.server.pid):.0f}" for one in contenders])

        def produce(one, partitions, record, batch, records):
            return load(one.server, "produce", "t", partitions, record, batch, bench.scaled(records) // one.share, 1)

        for one in contenders:  # the JVM compiles while it warms up
            produce(one, _PARTITIONS, 1024, 64 << 10, 400_000)
        for partitions in (1, _PARTITIONS):
            rounds = every(lambda one, n=partitions: produce(one, n, 1024, 64 << 10, 400_000))
            row(f"produce, 64 KiB batches, {partitions} partition{'s' if partitions > 1 else ''}, MB/s",
                [_told(rounds, name, "mb_per_s", "{:.0f}") for name in names], rounds)
            row("the same, CPU-seconds of the broker a GB", [_told(rounds, name, "cpu_per_gb", "{:.2f}") for name in names])
        rounds = every(lambda one: produce(one, _PARTITIONS, 100, 0, 20_000))
        row("one 100-byte record a request, pipelined, 1/s", [_told(rounds, name, "records_per_s", "{:.0f}") for name in names],
            rounds)
        seconds = 2 if bench.quick else 5
        rounds = every(lambda one: load(one.server, "paced", "t", 4, 1024, 64 << 10, _PACED_PER_S, seconds))
        for key in ("p50_us", "p99_us", "p999_us"):
            row(f"latency at {_PACED_PER_S} records/s, {key[:-3].replace('999', '99.9')}, ms",
                [f"{rounds.median(name, key) / 1000:.2f}" for name in names], rounds)
        row("RSS after all that, MiB", [f"{rss_mib(one.server.pid):.0f}" for one in contenders])
        before = [cpu_seconds(one.server.pid) for one in contenders]
        time.sleep(5)
        row("CPU when idle, % of a core", [f"{20 * (cpu_seconds(one.server.pid) - cpu):.1f}"
                                           for one, cpu in zip(contenders, before)])

        def again(one):
            one.server.stop(signal.SIGKILL)
            return {"ms": one.start(["t"])}
        rounds = every(again)
        row("`kill -9` to ready, 64 partitions, ms", [_told(rounds, name, "ms", "{:.0f}") for name in names], rounds)
        for one in contenders:
            one.server.stop()
    return rows
