#!/usr/bin/python3
"""kafka-python: old versions of every API."""
import sys
import threading
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.codec import has_gzip, has_lz4, has_snappy, has_zstd
from kafka.errors import MessageSizeTooLargeError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from harness import (Broker, Suite, check, check_equal, digest, fresh, many_values,
                     values_of_all_kinds)

suite = Suite("kafka-python")
# The codecs whose libraries this machine has; Debian's package brings only gzip.
CODECS = [None] + [name for name, has in (("gzip", has_gzip), ("snappy", has_snappy), ("lz4", has_lz4),
                                          ("zstd", has_zstd)) if has()]


def producer_of(address, **config):
    return KafkaProducer(bootstrap_servers=address, acks="all", max_request_size=3000000, **config)


def send(address, topic, records, partition=0, **config):
    producer = producer_of(address, **config)
    futures = []
    for key, value, headers, timestamp in records:
        futures.append(producer.send(topic, value, key=key, headers=headers, partition=partition,
                                     timestamp_ms=timestamp))
    producer.flush(40)
    placed = [future.get(20).offset for future in futures]
    producer.close()
    return placed


def plain(values):
    return [(None, value, None, None) for value in values]


def consumer_of(address, **config):
    return KafkaConsumer(bootstrap_servers=address, **{
        "auto_offset_reset": "earliest", "enable_auto_commit": False, "consumer_timeout_ms": 15000,
        "session_timeout_ms": 6000, "heartbeat_interval_ms": 500, "fetch_max_wait_ms": 100, **config})


def read_all(address, topic, count, offset=0):
    consumer = consumer_of(address)
    at = TopicPartition(topic, 0)
    consumer.assign([at])
    consumer.seek(at, offset)
    seen = []
    for message in consumer:
        seen.append(message)
        if len(seen) == count:
            break
    consumer.close()
    check_equal(len(seen), count, "number of records")
    return seen


def codec_case(codec):
    @suite.case(f"what is produced is consumed, {codec or 'none'}")
    def case(address):
        topic, sent = fresh("codec"), many_values(2000)
        check_equal(send(address, topic, plain(sent), compression_type=codec, linger_ms=5),
                    list(range(2000)), "offsets told to the producer")
        seen = read_all(address, topic, len(sent))
        check_equal(digest(m.value for m in seen), digest(sent), "sum of values")
        check_equal([m.offset for m in seen], list(range(len(sent))), "offsets")

    @suite.case(f"text, empty, null and 1 MiB values with keys, headers and timestamps, {codec or 'none'}")
    def kinds(address):
        topic, now = fresh("kinds"), int(time.time() * 1000) - 100000
        headers = [("a", b"1"), ("empty", b""), ("a", b"\x00\xff")]
        sent = [(key, value, headers if index % 2 else None, now + index)
                for index, (key, value) in enumerate(values_of_all_kinds())]
        send(address, topic, sent, compression_type=codec)
        seen = read_all(address, topic, len(sent))
        check_equal(digest(m.value for m in seen), digest(value for _, value, _, _ in sent), "sum of values")
        check_equal([m.value is None for m in seen], [value is None for _, value, _, _ in sent], "nulls")
        check_equal([m.key for m in seen], [key for key, _, _, _ in sent], "keys")
        check_equal([m.headers for m in seen], [given or [] for _, _, given, _ in sent], "headers")
        check_equal([(m.timestamp, m.timestamp_type) for m in seen], [(at, 0) for _, _, _, at in sent], "timestamps")


for one in CODECS:
    codec_case(one)


@suite.case("acks 0 and 1 deliver too")
def acks(address):
    for level in (0, 1):
        topic, sent = fresh("acks"), many_values(300)
        producer = KafkaProducer(bootstrap_servers=address, acks=level)
        for value in sent:
            producer.send(topic, value, partition=0)
        producer.flush(20)
        seen = read_all(address, topic, len(sent))
        check_equal(digest(m.value for m in seen), digest(sent), f"sum of values, acks={level}")
        producer.close()


@suite.case("seeks, offsets of begin, end and times")
def offsets(address):
    topic, base = fresh("offsets"), int(time.time() * 1000) - 1000000
    send(address, topic, [(None, b"%d" % index, None, base + 10 * index) for index in range(200)])
    consumer, at = consumer_of(address), TopicPartition(topic, 0)
    check_equal(consumer.beginning_offsets([at]), {at: 0}, "begin")
    check_equal(consumer.end_offsets([at]), {at: 200}, "end")
    for asked, offset, stamp in ((0, 0, base), (base + 1, 1, base + 10), (base + 1990, 199, base + 1990)):
        found = consumer.offsets_for_times({at: asked})[at]
        check_equal((found.offset, found.timestamp), (offset, stamp), f"time {asked - base}")
    check_equal(consumer.offsets_for_times({at: base + 5000}), {at: None}, "a time after the end")
    consumer.close()
    check_equal([m.value for m in read_all(address, topic, 1, offset=137)], [b"137"], "seek")


