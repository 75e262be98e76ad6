"""The crowd of tests/bad_input/memory, each kind in a process of its own, and the one client that does everything right.

Every function here is a process: it has a Control, says what it saw in a dictionary, and ends when it is told to. The
crowd is niced, so that the broker and the good client do not lose the processor to those who attack them.
"""
import errno
import multiprocessing
import os
import random
import re
import select
import socket
import time

import wire

GOOD_TOPIC, LOAD_TOPIC, PACKED_TOPIC = "good", "load", "packed"
LOAD_PARTITIONS = PACKED_PARTITIONS = 8
PER_SECOND = 200
NICE = 10
# Answers that a batch of no honest client may get: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_RECORD.
BOMB_ERRORS = {2, 10, 87}
FRAME_BYTES = (64 << 10, 256 << 10, 1000000)
PROCESSES = multiprocessing.get_context("fork")


class Control:
    """Starts `run(control, *args)` as a process. It works from go() to stop(), which gives what it saw."""

    def __init__(self, run, *args):
        self.ours, self.theirs = PROCESSES.Pipe()
        self.process = PROCESSES.Process(target=self.main, args=(run, args), daemon=True)
        self.process.start()

    def main(self, run, args):
        self.ours.close()
        try:
            self.theirs.send(run(self, *args))
        except Exception as problem:
            self.theirs.send({"broken": f"{type(problem).__name__}: {problem}"})

    def told(self, wait=0.0):
        """In the process: whether a word has come; go and stop are both one."""
        if not self.theirs.poll(wait):
            return False
        self.theirs.recv()
        return True

    def word(self):
        self.ours.send("word")

    def seen(self, timeout=60):
        if not self.ours.poll(timeout):
            return {"broken": "it does not end"}
        return self.ours.recv()

    def end(self):
        self.process.kill()
        self.process.join()


def source(index):
    """Each address may make 200 connections a second."""
    return f"127.0.0.{2 + index % 8}"


def good_value(index):
    return b"good-%09d" % index + bytes(86)


class GoodClient:
    """One produce and one fetch in flight, PER_SECOND a second, alone on its topic."""

    def __init__(self, address):
        self.writer, self.reader = wire.Connection(address, timeout=30), wire.Connection(address, timeout=30)
        self.next, self.errors, self.produce_ms, self.fetch_ms = 0, [], [], []

    def one(self):
        at = time.monotonic()
        error, base = self.writer.produce(GOOD_TOPIC, [(0, wire.batch([good_value(self.next)]))])[0]
        produced = time.monotonic()
        if error != 0 or base != self.next:
            self.errors.append(f"produce {self.next} gets error {error}, offset {base}")
        self.next = max(self.next, base + 1)
        failed, seen = self.reader.fetch(GOOD_TOPIC, [(0, max(base, 0), -1)])
        fetched = time.monotonic()
        if (failed, seen[0][0]) != (0, 0) or seen[0][1] < 100:
            self.errors.append(f"fetch of {base} gets {failed}, {seen}")
        self.produce_ms.append((produced - at) * 1000)
        self.fetch_ms.append((fetched - produced) * 1000)

    def lost(self):
        """How many of what was acknowledged are not where they were acknowledged."""
        found, at = [], 0
        while at < self.next:
            data = self.reader.call(wire.FETCH, 11, wire.fetch_body(GOOD_TOPIC, [(0, at, -1)]))
            part = [int(number) for number in re.findall(rb"good-(\d{9})", data)]
            if not part:
                break
            found += part
            at = found[-1] + 1
        return self.next - sum(index == number for index, number in enumerate(found))


def good_client(control, address):
    """Two phases, before and during; a word ends each. Then everything is read again."""
    client = GoodClient(address)
    seen = {}
    for phase in ("before", "during"):
        client.produce_ms, client.fetch_ms = [], []
        due = time.monotonic()
        while not control.told():
            client.one()
            due = max(due + 1 / PER_SECOND, time.monotonic() - 0.05)
            time.sleep(max(0.0, due - time.monotonic()))
        seen[phase] = {"produce": client.produce_ms, "fetch": client.fetch_ms}
    seen.update(errors=client.errors, acknowledged=client.next, lost=client.lost())
    return seen


