"""The rows of bad input that concern frames, decoding, batches, fetches and groups.

A case is a function of a Target. Its row is the number in the project's table of bad inputs; its
`says` are words of the one line in the broker's log, or nothing where there is no line to be.
"""
import os
import socket
import struct
import threading
import time

import wire
from rig import PARTITIONS, TOPIC, check, expect_one_line, wait_for
from wire import (API_VERSIONS, CREATE_TOPICS, FETCH, INIT_PRODUCER_ID, JOIN_GROUP, METADATA, OFFSET_COMMIT, PRODUCE,
                  SYNC_GROUP, Closed, Silent, array, batch, blob, compact, i8, i16, i32, i64, record, text, uvarint)

CORRUPT, TOO_LARGE, METADATA_TOO_LARGE, INVALID_TOPIC, BAD_ACKS, ILLEGAL_GENERATION = 2, 10, 12, 17, 21, 22
UNKNOWN_MEMBER, BAD_SESSION, CLUSTER_AUTHORIZATION, BAD_TIMESTAMP, UNSUPPORTED_VERSION = 25, 26, 31, 32, 35
INVALID_REQUEST, OLD_FORMAT, POLICY, OUT_OF_ORDER, BAD_EPOCH = 42, 43, 44, 45, 47
NO_SESSION, UNKNOWN_EPOCH, BAD_CODEC, MEMBER_ID_REQUIRED = 70, 75, 76, 79
GROUP_FULL, FENCED_INSTANCE, INVALID_RECORD, UNKNOWN_TOPIC_ID = 81, 82, 87, 100
CASES = []


class Case:
    def __init__(self, row, title, run, slow=False):
        self.row, self.title, self.run, self.slow = row, title, run, slow


def case(row, title, slow=False):
    def add(function):
        CASES.append(Case(row, title, function, slow))
        return function
    return add


def ended(row, title, data, says, counter=None, flexible_end=False):
    """A case whose bytes end the connection at once."""
    def run(target):
        before = target.metric(f'paceline_bad_frames_total{{reason="{counter}"}}') if counter else 0
        log = target.log_size()
        with target.connect(timeout=5) as one:
            try:
                one.send(data(one) if callable(data) else data)
            except Closed:
                pass
            check(one.ends(), "the connection lives, or an answer came")
            expect_one_line(target, one, log, says)
        if counter:
            after = target.metric(f'paceline_bad_frames_total{{reason="{counter}"}}')
            check(after == before + 1, f"bad_frames{{{counter}}} went from {before:g} to {after:g}")
    CASES.append(Case(row, title, run))


def refused(row, title, ask, error, says):
    """A case whose request is answered with an error, on a connection that lives on."""
    wanted = error if isinstance(error, tuple) else (error,)

    def run(target):
        log = target.log_size()
        with target.connect() as one:
            seen = ask(one)
            check(seen in wanted, f"error {seen}, not {wanted}")
            expect_one_line(target, one, log, says)
            one.call(API_VERSIONS, 0, b"")
    CASES.append(Case(row, title, run))


# Frames.

for size in (0, 7, -1, -(1 << 31), (100 << 20) + 1, (1 << 31) - 1):
    ended(1, f"a frame of {size} bytes", i32(size), ["ends: a frame of"], "size")
