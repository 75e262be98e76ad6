"""Just enough of Kafka's protocol to see the error code of every partition: librdkafka retries
KAFKA_STORAGE_ERROR in silence, and a judge needs to know "refused" from "not there".

Uncompressed batches only. Whatever does not arrive within the time-out raises Silent.
"""
import hashlib
import socket
import struct
import time

from checksum import crc32c

ERRORS = {0: "none", 1: "OFFSET_OUT_OF_RANGE", 2: "CORRUPT_MESSAGE", 3: "UNKNOWN_TOPIC_OR_PARTITION",
          5: "LEADER_NOT_AVAILABLE", 6: "NOT_LEADER_OR_FOLLOWER", 7: "REQUEST_TIMED_OUT",
          36: "TOPIC_ALREADY_EXISTS", 56: "KAFKA_STORAGE_ERROR", -1: "UNKNOWN_SERVER_ERROR"}
# What a client tries again by itself.
RETRIABLE = {2, 3, 5, 6, 7, 56}
PRODUCE, FETCH, LIST_OFFSETS = 0, 1, 2
EARLIEST, LATEST = -2, -1


class Silent(Exception):
    """No answer in time, or a connection that ended."""


def error_name(code):
    return ERRORS.get(code, f"error {code}")


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def varint(value):
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value >> 1 ^ -(value & 1), at


def make_batch(records):
    """One batch of (key, value) pairs, of no producer id."""
    body = bytearray()
    for index, (key, value) in enumerate(records):
        record = b"\0" + varint(0) + varint(index) + varint(len(key)) + key + varint(len(value)) + value + varint(0)
        body += varint(len(record)) + record
    now = int(time.time() * 1000)
    tail = struct.pack(">hiqqqhii", 0, len(records) - 1, now, now, -1, -1, -1, len(records)) + bytes(body)
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail)) + tail


def records_of(data):
    """(offset, key, value) of all whole batches."""
    at = 0
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        if at + 12 + length > len(data):
            return
        attributes, = struct.unpack_from(">h", data, at + 21)
        if attributes & 7:
            raise Silent(f"a batch at offset {base} is compressed")
        count, = struct.unpack_from(">i", data, at + 57)
        place = at + 61
        for _ in range(count):
            size, place = read_varint(data, place)
            end = place + size
            _, place = read_varint(data, place + 1)
            delta, place = read_varint(data, place)
            fields = []
            for _ in range(2):
                size, place = read_varint(data, place)
                fields.append(data[place:place + size] if size >= 0 else None)
                place += max(size, 0)
            yield base + delta, fields[0], fields[1]
            place = end
        at += 12 + length


class Wire:
    def __init__(self, address, timeout=10):
        host, port = address.split(":")
        self.timeout = timeout
        self.number = 0
        self.socket = None
        try:
            self.socket = socket.create_connection((host, int(port)), timeout)
        except OSError as error:
            raise Silent(f"no connection: {error}") from None

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def call(self, api, version, body):
        self.number += 1
        head = struct.pack(">hhi", api, version, self.number) + text("torture")
        end = time.monotonic() + self.timeout
        try:
            self.socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
            size, = struct.unpack(">i", self.take(4, end))
            answer = self.take(size, end)
        except OSError as error:
            raise Silent(f"no answer: {error}") from None
        return answer[4:]

    def take(self, size, end):
        data = bytearray()
        while len(data) < size:
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise Silent("the broker closed the connection")
            data += piece
        return bytes(data)

    def offset(self, topic, partition, which):
        """(error, offset)"""
        answer = self.call(LIST_OFFSETS, 1, struct.pack(">ii", -1, 1) + text(topic) + struct.pack(">iiq", 1, partition,
                                                                                                 which))
        _, error, _, offset = struct.unpack_from(">ihqq", answer, 4 + 2 + len(topic) + 4)
        return error, offset

    def fetch(self, topic, partition, offset, bytes_max=1 << 20):
        """(error, high watermark, bytes of batches)"""
        body = (struct.pack(">iiiibi", -1, 100, 1, bytes_max, 0, 1) + text(topic) +
                struct.pack(">iiqi", 1, partition, offset, bytes_max))
        answer = self.call(FETCH, 4, body)
        at = 4 + 4 + 2 + len(topic) + 4
        _, error, high, _, aborted = struct.unpack_from(">ihqqi", answer, at)
        at += 26 + 16 * max(aborted, 0)
        size, = struct.unpack_from(">i", answer, at)
        return error, high, answer[at + 4:at + 4 + max(size, 0)]

    def produce(self, topic, partition, records):
        """(error, base offset); acks=all."""
        batch = make_batch(records)
        body = (struct.pack(">hhii", -1, -1, int(self.timeout * 1000), 1) + text(topic) +
                struct.pack(">iii", 1, partition, len(batch)) + batch)
        answer = self.call(PRODUCE, 3, body)
        _, error, base, _ = struct.unpack_from(">ihqq", answer, 4 + 2 + len(topic) + 4)
        return error, base


class PartitionRead:
    """What one partition gave away. `error` is a sentence if it refused, at `error_at` or wholly."""

    def __init__(self, partition):
        self.partition = partition
        self.records = []  # as the judge wants them, in the order of reading
        self.end = None
        self.error = ""
        self.error_at = None
        self.hung = ""

    def add(self, data, from_offset):
        """Records at and above from_offset; the offset behind them."""
        after = from_offset
        for offset, key, value in records_of(data):
            if offset < after:
                continue
            self.records.append({"partition": self.partition, "offset": offset, "key": (key or b"").decode(),
                                 "sha256": hashlib.sha256(value or b"").hexdigest()})
            after = offset + 1
        return after

    def add_beyond(self, data, from_offset):
        """What was read already counts only if it differs."""
        seen = {(record["offset"], record["sha256"]) for record in self.records}
        before = len(self.records)
        self.add(data, from_offset)
        self.records[before:] = [record for record in self.records[before:]
                                 if (record["offset"], record["sha256"]) not in seen]
        self.records.sort(key=lambda record: record["offset"])


def read_partition(address, topic, partition, beyond=(), timeout=20):
    """Reads from the first to the last offset. Behind an error it looks at the offsets `beyond`
    it, because there too it must be the right bytes or an error."""
    read = PartitionRead(partition)
    try:
        with Wire(address) as wire:
            error, start = wire.offset(topic, partition, EARLIEST)
            if not error:
                error, read.end = wire.offset(topic, partition, LATEST)
            if error:
                read.error, read.error_at = error_name(error), 0
                return read
            read_range(wire, topic, read, start, timeout)
            if read.error:
                for offset in [at for at in beyond if at > read.error_at]:
                    error, _, data = wire.fetch(topic, partition, offset)
                    if not error:
                        read.add_beyond(data, offset)
    except Silent as silent:
        read.hung = str(silent)
    return read


def read_range(wire, topic, read, at, timeout):
    end = time.monotonic() + timeout
    while at < read.end:
        error, _, data = wire.fetch(topic, read.partition, at)
        if error:
            read.error, read.error_at = error_name(error), at
            return
        after = read.add(data, at)
        if after == at and time.monotonic() > end - timeout + 3 or time.monotonic() > end:
            read.hung = f"nothing more at offset {at} of {read.end}"
            return
        at = after
