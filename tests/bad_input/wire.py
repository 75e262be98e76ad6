"""Kafka's protocol as a hostile client needs it: every field can be wrong. Standard library only.

Numbers are big-endian. Batches are of magic 2, and each of their header's fields can be replaced.
"""
import os
import socket
import struct
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "clients"))

from checksum import crc32c  # noqa: E402

PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH = 0, 1, 2, 3, 8, 9
FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT, SYNC_GROUP = 10, 11, 12, 14
API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, INIT_PRODUCER_ID = 18, 19, 20, 22
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
CODECS = {"gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}


class Closed(Exception):
    """The broker ended the connection."""


class Silent(Exception):
    """Neither an answer nor an end in time."""


def i8(value):
    return struct.pack(">b", value)


def i16(value):
    return struct.pack(">h", value)


def i32(value):
    return struct.pack(">i", value)


def i64(value):
    return struct.pack(">q", value)


def text(value):
    return i16(-1) if value is None else i16(len(value.encode())) + value.encode()


def blob(value):
    return i32(-1) if value is None else i32(len(value)) + value


def array(items):
    return i32(len(items)) + b"".join(items)


def uvarint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def varint(value):
    return uvarint((value << 1 ^ value >> 63) & (1 << 64) - 1)


def compact(value):
    return uvarint(len(value.encode()) + 1) + value.encode()


def record(index, key, value, time_delta=0):
    body = (b"\0" + varint(time_delta) + varint(index) + varint(-1 if key is None else len(key)) + (key or b"") +
            varint(len(value)) + value + varint(0))
    return varint(len(body)) + body


def batch(values=(b"v",), payload=None, codec=NONE, count=None, last_delta=None, length=None, crc=None, magic=2,
          attributes=0, base_offset=0, timestamp=None, producer=-1, epoch=-1, sequence=-1, keys=None):
    """One batch. `payload` replaces the (compressed) records."""
    if payload is None:
        payload = b"".join(record(index, keys[index] if keys else None, value) for index, value in enumerate(values))
    count = len(values) if count is None else count
    last_delta = count - 1 if last_delta is None else last_delta
    now = int(time.time() * 1000) if timestamp is None else timestamp
    tail = struct.pack(">hiqqqhii", attributes | codec, last_delta, now, now, producer, epoch, sequence, count) + payload
    crc = crc32c(tail) if crc is None else crc
    length = len(tail) + 9 if length is None else length
    return struct.pack(">qiibI", base_offset, length, -1, magic, crc) + tail


# Payloads that open to much: one record whose value never ends. `opened` bytes is what they open to.

def bomb_start(value_bytes):
    inside = b"\0" + varint(0) + varint(0) + varint(-1) + varint(value_bytes)
    return varint(len(inside) + value_bytes + 1) + inside


def gzip_of(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def gzip_bomb(start, bytes_max):
    """Members behind one another, as gzip permits."""
    member = gzip_of(bytes(64 << 20))
    out = gzip_of(start)
    count = (bytes_max - len(out)) // len(member)
    return out + member * count, len(start) + count * (64 << 20)


def snappy_bomb(start, bytes_max):
    """A raw block: a literal, then copies of 64 bytes each of the byte before."""
    head = bytes([(len(start) - 1) << 2]) + start
    count = (bytes_max - len(head) - 5) // 3
    opened = len(start) + 64 * count
    return uvarint(opened) + head + bytes([63 << 2 | 2, 1, 0]) * count, opened


def xxh32(data):
    """Of fewer than 16 bytes."""
    mask = (1 << 32) - 1
    value = 374761393 + len(data) & mask
    at = 0
    while at + 4 <= len(data):
        value = value + struct.unpack_from("<I", data, at)[0] * 3266489917 & mask
        value = (value << 17 | value >> 15) * 668265263 & mask
        at += 4
    for byte in data[at:]:
        value = value + byte * 374761393 & mask
        value = (value << 11 | value >> 21) * 2654435761 & mask
    value = (value ^ value >> 15) * 2246822519 & mask
    value = (value ^ value >> 13) * 3266489917 & mask
    return value ^ value >> 16


def lz4_bomb(start, bytes_max):
    """A frame of independent blocks of 4 MiB, each one literal and one match."""
    flags = bytes([0x60, 0x70])
    frame = struct.pack("<I", 0x184D2204) + flags + bytes([xxh32(flags) >> 8 & 255])

    def block(literal, size):
        match = size - len(literal) - 5  # the last five bytes are literals
        extra, rest = divmod(match - 4 - 15, 255)
        data = (bytes([min(len(literal), 15) << 4 | 15]) + (bytes([len(literal) - 15]) if len(literal) >= 15 else b"") +
                literal + struct.pack("<H", 1) + b"\xff" * extra + bytes([rest]) + bytes([5 << 4]) + bytes(5))
        return struct.pack("<I", len(data)) + data

    full = 4 << 20
    first, other = block(start + b"\0", full), block(b"\0", full)
    count = (bytes_max - len(frame) - len(first) - 4) // len(other)
    return frame + first + other * count + bytes(4), full * (count + 1)


def zstd_frame(start, run_count, window=0x58):
    """A raw block and runs of 128 KiB, four bytes each. `window` 0x58 is 2 MiB."""
    def head(kind, size, last=False):
        return struct.pack("<I", int(last) | kind << 1 | size << 3)[:3]
    runs = (head(1, 128 << 10) + b"\0") * run_count
    return b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + head(0, len(start)) + start + runs + head(0, 0, True)


def zstd_bomb(start, bytes_max, window=0x58):
    count = (bytes_max - len(start) - 32) // 4
    return zstd_frame(start, count, window), len(start) + count * (128 << 10)


BOMBS = {"gzip": gzip_bomb, "snappy": snappy_bomb, "lz4": lz4_bomb, "zstd": zstd_bomb}


def bomb(codec, bytes_max=1000000, value_bytes=60 << 20):
    """(a batch, the bytes it opens to)"""
    payload, opened = BOMBS[codec](bomb_start(value_bytes), bytes_max)
    return batch(payload=payload, codec=CODECS[codec], count=1), opened


def produce_body(topic, batches, acks=-1, timeout=10000, transactional=None):
    """Of version 3 to 8. `batches`: (partition, bytes)."""
    partitions = [i32(index) + blob(data) for index, data in batches]
    return text(transactional) + i16(acks) + i32(timeout) + i32(1) + text(topic) + array(partitions)


def fetch_body(topic, partitions, wait=0, bytes_min=1, bytes_max=1 << 20, replica=-1, session=(0, -1), version=11,
               partition_bytes=1 << 20):
    """Of version 7 to 11. `partitions`: (index, offset, leader epoch)."""
    rows = []
    for index, offset, epoch in partitions:
        rows.append(i32(index) + (i32(epoch) if version >= 9 else b"") + i64(offset) + i64(-1) + i32(partition_bytes))
    return (i32(replica) + i32(wait) + i32(bytes_min) + i32(bytes_max) + i8(0) + i32(session[0]) + i32(session[1]) +
            i32(1) + text(topic) + array(rows) + i32(0) + (text("") if version >= 11 else b""))


def join_body(group, member="", instance=None, session=10000, rebalance=10000, metadata=b"m", protocol="range"):
    """Of version 5."""
    return (text(group) + i32(session) + i32(rebalance) + text(member) + text(instance) + text("consumer") +
            array([text(protocol) + blob(metadata)]))


class Connection:
    def __init__(self, address, timeout=10.0, receive_bytes=0, source=None):
        self.timeout = timeout
        self.number = 0
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        self.name = "%s:%d" % self.socket.getsockname()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except TimeoutError:
            raise Silent("it does not read") from None
        except OSError as error:
            raise Closed(str(error)) from None

    def frame(self, api, version, body, client="bad", flexible=False):
        self.number += 1
        head = i16(api) + i16(version) + i32(self.number) + text(client) + (b"\0" if flexible else b"")
        return i32(len(head) + len(body)) + head + body

    def request(self, api, version, body, client="bad", flexible=False):
        self.send(self.frame(api, version, body, client, flexible))

    def take(self, size):
        end = time.monotonic() + self.timeout
        data = bytearray()
        while len(data) < size:
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                piece = self.socket.recv(min(size - len(data), 1 << 20))
            except TimeoutError:
                raise Silent(f"{len(data)} of {size} bytes") from None
            except OSError as error:
                raise Closed(str(error)) from None
            if not piece:
                raise Closed("end of stream")
            data += piece
        return bytes(data)

    def answer(self):
        """The body of the next answer; its correlation id must be of this connection's requests."""
        size, = struct.unpack(">i", self.take(4))
        data = self.take(size)
        self.answered, = struct.unpack_from(">i", data)
        return data[4:]

    def call(self, api, version, body, client="bad", flexible=False):
        self.request(api, version, body, client, flexible)
        data = self.answer()
        if self.answered != self.number:
            raise Closed(f"answer {self.answered} to request {self.number}")
        return data

    def ends(self):
        """True if the broker ends the connection without another byte, before the time-out."""
        try:
            self.take(1)
        except Closed:
            return True
        except Silent:
            return False
        return False

    # What a case asks most. Each gives error codes.

    def produce(self, topic, batches, version=7, **more):
        """{partition: (error, base offset)}"""
        data = self.call(PRODUCE, version, produce_body(topic, batches, **more))
        at = 4 + 2 + len(topic)
        count, = struct.unpack_from(">i", data, at)
        at += 4
        seen = {}
        for _ in range(count):
            index, error, base = struct.unpack_from(">ihq", data, at)
            at += 4 + 2 + 8 + 8 + (8 if version >= 5 else 0)
            if version >= 8:
                errors, = struct.unpack_from(">i", data, at)
                at += 4
                for _ in range(errors):
                    at = skip_text(data, at + 4)
                at = skip_text(data, at)
            seen[index] = (error, base) if index not in seen else (max(error, seen[index][0]), base)
        return seen

    def fetch(self, topic, partitions, version=11, **more):
        """(error of the answer, {partition: (error, bytes of records)})"""
        data = self.call(FETCH, version, fetch_body(topic, partitions, version=version, **more))
        error, _, topics = struct.unpack_from(">hii", data, 4)
        at = 14
        seen = {}
        for _ in range(topics):
            at = skip_text(data, at)
            count, = struct.unpack_from(">i", data, at)
            at += 4
            for _ in range(count):
                index, failed = struct.unpack_from(">ih", data, at)
                at += 6 + 24
                aborted, = struct.unpack_from(">i", data, at)
                at += 4 + 16 * max(aborted, 0) + (4 if version >= 11 else 0)
                size, = struct.unpack_from(">i", data, at)
                at += 4 + max(size, 0)
                seen[index] = (failed, max(size, 0))
        return error, seen

    def join(self, group, **more):
        """(error, generation, member)"""
        data = self.call(JOIN_GROUP, 5, join_body(group, **more))
        error, generation = struct.unpack_from(">hi", data, 4)
        at = skip_text(data, skip_text(data, 10))
        size, = struct.unpack_from(">h", data, at)
        return error, generation, data[at + 2:at + 2 + size].decode()

    def create(self, name, partitions=1, configs=()):
        settings = array([text(key) + text(value) for key, value in configs])
        topic = text(name) + i32(partitions) + i16(1) + i32(0) + settings
        data = self.call(CREATE_TOPICS, 2, array([topic]) + i32(10000) + i8(0))
        return struct.unpack_from(">h", data, skip_text(data, 8))[0]


def skip_text(data, at):
    size, = struct.unpack_from(">h", data, at)
    return at + 2 + max(size, 0)