def slow_readers(control, address, count):
    """Each asks for 8 to 16 MiB, three requests ahead, and reads 4 KiB a second."""
    os.nice(NICE)
    rng = random.Random(1)
    readers, ended = [None] * count, 0

    def connect(index):
        one = wire.Connection(address, timeout=10, receive_bytes=4096, source=source(index))
        size = rng.randrange(8 << 20, 16 << 20)
        first = rng.randrange(LOAD_PARTITIONS)
        rows = [((first + step) % LOAD_PARTITIONS, 0, -1) for step in range(LOAD_PARTITIONS)]
        body = wire.fetch_body(LOAD_TOPIC, rows, bytes_max=size, partition_bytes=size)
        one.send(one.frame(wire.FETCH, 11, body) * 3)
        one.socket.setblocking(False)
        return one

    reading = 0
    while True:
        begin = time.monotonic()
        for index in range(count):
            try:
                if readers[index] is None:
                    readers[index] = connect(index)
                elif not readers[index].socket.recv(4096):
                    raise OSError(errno.ECONNRESET, "ended")
                else:
                    reading += 1
            except BlockingIOError:
                pass
            except (OSError, wire.Closed):
                ended += 1
                if readers[index] is not None:
                    readers[index].socket.close()
                readers[index] = None
        if control.told(max(0.0, begin + 1 - time.monotonic())):
            return {"ended": ended, "reads": reading}


def pipelining_writers(control, address, count):
    """Each sends produce requests of 64 KiB to 1 MB as fast as they are taken, and reads no answer."""
    os.nice(NICE)
    payload = {size: wire.batch([os.urandom(size - 300)]) for size in FRAME_BYTES}
    poll, writers, sent, ended = select.epoll(), {}, 0, 0

    def connect(index):
        one = wire.Connection(address, timeout=10, receive_bytes=4096, source=source(index))
        body = wire.produce_body(LOAD_TOPIC, [(index % LOAD_PARTITIONS, payload[FRAME_BYTES[index % len(FRAME_BYTES)]])])
        one.index, one.at, one.data = index, 0, memoryview(one.frame(wire.PRODUCE, 7, body))
        one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 128 << 10)
        one.socket.setblocking(False)
        writers[one.socket.fileno()] = one
        poll.register(one.socket.fileno(), select.EPOLLOUT)

    for index in range(count):
        connect(index)
    while not control.told():
        for descriptor, _ in poll.poll(0.1):
            one = writers[descriptor]
            try:
                count = one.socket.send(one.data[one.at:])
                one.at = (one.at + count) % len(one.data)
                sent += count
            except BlockingIOError:
                pass
            except OSError:
                ended += 1
                poll.unregister(descriptor)
                one.socket.close()
                del writers[descriptor]
                connect(one.index)
    return {"sent": sent, "ended": ended}


def big_window_batch():
    """A batch of one good record of 60 MiB in 2 KB, whose frame asks for a window of 64 MiB: the whole is in memory."""
    value = 60 << 20
    start = wire.bomb_start(value)
    runs = value // (128 << 10)
    end = b"\0"  # no headers
    frame = wire.zstd_frame(start, runs, 0x80)
    last = (len(end) << 3 | 1).to_bytes(3, "little") + end  # a last raw block instead of the empty one
    return wire.batch(payload=frame[:-3] + last, codec=wire.ZSTD, count=1)


def bombs(control, address):
    """One of each codec after the other on a connection each, and what opens to 60 MiB rightly, on a topic that packs again."""
    os.nice(NICE)
    batches = {codec: wire.bomb(codec)[0] for codec in wire.BOMBS}
    jobs = []
    for index, (codec, batch) in enumerate(batches.items()):
        jobs.append((codec, LOAD_TOPIC, index, batch, BOMB_ERRORS))
    # What opens to 60 MiB and is right is taken, or refused as what is too large: never by a crash.
    jobs += [("zstd, a window of 64 MiB", PACKED_TOPIC, index, big_window_batch(), {0} | BOMB_ERRORS)
             for index in range(PACKED_PARTITIONS)]
    poll, running, answers, wrong = select.epoll(), {}, {}, []
    for name, topic, partition, batch, expected in jobs:
        one = wire.Connection(address, timeout=60)
        one.name, one.expected = name, expected
        one.again = one.frame(wire.PRODUCE, 7, wire.produce_body(topic, [(partition, batch)]))
        one.error_at = 4 + 2 + len(topic) + 4 + 4
        running[one.socket.fileno()] = one
        poll.register(one.socket.fileno(), select.EPOLLIN)
        one.send(one.again)
    while not control.told():
        for descriptor, _ in poll.poll(0.1):
            one = running[descriptor]
            answer = one.answer()
            error = int.from_bytes(answer[one.error_at:one.error_at + 2], "big", signed=True)
            answers[one.name] = answers.get(one.name, 0) + 1
            if error not in one.expected:
                wrong.append(f"{one.name}: error {error}")
            one.send(one.again)
    return {"answers": answers, "wrong": wrong}