ended(2, "HTTP", b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n", ["looks like HTTP"], "size")
ended(2, "TLS", bytes.fromhex("1603010200010001fc0303") + bytes(64), ["looks like TLS"], "size")


@case(4, "half a frame, then silence", slow=True)
def half_a_frame(target):
    before, log = target.metric('paceline_bad_frames_total{reason="late"}'), target.log_size()
    many = [target.connect(timeout=70) for _ in range(20)]
    for one in many:
        one.send(i32(90 << 20) + i16(PRODUCE) + bytes(1000))
    check(target.rss() < target.baseline + (64 << 20), "lengths alone took memory")
    for one in many:
        # A big frame has a second more for each of its mebibytes.
        one.timeout = 130
    small = target.connect(timeout=60)
    small.send(i32(1000) + b"abc")
    check(small.ends(), "half a small frame lives on")
    expect_one_line(target, small, log, ["did not arrive in time"])
    check(target.metric('paceline_bad_frames_total{reason="late"}') > before, "it is not counted")
    for one in many + [small]:
        one.socket.close()


@case(4, "one byte a second", slow=True)
def one_byte_a_second(target):
    log = target.log_size()
    with target.connect(timeout=1) as one:
        frame = one.frame(API_VERSIONS, 0, bytes(100))
        begin = time.monotonic()
        try:
            for byte in frame:
                one.send(bytes([byte]))
                check(not one.ends() or time.monotonic() - begin > 25, "it ends too early")
                check(time.monotonic() - begin < 60, "it lives on")
        except Closed:
            pass
        expect_one_line(target, one, log, ["did not arrive in time"])


@case(5, "600 connections at once that never speak")
def silent_connections(target):
    many = [target.connect() for _ in range(600)]
    target.expect_served()
    with target.connect(timeout=20) as one:
        one.call(API_VERSIONS, 0, b"")  # it may wait for its turn, and is served
    for one in many:
        one.socket.close()


@case(5, "more connections than one address may have")
def connections_of_one_address(target):
    log, before = target.log_size(), target.metric("paceline_connections_refused_total")
    many = [target.connect() for _ in range(2100)]
    wait_for(lambda: target.metric("paceline_connections_refused_total") > before, "some are refused", 30)
    wait_for(lambda: "is refused: " in target.logged(log), "a line tells of it")
    check(target.logged(log).count("is refused: ") <= 40, "every refusal has a line")
    for one in many:
        one.socket.close()
    wait_for(lambda: target.metric("kafka_server_socket_server_metrics_connection_count") < 20, "they are gone", 30)


ended(6, "an unknown API", lambda one: one.frame(999, 0, b""), ["API 999 v0 is not served"], "api")
ended(6, "a negative API", lambda one: one.frame(-2, 0, b""), ["API -2 v0 is not served"], "api")
ended(6, "a version too high", lambda one: one.frame(FETCH, 99, b"", flexible=True), ["Fetch v99 is not served"], "api")
ended(6, "a negative version", lambda one: one.frame(PRODUCE, -1, b""), ["Produce v-1 is not served"], "api")
refused(6, "ApiVersions too high", lambda one: struct.unpack_from(">h", one.call(API_VERSIONS, 99, b"x", flexible=True))[0],
        UNSUPPORTED_VERSION, ["ApiVersions v99", "UNSUPPORTED_VERSION"])
ended(7, "a client id of length -2", i32(10) + i16(METADATA) + i16(0) + i32(1) + i16(-2),
      ["unreadable request header"], "header")
ended(7, "a client id longer than the frame", i32(10) + i16(METADATA) + i16(0) + i32(1) + i16(32000),
      ["unreadable request header"], "header")
ended(7, "a header without tags where they belong", lambda one: one.frame(METADATA, 12, b"\x7f\xff\xff\xff\x0f"),
      ["unreadable request header"], "header")
ended(7, "a header with tags where none belong", lambda one: one.frame(METADATA, 1, i32(-7), flexible=True)[:-2] +
      b"\x01\x01", ["Metadata v1"], "body")

ELEMENTS = (1 << 31) - 1
for title, api, version, body in (
        ("an array of 2^31 - 1 topics", METADATA, 1, i32(ELEMENTS)),
        ("an array of -5", METADATA, 1, i32(-5)),
        ("a null array where none may be", CREATE_TOPICS, 2, i32(-1)),
        ("a string longer than the request", METADATA, 1, i32(1) + i16(30000) + b"short"),
        ("a negative string length", METADATA, 1, i32(1) + i16(-9)),
        ("a null string where none may be", JOIN_GROUP, 5, i16(-1) + bytes(30)),
        ("bytes longer than the request", PRODUCE, 7, i16(-1) + i16(-1) + i32(1) + i32(1) + text("t") + i32(1) +
         i32(0) + i32(1 << 30) + b"short"),
        ("a request that ends in a number", FETCH, 11, bytes(9)),
        ("an array of more elements than a request may have", FETCH, 11,
         i32(-1) + i32(0) + i32(0) + i32(1) + i8(0) + i32(0) + i32(-1) + i32(1) + text("t") + i32(300000) +
         bytes(32 * 300000))):
    ended(8, title, lambda one, api=api, version=version, body=body: one.frame(api, version, body),
          ["has" if "null" in title or "negative" in title or "-5" in title or "more" in title else "v"], "body")
ended(8, "a compact array of 2^31 - 1", lambda one: one.frame(METADATA, 12, uvarint(ELEMENTS), flexible=True),
      ["Metadata v12"], "body")


def tags(count, same=False, falling=False):
    numbers = [7] * count if same else range(count, 0, -1) if falling else range(count)
    return uvarint(count) + b"".join(uvarint(number) + b"\0" for number in numbers)


def tagged_header(one, data):
    body = i16(API_VERSIONS) + i16(3) + i32(1) + text("bad") + data + compact("a") + compact("1") + b"\0"
    return i32(len(body)) + body


for title, data in (("a million tags", tags(1000000)), ("129 tags", tags(129)), ("a tag twice", tags(2, same=True)),
                    ("falling tags", tags(2, falling=True))):
    ended(9, title + " in the header", lambda one, data=data: tagged_header(one, data), ["unreadable"], "header")
    ended(9, title + " in the body", lambda one, data=data: one.frame(
        API_VERSIONS, 3, compact("a") + compact("1") + data, flexible=True), ["ApiVersions v3", "tag"], "body")


@case(10, "bytes behind a request are ignored, counted and told once")
def trailing_bytes(target):
    before = target.metric("paceline_frames_left_over_total")
    log = target.log_size()
    with target.connect() as one:
        for _ in range(6):
            one.request(METADATA, 1, i32(0) + b"xyz")
        for number in range(1, 7):
            one.answer()
            check(one.answered == number, "answers are out of step")
        one.call(API_VERSIONS, 0, b"")
    check(target.metric("paceline_frames_left_over_total") == before + 6, "they are not counted")
    lines = [line for line in target.logged(log).split("\n") if "bytes behind a Metadata v1" in line]
    check(len(lines) <= 2, f"told too often: {lines}")  # once a shard
    check("bytes behind a Metadata v1" in target.logged(), "it is not told")


# Batches.

def produces(data, version=7, partition=0, **more):
    return lambda one: one.produce(TOPIC, [(partition, data() if callable(data) else data)], version, **more)[partition][0]


refused(14, "a wrong checksum", produces(batch(crc=1)), CORRUPT, ["Produce v7", "CORRUPT_MESSAGE"])


@case(14, "a wrong checksum spares the request's other partitions")
def other_partitions(target):
    with target.connect() as one:
        seen = one.produce(TOPIC, [(0, batch()), (1, batch(crc=1)), (2, batch())])
        check([seen[index][0] for index in range(3)] == [0, CORRUPT, 0], f"seen {seen}")


refused(15, "magic 3", produces(batch(magic=3)), CORRUPT, ["CORRUPT_MESSAGE"])
refused(15, "magic 1", produces(batch(magic=1)), (INVALID_RECORD, OLD_FORMAT), ["Produce v7"])
refused(15, "magic 0", produces(batch(magic=0)), (INVALID_RECORD, OLD_FORMAT), ["Produce v7"])
for title, data in (
        ("a batch length of -1", batch(length=-1)), ("a batch length beyond the set", batch(length=1 << 20)),
        ("a batch length below its header", batch(length=40)),
        ("more records stated than there are", batch(count=2)), ("fewer records stated", batch([b"a", b"b"], count=1)),
        ("a last offset that disagrees", batch([b"a", b"b"], last_delta=5)),
        ("an empty batch", batch([], payload=b"", count=0, last_delta=0)), ("two batches", batch() + batch()),
        ("no batch", b""), ("half a batch", batch()[:40]), ("one byte", b"x"), ("a negative count", batch(count=-1)),
        ("2^31 - 1 records", batch(count=(1 << 31) - 1)), ("a base offset", batch(base_offset=5)),
        ("a record longer than the batch", batch(payload=wire.varint(1 << 20) + bytes(10), count=1)),
        ("a negative record length", batch(payload=wire.varint(-5) + bytes(10), count=1)),
        ("offsets that jump", batch(payload=record(0, None, b"a") + record(5, None, b"b"), count=2)),
        ("a delete horizon", batch(attributes=64))):
    refused(16, title, produces(data), (INVALID_RECORD, CORRUPT), ["Produce v7"])
refused(17, "a control batch", produces(batch(attributes=32)), INVALID_RECORD, ["INVALID_RECORD"])
refused(17, "a control batch in a transaction",
        produces(batch(attributes=48, producer=5, epoch=0, sequence=0)), INVALID_RECORD, ["INVALID_RECORD"])
refused(18, "a producer without a sequence", produces(batch(producer=5, epoch=0, sequence=-1)), INVALID_RECORD,
        ["INVALID_RECORD"])
refused(18, "a producer without an epoch", produces(batch(producer=5, epoch=-1, sequence=0)), INVALID_RECORD,
        ["INVALID_RECORD"])


def after(first, second, error, says):
    def ask(one):
        data = one.call(INIT_PRODUCER_ID, 1, text(None) + i32(1000))
        producer, = struct.unpack_from(">q", data, 6)
        seen = one.produce(TOPIC, [(0, first(producer))])[0][0]
        check(seen == 0, f"the first batch gets {seen}")
        return one.produce(TOPIC, [(0, second(producer))])[0][0]
    return ask, error, says


refused(18, "a stale producer epoch", *after(lambda p: batch(producer=p, epoch=3, sequence=0),
                                            lambda p: batch(producer=p, epoch=2, sequence=1), BAD_EPOCH,
                                            ["INVALID_PRODUCER_EPOCH"]))
refused(18, "a gap in the sequence", *after(lambda p: batch(producer=p, epoch=0, sequence=0),
                                           lambda p: batch(producer=p, epoch=0, sequence=7), OUT_OF_ORDER,
                                           ["OUT_OF_ORDER_SEQUENCE_NUMBER"]))

for codec in wire.BOMBS:
    for title, value_bytes in (("one huge record", 1 << 30), ("a record below the cap and more behind it", 60 << 20)):
        refused(20, f"a {codec} bomb: {title}", produces(lambda codec=codec, v=value_bytes: wire.bomb(codec, value_bytes=v)[0]),
                (TOO_LARGE, INVALID_RECORD, CORRUPT), ["Produce v7"])
SNAPPY_LIES = {
    "a raw length of 4 GiB": uvarint((1 << 32) - 1) + b"\0a",
    "a xerial chunk longer than the batch": b"\x82SNAPPY\0" + i32(1) + i32(1) + i32(1 << 30) + b"abc",
    "a negative xerial chunk": b"\x82SNAPPY\0" + i32(1) + i32(1) + i32(-4) + b"abc"}
for title, payload in SNAPPY_LIES.items():
    refused(20, "snappy: " + title, produces(batch(payload=payload, codec=wire.SNAPPY, count=1)), (CORRUPT, TOO_LARGE),
            ["Produce v7"])
refused(20, "a zstd window of 2 GiB", produces(batch(payload=wire.zstd_frame(wire.bomb_start(1 << 30), 2000, 0xA8),
                                                    codec=wire.ZSTD, count=1)), (CORRUPT, TOO_LARGE), ["Produce v7"])
refused(20, "a zstd window of 128 MiB", produces(batch(payload=wire.zstd_frame(wire.bomb_start(1 << 30), 2000, 0x88),
                                                      codec=wire.ZSTD, count=1)), (TOO_LARGE, INVALID_RECORD, CORRUPT),
        ["Produce v7"])
refused(20, "gzip in gzip", produces(lambda: batch(payload=wire.gzip_of(wire.gzip_of(bytes(1 << 20))), codec=wire.GZIP,
                                                  count=1)), (INVALID_RECORD, CORRUPT), ["Produce v7"])
for name, codec in wire.CODECS.items():
    refused(20, f"{name}: no such stream", produces(batch(payload=b"\xff" * 50, codec=codec, count=1)),
            (CORRUPT, INVALID_RECORD, TOO_LARGE), ["Produce v7"])
refused(21, "zstd before Produce v7", produces(batch(payload=wire.zstd_frame(record(0, None, b"v"), 0), codec=wire.ZSTD,
                                                    count=1), version=6), BAD_CODEC, ["UNSUPPORTED_COMPRESSION_TYPE"])
refused(21, "a codec that does not exist", produces(batch(attributes=6)), BAD_CODEC, ["UNSUPPORTED_COMPRESSION_TYPE"])


def old_fetch_of_zstd(one):
    error = one.create("zstd-only", 1, [("compression.type", "zstd")])
    check(error == 0, f"no topic: {error}")
    return one.fetch("zstd-only", [(0, 0, -1)], version=9)[1][0][0]


refused(21, "an old fetch of a zstd topic", old_fetch_of_zstd, BAD_CODEC, ["Fetch v9", "UNSUPPORTED_COMPRESSION_TYPE"])
refused(22, "a timestamp of the far future", produces(batch(timestamp=1 << 50)), BAD_TIMESTAMP, ["INVALID_TIMESTAMP"])
refused(22, "the largest timestamp", produces(batch(timestamp=(1 << 63) - 1)), BAD_TIMESTAMP, ["INVALID_TIMESTAMP"])
refused(22, "LogAppendTime from a client", produces(batch(attributes=8)), BAD_TIMESTAMP, ["INVALID_TIMESTAMP"])
refused(24, "acks = 7", produces(batch(), acks=7), BAD_ACKS, ["INVALID_REQUIRED_ACKS"])


@case(24, "time-outs of -1 and 2^31 - 1")
def odd_timeouts(target):
    with target.connect() as one:
        for timeout in (-1, (1 << 31) - 1):
            error = one.produce(TOPIC, [(0, batch())], timeout=timeout)[0][0]
            check(error == 0, f"error {error}")


refused(25, "a partition twice in a produce", lambda one: one.produce(TOPIC, [(0, batch()), (0, batch())])[0][0],
        INVALID_REQUEST, ["INVALID_REQUEST", "twice"])


@case(25, "a partition twice in a fetch")
def twice_in_a_fetch(target):
    with target.connect() as one:
        error, seen = one.fetch(TOPIC, [(0, 0, -1), (0, 0, -1)])
        check(error == 0 and seen[0][0] in (0, INVALID_REQUEST), f"{error}, {seen}")


def fetch_by_id(one, topic_id):
    body = (i32(0) + i32(1) + i32(1 << 20) + i8(0) + i32(0) + i32(-1) + uvarint(2) + topic_id + uvarint(2) + i32(0) +
            i32(-1) + i64(0) + i32(-1) + i64(-1) + i32(1 << 20) + b"\0" + b"\0" + uvarint(1) + compact("") + b"\0")
    data = one.call(FETCH, 13, i32(-1) + body, flexible=True)
    return struct.unpack_from(">h", data, 1 + 4 + 2 + 4 + 1 + 16 + 1 + 4)[0]


refused(25, "an unknown topic id", lambda one: fetch_by_id(one, os.urandom(16)), UNKNOWN_TOPIC_ID, ["UNKNOWN_TOPIC_ID"])


def id_of(one, name):
    data = one.call(METADATA, 12, uvarint(2) + bytes(16) + compact(name) + b"\0" + i8(0) + i8(0) + b"\0", flexible=True)
    at = data.index(compact(name))
    return data[at + len(compact(name)):][:16]


def old_id(one):
    check(one.create("made-again") == 0, "no topic")
    before = id_of(one, "made-again")
    one.call(wire.DELETE_TOPICS, 1, array([text("made-again")]) + i32(10000))
    wait_for(lambda: one.create("made-again") == 0, "the topic is made again")
    check(id_of(one, "made-again") != before, "the same id twice")
    return fetch_by_id(one, before)


refused(25, "the id of a topic's former life", old_id, UNKNOWN_TOPIC_ID, ["UNKNOWN_TOPIC_ID"])


# Fetches.

@case(26, "max_bytes of 2^31 - 1")
def all_bytes(target):
    with target.connect() as one:
        error, seen = one.fetch(TOPIC, [(index, 0, -1) for index in range(PARTITIONS)], bytes_max=(1 << 31) - 1,
                                partition_bytes=(1 << 31) - 1)
        check(error == 0 and sum(size for _, size in seen.values()) <= 55 << 20, f"{error}, {seen}")


@case(26, "100,000 partitions")
def many_partitions(target):
    with target.connect(timeout=30) as one:
        log = target.log_size()
        error, seen = one.fetch(TOPIC, [(index, 0, -1) for index in range(100000)])
        errors = [seen[index][0] for index in range(100000)]
        check(error == 0 and errors[0] == 0 and errors[PARTITIONS] == 3 and set(errors[50000:]) == {INVALID_REQUEST},
              f"{error}, {sorted(set(errors))}")
        expect_one_line(target, one, log, ["Fetch v11", "INVALID_REQUEST"])


@case(26, "200,000 partitions in a produce", slow=False)
def many_produced(target):
    with target.connect(timeout=20) as one:
        seen = one.produce(TOPIC, [(index, b"") for index in range(4, 200000)])
        check(set(error for error, _ in seen.values()) == {3}, "an error other than an unknown partition")


@case(26, "max_wait of 10 h and min_bytes of 2^31 - 1", slow=True)
def patient_fetch(target):
    with target.connect(timeout=80) as one:
        begin = time.monotonic()
        # At the end of a partition that nobody writes to.
        error, seen = one.fetch(TOPIC, [(2, target.quiet_end, -1)], wait=36000000, bytes_min=(1 << 31) - 1)
        check((error, seen[2][0]) == (0, 0), f"{error}, {seen}")
        check(time.monotonic() - begin < 75, "it waits for more than a minute")


refused(27, "a session that was never given", lambda one: one.fetch(TOPIC, [(0, 0, -1)], session=(77, 3))[0], NO_SESSION,
        ["FETCH_SESSION_ID_NOT_FOUND"])


@case(27, "5,000 forged sessions, one after the other")
def forged_sessions(target):
    log = target.log_size()
    with target.connect(timeout=30) as one:
        data = b"".join(one.frame(FETCH, 11, fetch(index)) for index in range(5000))
        sender = threading.Thread(target=one.send, args=(data,))
        sender.start()
        for _ in range(5000):
            check(struct.unpack_from(">h", one.answer(), 4)[0] == NO_SESSION, "another error")
        sender.join()
    check(target.logged(log).count("FETCH_SESSION_ID_NOT_FOUND") <= 60, "a flood of lines")


def fetch(index):
    return wire.fetch_body(TOPIC, [(0, 0, -1)], session=(index + 1, index))


refused(28, "a forged replica", lambda one: one.fetch(TOPIC, [(0, 0, -1)], replica=1)[1][0][0], CLUSTER_AUTHORIZATION,
        ["CLUSTER_AUTHORIZATION_FAILED"])
refused(28, "an unknown leader epoch", lambda one: one.fetch(TOPIC, [(0, 0, 99)])[1][0][0], UNKNOWN_EPOCH,
        ["UNKNOWN_LEADER_EPOCH"])


# Groups.

@case(29, "10 MB of member metadata")
def much_metadata(target):
    log = target.log_size()
    with target.connect() as one:
        error, _, member = one.join("big")
        check(error == MEMBER_ID_REQUIRED, f"error {error}")
        error, _, _ = one.join("big", member=member, metadata=bytes(10000000))
        check(error == GROUP_FULL, f"error {error}")
        expect_one_line(target, one, log, ["JoinGroup v5", "GROUP_MAX_SIZE_REACHED"])


refused(29, "a session of 1 ms", lambda one: one.join("short", session=1)[0], BAD_SESSION, ["INVALID_SESSION_TIMEOUT"])
refused(29, "a session of 2^31 - 1 ms", lambda one: one.join("long", session=(1 << 31) - 1)[0], BAD_SESSION,
        ["INVALID_SESSION_TIMEOUT"])


def static_theft(one):
    error, generation, member = one.join("static", instance="me")
    check(error == 0, f"the first join gets {error}")
    error, _, _ = one.join("static", instance="me")  # a restart takes the place
    check(error == 0, f"the second join gets {error}")
    return struct.unpack_from(">h", one.call(
        SYNC_GROUP, 3, text("static") + i32(generation) + text(member) + text("me") + i32(0)), 4)[0]


refused(29, "the id of a static member that has a successor", static_theft, FENCED_INSTANCE, ["FENCED_INSTANCE_ID"])


@case(29, "6,000 members that only want an id")
def many_members(target):
    with target.connect(timeout=30) as one:
        frames = b"".join(one.frame(JOIN_GROUP, 5, wire.join_body("crowd")) for _ in range(6000))
        sender = threading.Thread(target=one.send, args=(frames,))
        sender.start()
        errors = [struct.unpack_from(">h", one.answer(), 4)[0] for _ in range(6000)]
        sender.join()
        check(set(errors) == {MEMBER_ID_REQUIRED, GROUP_FULL}, f"errors {sorted(set(errors))}")
        check(errors.count(MEMBER_ID_REQUIRED) <= 5000, "more than group.max.size")


refused(30, "SyncGroup of a stranger", lambda one: struct.unpack_from(">h", one.call(
    SYNC_GROUP, 3, text("nobody") + i32(1) + text("stranger") + text(None) + i32(0)), 4)[0], UNKNOWN_MEMBER,
        ["SyncGroup v3", "UNKNOWN_MEMBER_ID"])


def commit(one, group, generation, member, metadata):
    body = (text(group) + i32(generation) + text(member) + text(None) + i32(1) + text(TOPIC) + i32(1) + i32(0) + i64(1) +
            i32(-1) + text(metadata))
    data = one.call(OFFSET_COMMIT, 7, body)
    return struct.unpack_from(">h", data, len(data) - 2)[0]


def old_generation(one):
    _, _, member = one.join("commits")
    error, generation, member = one.join("commits", member=member)
    check(error == 0, f"the join gets {error}")
    return commit(one, "commits", generation - 1, member, "")


refused(30, "a commit of an old generation", old_generation, ILLEGAL_GENERATION, ["OffsetCommit v7", "ILLEGAL_GENERATION"])
refused(30, "5,000 bytes of offset metadata", lambda one: commit(one, "simple", -1, "", "m" * 5000), METADATA_TOO_LARGE,
        ["OffsetCommit v7", "OFFSET_METADATA_TOO_LARGE"])


# Topics.

refused(31, "a topic of a million partitions", lambda one: one.create("huge", 1000000), POLICY,
        ["CreateTopics v2", "POLICY_VIOLATION"])
for title, topic in (("..", ".."), ("250 characters", "n" * 250), ("a NUL", "a\0b"), ("a line feed", "a\nb"),
                     ("no characters", "")):
    refused(31, f"a topic name of {title}", lambda one, topic=topic: one.create(topic), INVALID_TOPIC,
            ["CreateTopics v2", "INVALID_TOPIC_EXCEPTION"])


def colliding(one):
    check(one.create("one.name") == 0, "no topic")
    return one.create("one_name")


refused(31, "names that differ in . and _", colliding, INVALID_TOPIC, ["INVALID_TOPIC_EXCEPTION"])


@case(32, "metadata for 2,000 unknown topics")
def auto_create_flood(target):
    with target.connect(timeout=30) as one:
        one.call(METADATA, 4, array([text(f"flood-{index}") for index in range(2000)]) + i8(1))
        time.sleep(1)
        data = one.call(METADATA, 1, i32(-1))
        # A hundred at a time; a few more begin where others are done.
        check(data.count(b"flood-") <= 200, f"{data.count(b'flood-')} topics came of one question")


# Clients that do not do their part.

@case(33, "requests without end, answers never read")
def never_reads(target):
    log = target.log_size()
    with target.connect(timeout=3, receive_bytes=4096) as filler:
        for _ in range(40):
            error = filler.produce(TOPIC, [(1, batch([os.urandom(900000)]))])[1][0]
            check(error == 0, f"error {error}")
    grown = []
    many = [target.connect(timeout=2, receive_bytes=4096) for _ in range(4)]
    frame = many[0].frame(FETCH, 11, wire.fetch_body(TOPIC, [(1, 0, -1)], bytes_max=30 << 20, partition_bytes=30 << 20))
    for one in many:
        try:
            one.send(frame * 400000)
            grown.append("read all of them")
        except (Silent, Closed):
            pass
    check(not grown, "a connection that reads nothing was read without end")
    check(target.rss() < target.budget + (64 << 20), f"RSS is {target.rss() >> 20} MiB")
    target.expect_served()
    for one in many:
        one.socket.close()
    check("Error" not in target.logged(log), "an error in the log")


@case(34, "clients that vanish in the middle of an answer")
def vanish(target):
    base = target.metric("kafka_server_socket_server_metrics_connection_count")
    for index in range(300):
        one = target.connect()
        one.request(FETCH, 11, wire.fetch_body(TOPIC, [(1, 0, -1)], bytes_max=8 << 20, partition_bytes=8 << 20))
        if index % 2:  # a reset instead of an end
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.socket.close()
    wait_for(lambda: target.metric("kafka_server_socket_server_metrics_connection_count") <= base + 1,
             "their connections are gone", 20)
    wait_for(lambda: target.metric("paceline_answer_memory_bytes") < 1 << 20, "their answers are gone")
    check(target.metric("paceline_request_memory_bytes") < 1 << 20, "their requests hold memory")
