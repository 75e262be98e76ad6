#!/usr/bin/python3
"""kcat (librdkafka): lists, produces, consumes and joins groups."""
import json
import os
import random
import subprocess
import sys
import tempfile
import time

from harness import Broker, Failed, Suite, check, check_equal, digest, fresh

suite = Suite("kcat")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def kcat(address, *arguments, text=b"", timeout=40):
    done = subprocess.run(["kcat", "-b", address, *arguments], input=text, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise Failed(f"kcat {' '.join(arguments)} ended with {done.returncode}: "
                     f"{done.stderr.decode(errors='replace')[-800:]}")
    return done.stdout


def lines_of(count, seed=1):
    noise = random.Random(seed)
    return [b"%d %s" % (index, b"abc" * noise.randrange(60)) for index in range(count)]


def produce(address, topic, lines, *arguments):
    kcat(address, "-P", "-t", topic, *arguments, text=b"".join(line + b"\n" for line in lines))


def consume(address, topic, *arguments):
    """All records of partition 0, as kcat prints them with lines between."""
    return kcat(address, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", *arguments).split(b"\n")[:-1]


@suite.case("lists the broker, and a topic after it was created")
def listing(address):
    topic = fresh("list")
    produce(address, topic, [b"one"], "-p", "0")
    seen = json.loads(kcat(address, "-L", "-J"))
    check_equal(sorted(broker["name"] for broker in seen["brokers"]), sorted(suite.addresses), "brokers")
    ids = [broker["id"] for broker in seen["brokers"]]
    check(seen["controllerid"] in ids, f"the controller is {seen['controllerid']}")
    partitions = {entry["topic"]: entry["partitions"] for entry in seen["topics"]}
    check(topic in partitions, f"topic {topic} is not listed")
    check_equal([entry["partition"] for entry in partitions[topic]], [0, 1, 2, 3], "partitions")
    check(all(entry["leader"] in ids for entry in partitions[topic]), "a partition has no leader")


def codec_case(codec):
    @suite.case(f"what is produced is consumed, {codec}")
    def case(address):
        topic, lines = fresh("codec"), lines_of(5000)
        produce(address, topic, lines, "-p", "0", "-z", codec)
        check_equal(digest(consume(address, topic)), digest(lines), "sum of 5000 lines")


for one in CODECS:
    codec_case(one)


@suite.case("records of all codecs in one partition are read in order")
def mixed_codecs(address):
    topic, lines = fresh("mixed"), lines_of(1000)
    for index, codec in enumerate(CODECS):
        produce(address, topic, lines[index * 200:(index + 1) * 200], "-p", "0", "-z", codec)
    check_equal(digest(consume(address, topic)), digest(lines), "sum of 1000 lines")


@suite.case("keys, headers, empty and null values, timestamps and offsets come back")
def keys_and_headers(address):
    topic = fresh("keys")
    before = int(time.time() * 1000)
    produce(address, topic, [b"k1|v1", b"|no key", b"k3|"], "-p", "0", "-K", "|",
            "-H", "a=1", "-H", "b=", "-H", "a=2")
    produce(address, topic, [b"tombstone|"], "-p", "0", "-K", "|", "-Z")
    after = int(time.time() * 1000)
    seen = [json.loads(line) for line in consume(address, topic, "-J")]
    headers = ["a", "1", "b", "", "a", "2"]
    check_equal([(entry["key"], entry["payload"], entry.get("headers", [])) for entry in seen],
                [("k1", "v1", headers), ("", "no key", headers), ("k3", "", headers), ("tombstone", None, [])],
                "records")
    check_equal([entry["offset"] for entry in seen], [0, 1, 2, 3], "offsets")
    check(all(entry["tstype"] == "create" and before <= entry["ts"] <= after for entry in seen),
          f"timestamps outside {before}..{after}: {[entry['ts'] for entry in seen]}")


@suite.case("a value of 1 MiB, compressed and not")
def large(address):
    for codec in ("none", "lz4"):
        topic, value = fresh("large"), random.Random(3).randbytes(1 << 20)
        with tempfile.NamedTemporaryFile() as file:
            file.write(value)
            file.flush()
            kcat(address, "-P", "-t", topic, "-p", "0", "-z", codec, "-X", "message.max.bytes=3000000", file.name)
        seen = kcat(address, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-D", "")
        check_equal(digest([seen]), digest([value]), f"sum of the value, {codec}")


@suite.case("a batch over max.message.bytes is refused")
def too_large(address):
    topic = fresh("toolarge")
    with tempfile.NamedTemporaryFile() as file:
        file.write(random.Random(4).randbytes(5 << 20))
        file.flush()
        done = subprocess.run(["kcat", "-b", address, "-P", "-t", topic, "-p", "0", "-X",
                               "message.max.bytes=9000000", file.name],
                              timeout=40, stderr=subprocess.PIPE, check=False)
    check(b"Message size too large" in done.stderr,
          f"expected 'Message size too large', seen {done.stderr.decode(errors='replace')[-300:]!r}")
    check_equal(consume(address, topic), [], "what is kept")


@suite.case("reads from an offset, from the tail, and from a time")
def positions(address):
    topic, lines = fresh("offsets"), lines_of(1000)
    produce(address, topic, lines[:500], "-p", "0")
    time.sleep(0.05)
    middle = int(time.time() * 1000)
    time.sleep(0.05)
    produce(address, topic, lines[500:], "-p", "0")

    def read(*arguments):
        return kcat(address, "-C", "-t", topic, "-p", "0", "-e", "-q", *arguments).split(b"\n")[:-1]
    check_equal(read("-o", "777", "-c", "1"), [lines[777]], "offset 777")
    check_equal(read("-o", "-10"), lines[-10:], "the last 10")
    check_equal(digest(read("-o", f"s@{middle}")), digest(lines[500:]), "from a time")
    check_equal(read("-o", "end"), [], "from the end")

    def query(at):
        return kcat(address, "-Q", "-t", f"{topic}:0:{at}").decode().strip().split()[-1]
    check_equal([query(at) for at in ("-2", "-1", str(middle), "0")], ["0", "1000", "500", "0"],
                "offsets by earliest, latest, time, time zero")


@suite.case("an idempotent producer")
def idempotent(address):
    topic, lines = fresh("idempotent"), lines_of(3000)
    produce(address, topic, lines, "-p", "0", "-X", "enable.idempotence=true", "-X", "acks=all")
    check_equal(digest(consume(address, topic)), digest(lines), "sum of 3000 lines")


def group(address, name, topics, count, *arguments):
    out = kcat(address, "-G", name, "-q", "-c", str(count), "-X", "auto.offset.reset=earliest",
               "-f", "%t %p %o %s\n", *arguments, *topics)
    return out.split(b"\n")[:-1]


@suite.case("a group of one reads two topics, commits, and goes on where it was")
def group_of_one(address):
    topics, name, lines = [fresh("g1"), fresh("g2")], fresh("group"), lines_of(600)
    for topic in topics:
        produce(address, topic, lines[:300])
    first = group(address, name, topics, 600)
    for topic in topics:
        produce(address, topic, lines[300:])
    second = group(address, name, topics, 600)
    values = sorted(line.split(b" ", 3)[3] for line in first)
    check_equal(digest(values), digest(sorted(lines[:300] * 2)), "first run")
    values = sorted(line.split(b" ", 3)[3] for line in second)
    check_equal(digest(values), digest(sorted(lines[300:] * 2)), "second run")


@suite.case("a second member takes half of the partitions and gives them back", timeout=90)
def group_of_two(address):
    topic, name = fresh("shared"), fresh("group")
    produce(address, topic, lines_of(40))
    arguments = ["kcat", "-b", address, "-G", name, "-X", "auto.offset.reset=earliest", "-X",
                 "session.timeout.ms=6000", "-f", "%p %s\n", "-u", topic]

    class Member:
        def __init__(self):
            self.notes = tempfile.TemporaryFile()
            self.out = tempfile.TemporaryFile()
            self.child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.notes)

        def assigned(self):
            self.notes.seek(0)
            lines = [line for line in self.notes.read().decode().split("\n") if "assigned:" in line]
            return lines[-1].count(topic) if lines else 0

        def values(self):
            self.out.seek(0)
            return [line.split(b" ", 1)[1] for line in self.out.read().split(b"\n")[:-1]]

    def wait(condition, what):
        end = time.monotonic() + 25
        while not condition():
            check(time.monotonic() < end, f"not within 25 s: {what}")
            time.sleep(0.05)
    one, two = Member(), None
    try:
        wait(lambda: one.assigned() == 4, "the first member has 4 partitions")
        two = Member()
        wait(lambda: one.assigned() == 2 and two.assigned() == 2, "both have 2 partitions")
        two.child.terminate()
        two.child.wait(20)
        wait(lambda: one.assigned() == 4, "the first member has all again")
        more = [b"late %d" % index for index in range(40)]
        produce(address, topic, more)
        wait(lambda: set(more) <= set(one.values()), "the first member reads all partitions")
    finally:
        for member in (one, two):
            if member and member.child.poll() is None:
                member.child.kill()
                member.child.wait()


@suite.case("all of it is there after a stop and after kill -9", timeout=120)
def restart(unused):
    broker = Broker().start()
    try:
        topic, name, lines = fresh("restart"), fresh("group"), lines_of(3000)
        produce(broker.address, topic, lines[:1000], "-p", "0", "-z", "zstd")
        check_equal(len(group(broker.address, name, [topic], 1000)), 1000, "records of the first life")
        broker.stop()
        broker.start()
        produce(broker.address, topic, lines[1000:2000], "-p", "0", "-X", "acks=all")
        broker.kill()
        broker.start()
        check_equal(digest(consume(broker.address, topic)), digest(lines[:2000]), "sum after kill -9")
        produce(broker.address, topic, lines[2000:], "-p", "0")
        seen = [line.split(b" ", 3)[3] for line in group(broker.address, name, [topic], 2000)]
        check_equal(digest(seen), digest(lines[1000:]), "the group goes on where it had committed")
    finally:
        broker.close()


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    sys.exit(suite.main())