@suite.case("a group reads, commits with metadata, and a second consumer goes on", timeout=90)
def commit(address):
    topic, name, sent = fresh("commit"), fresh("group"), many_values(200)
    send(address, topic, plain(sent))
    at = TopicPartition(topic, 0)
    for life in range(2):
        consumer = consumer_of(address, group_id=name, max_poll_records=50)
        consumer.subscribe([topic])
        seen = []
        for message in consumer:
            seen.append(message.value)
            if len(seen) == 100:
                break
        check_equal(digest(seen), digest(sent[life * 100:(life + 1) * 100]), f"life {life}")
        consumer.commit({at: OffsetAndMetadata((life + 1) * 100, f"note {life}")})
        check_equal(consumer.committed(at), (life + 1) * 100, "committed")
        check_equal(consumer.committed(at, metadata=True).metadata, f"note {life}", "metadata of the commit")
        consumer.close(autocommit=False)


@suite.case("a second member joins and leaves", timeout=120)
def rebalance(address):
    topic, name = fresh("shared"), fresh("group")
    send(address, topic, plain([b"x"]))

    def member():
        consumer = consumer_of(address, group_id=name, metadata_max_age_ms=1000)
        consumer.subscribe([topic])
        return consumer

    def turn(members, counts, what):
        end = time.monotonic() + 30
        while [len(c.assignment()) for c in members] != counts:
            check(time.monotonic() < end, f"not within 30 s: {what}; "
                  f"partitions {[len(c.assignment()) for c in members]}")
            for consumer in members:
                consumer.poll(timeout_ms=50)
    one = member()
    turn([one], [4], "one member has all")
    two = member()
    # A member of this client blocks inside poll() while it joins, so the other needs a thread.
    done = threading.Event()

    def background():
        while not done.is_set():
            two.poll(timeout_ms=50)
    thread = threading.Thread(target=background)
    thread.start()
    try:
        end = time.monotonic() + 30
        while (len(one.assignment()), len(two.assignment())) != (2, 2):
            check(time.monotonic() < end, "two members did not get two partitions each")
            one.poll(timeout_ms=50)
        owned = sorted(p.partition for p in one.assignment() | two.assignment())
        check_equal(owned, [0, 1, 2, 3], "all partitions have one owner")
    finally:
        done.set()
        # The join of a member may wait for the other one.
        while thread.is_alive():
            one.poll(timeout_ms=50)
    two.close(autocommit=False)
    turn([one], [4], "the first has all again")
    one.close(autocommit=False)


@suite.case("resumes after a stop and after kill -9", timeout=150)
def resume(unused):
    broker = Broker().start()
    try:
        topic, name, sent = fresh("resume"), fresh("group"), many_values(300)
        send(broker.address, topic, plain(sent))
        for life, end in enumerate((broker.stop, broker.kill, lambda: None)):
            consumer = consumer_of(broker.address, group_id=name)
            consumer.subscribe([topic])
            seen = []
            for message in consumer:
                seen.append(message.value)
                if len(seen) == 100:
                    break
            check_equal(digest(seen), digest(sent[life * 100:(life + 1) * 100]), f"life {life}")
            consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata((life + 1) * 100, "")})
            consumer.close(autocommit=False)
            end()
            if not broker.alive():
                broker.start()
    finally:
        broker.close()


@suite.case("creates, lists, describes and deletes topics and groups")
def admin(address):
    client, topic, name = KafkaAdminClient(bootstrap_servers=address), fresh("admin"), fresh("group")
    client.create_topics([NewTopic(topic, 3, 1)])
    try:
        client.create_topics([NewTopic(topic, 3, 1)])
        check(False, "a topic was created twice")
    except TopicAlreadyExistsError:
        pass
    check(topic in client.list_topics(), "the topic is not listed")
    check_equal(len(client.describe_topics([topic])[0]["partitions"]), 3, "partitions")
    send(address, topic, plain([b"x"]))
    consumer = consumer_of(address, group_id=name)
    consumer.subscribe([topic])
    check_equal(next(consumer).value, b"x", "value")
    consumer.commit()
    check((name, "consumer") in client.list_consumer_groups(), "the group is not listed")
    described = client.describe_consumer_groups([name])[0]
    check_equal((described.state, len(described.members)), ("Stable", 1), "the group")
    known = client.list_consumer_group_offsets(name)
    check_equal(known[TopicPartition(topic, 0)].offset, 1, "committed offset")
    consumer.close(autocommit=False)
    client.delete_topics([topic])
    end = time.monotonic() + 10
    while topic in client.list_topics():
        check(time.monotonic() < end, "a deleted topic is still listed")
        time.sleep(0.1)
    client.close()


@suite.case("a batch over max.message.bytes is refused")
def too_large(address):
    producer = KafkaProducer(bootstrap_servers=address, max_request_size=20000000)
    try:
        producer.send(fresh("toolarge"), bytes(5 << 20), partition=0).get(30)
        check(False, "5 MiB were accepted")
    except MessageSizeTooLargeError:
        pass
    producer.close()


if __name__ == "__main__":
    sys.exit(suite.main())
