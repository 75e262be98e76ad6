#!/usr/bin/python3
"""confluent_kafka for Python (librdkafka)."""
import json
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from harness import (Broker, Suite, check, check_equal, digest, fresh, many_values,
                     values_of_all_kinds)

suite = Suite("confluent_kafka")
SMALL = {"broker.address.family": "v4", "message.max.bytes": 3000000}


def send(address, topic, records, partition=0, **config):
    """Produces (key, value, headers, timestamp) tuples, or values; returns what was acknowledged,
    as (partition, offset) in the order of `records`."""
    producer = Producer({"bootstrap.servers": address, "acks": "all", "linger.ms": 5, **SMALL,
                         **{key.replace("_", "."): value for key, value in config.items()}})
    placed = [None] * len(records)

    def note(index):
        def delivered(error, message):
            placed[index] = error or (message.partition(), message.offset())
        return delivered
    for index, record in enumerate(records):
        key, value, headers, timestamp = record if isinstance(record, tuple) else (None, record, None, 0)
        while True:
            try:
                producer.produce(topic, value, key, partition, on_delivery=note(index),
                                 timestamp=timestamp, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    check_equal(producer.flush(40), 0, "records without an answer")
    errors = [place for place in placed if not isinstance(place, tuple)]
    check(not errors, f"{len(errors)} records refused: {errors[:1]}")
    return placed


def consumer_of(address, group=None, **config):
    return Consumer({"bootstrap.servers": address, "group.id": group or fresh("group"), **SMALL,
                     "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 6000,
                     "heartbeat.interval.ms": 300, "fetch.wait.max.ms": 100,
                     **{key.replace("_", "."): value for key, value in config.items()}})


def take(consumer, count, seconds=30):
    """`count` records, or what has come until then."""
    taken, end = [], time.monotonic() + seconds
    while len(taken) < count and time.monotonic() < end:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        taken.append(message)
    return taken


def read_all(address, topic, count, partition=0, offset=0):
    consumer = consumer_of(address)
    consumer.assign([TopicPartition(topic, partition, offset)])
    messages = take(consumer, count)
    extra = consumer.poll(0.3)
    consumer.close()
    check_equal(len(messages), count, "number of records")
    check(extra is None, "more records than were sent")
    return messages


def codec_case(codec):
    @suite.case(f"what is produced is consumed, and crosses the wire compressed, {codec}")
    def case(address):
        topic, sent = fresh("codec"), [b"%d " % index + b"abcdefgh" * 100 for index in range(3000)]
        traffic = []
        producer = Producer({"bootstrap.servers": address, "compression.type": codec, "linger.ms": 20,
                             "statistics.interval.ms": 100, "acks": "all",
                             "stats_cb": lambda text: traffic.append(
                                 sum(broker["txbytes"] for broker in json.loads(text)["brokers"].values()))})
        for value in sent:
            producer.produce(topic, value, partition=0)
        check_equal(producer.flush(40), 0, "records without an answer")
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            producer.poll(0.1)
        plain = sum(map(len, sent))
        if codec == "none":
            check(traffic[-1] > plain, f"{traffic[-1]} bytes sent for {plain} bytes")
        else:
            check(traffic[-1] < plain / 2, f"not compressed: {traffic[-1]} bytes sent for {plain} bytes")
        seen = read_all(address, topic, len(sent))
        check_equal(digest(m.value() for m in seen), digest(sent), "sum of values")
        check_equal([m.offset() for m in seen], list(range(len(sent))), "offsets")


for one in ("none", "gzip", "snappy", "lz4", "zstd"):
    codec_case(one)


def kinds_case(codec):
    @suite.case(f"text, empty, null and 1 MiB values with keys, headers and timestamps, {codec}")
    def case(address):
        topic, now = fresh("kinds"), int(time.time() * 1000) - 100000
        headers = [("a", b"1"), ("empty", b""), ("null", None), ("a", b"\x00\xff")]
        sent = [(key, value, headers if index % 2 else None, now + index)
                for index, (key, value) in enumerate(values_of_all_kinds())]
        send(address, topic, sent, compression_type=codec)
        seen = read_all(address, topic, len(sent))
        check_equal(digest(m.value() for m in seen), digest(value for _, value, _, _ in sent), "sum of values")
        check_equal([m.value() is None for m in seen], [value is None for _, value, _, _ in sent], "nulls")
        check_equal([m.key() for m in seen], [key for key, _, _, _ in sent], "keys")
        check_equal([m.headers() for m in seen], [given for _, _, given, _ in sent], "headers")
        check_equal([m.timestamp() for m in seen], [(1, at) for _, _, _, at in sent], "timestamps")


for one in ("none", "zstd"):
    kinds_case(one)


@suite.case("a waiting consumer gets a record at once")
def long_poll(address):
    topic = fresh("wait")
    send(address, topic, [b"first"])
    consumer = consumer_of(address, fetch_wait_max_ms=10000)
    consumer.assign([TopicPartition(topic, 0, 0)])
    check_equal([m.value() for m in take(consumer, 1)], [b"first"], "first")
    time.sleep(0.5)
    started = time.monotonic()
    threading.Thread(target=send, args=(address, topic, [b"second"])).start()
    check_equal([m.value() for m in take(consumer, 1, 8)], [b"second"], "second")
    check(time.monotonic() - started < 3, "the fetch slept over new data")
    consumer.close()


@suite.case("seeks into the middle of a batch")
def seek(address):
    topic, sent = fresh("seek"), many_values(500)
    send(address, topic, sent, linger_ms=200, compression_type="lz4")
    for offset in (499, 250, 1):
        seen = read_all(address, topic, 500 - offset, offset=offset)
        check_equal((seen[0].offset(), digest(m.value() for m in seen)), (offset, digest(sent[offset:])),
                    f"from offset {offset}")


@suite.case("finds offsets by time, and the watermarks")
def by_time(address):
    topic, base = fresh("times"), int(time.time() * 1000) - 1000000
    send(address, topic, [(None, b"v", None, base + 10 * index) for index in range(300)])
    consumer = consumer_of(address)
    asked = [(base - 5, 0), (base, 0), (base + 1, 1), (base + 1500, 150), (base + 2990, 299), (base + 2991, -1)]
    for at, expected in asked:
        seen = consumer.offsets_for_times([TopicPartition(topic, 0, at)], timeout=20)[0]
        check(seen.error is None, f"time {at - base}: {seen.error}")
        check_equal(seen.offset, expected, f"offset of time {at - base}")
    check_equal(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20), (0, 300), "watermarks")
    consumer.close()


@suite.case("an idempotent producer over kill -9 of the broker: nothing lost, nothing twice", timeout=150)
def idempotent_over_crash(unused):
    broker = Broker().start()
    try:
        topic, sent = fresh("idempotent"), [b"%06d" % index for index in range(6000)]
        answers = []
        producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True, "linger.ms": 2,
                             "reconnect.backoff.max.ms": 200, "message.timeout.ms": 90000, **SMALL})
        for index, value in enumerate(sent):
            producer.produce(topic, value, partition=0, on_delivery=lambda e, m: answers.append((e, m.offset())))
            producer.poll(0.001 if index % 10 == 0 else 0)
            if index in (2000, 4000):
                broker.kill()
                broker.start()
        check_equal(producer.flush(90), 0, "records without an answer")
        check(not [e for e, _ in answers if e], f"errors: {[e for e, _ in answers if e][:1]}")
        check_equal([offset for _, offset in answers], list(range(len(sent))), "offsets told to the producer")
        seen = read_all(broker.address, topic, len(sent))
        check_equal(digest(m.value() for m in seen), digest(sent), "sum of values")
    finally:
        broker.close()


def strategy_case(strategy):
    @suite.case(f"a second member joins and leaves, {strategy}", timeout=120)
    def case(address):
        topic, name = fresh("shared"), fresh("group")
        for partition in range(4):
            send(address, topic, [b"first %d" % partition], partition=partition)
        def member():
            consumer = consumer_of(address, name, partition_assignment_strategy=strategy)
            consumer.subscribe([topic])
            return consumer
        one, values = member(), []

        def turn(members, condition, what):
            end = time.monotonic() + 30
            while not condition():
                check(time.monotonic() < end, f"not within 30 s: {what}; assigned "
                      f"{[[p.partition for p in m.assignment()] for m in members]}, values {values}")
                for consumer in members:
                    message = consumer.poll(0.05)
                    if message is not None and not message.error():
                        values.append(message.value())

        def owned(*members):
            return [sorted(p.partition for p in consumer.assignment()) for consumer in members]
        turn([one], lambda: owned(one) == [[0, 1, 2, 3]] and len(set(values)) == 4, "one member has all")
        two = member()
        turn([one, two], lambda: [len(o) for o in owned(one, two)] == [2, 2], "two members have two each")
        check_equal(sorted(sum(owned(one, two), [])), [0, 1, 2, 3], "all partitions have one owner")
        for partition in range(4):
            send(address, topic, [b"second %d" % partition], partition=partition)
        wanted = {b"second %d" % partition for partition in range(4)}
        turn([one, two], lambda: wanted <= set(values), "both read")
        two.close()
        turn([one], lambda: owned(one) == [[0, 1, 2, 3]], "the first has all again")
        one.close()


for one in ("range", "roundrobin", "cooperative-sticky"):
    strategy_case(one)


@suite.case("a static member comes back to its partitions without a rebalance", timeout=90)
def static_member(address):
    topic, name = fresh("static"), fresh("group")
    send(address, topic, [b"x"])
    rebalances = []
    members = []
    for identity in ("a", "b"):
        consumer = consumer_of(address, name, group_instance_id=identity, session_timeout_ms=20000)
        consumer.subscribe([topic], on_assign=lambda c, p, i=identity: rebalances.append(i))
        members.append(consumer)

    def settle(seconds, condition=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not condition():
            for consumer in members:
                consumer.poll(0.05)
    settle(30, lambda: [len(c.assignment()) for c in members] == [2, 2])
    check_equal([len(c.assignment()) for c in members], [2, 2], "partitions of each")
    had = sorted(p.partition for p in members[1].assignment())
    members.pop().close()
    before = len([i for i in rebalances if i == "a"])
    again = consumer_of(address, name, group_instance_id="b", session_timeout_ms=20000)
    again.subscribe([topic])
    members.append(again)
    settle(15, lambda: len(again.assignment()) == 2)
    check_equal(sorted(p.partition for p in again.assignment()), had, "partitions after the return")
    check_equal(len([i for i in rebalances if i == "a"]), before, "rebalances of the other member")
    for consumer in members:
        consumer.close()


@suite.case("commits and resumes after a stop and after kill -9", timeout=150)
def resume(unused):
    broker = Broker().start()
    try:
        topic, name, sent = fresh("resume"), fresh("group"), many_values(900)
        send(broker.address, topic, sent)
        for life, end in enumerate((broker.stop, broker.kill, lambda: None)):
            consumer = consumer_of(broker.address, name)
            consumer.subscribe([topic])
            seen = take(consumer, 300)
            check_equal(digest(m.value() for m in seen), digest(sent[life * 300:(life + 1) * 300]), f"life {life}")
            consumer.commit(seen[-1], asynchronous=False)
            known = consumer.committed([TopicPartition(topic, 0)], timeout=20)[0].offset
            check_equal(known, (life + 1) * 300, "committed offset")
            consumer.close()
            end()
            if not broker.alive():
                broker.start()
    finally:
        broker.close()


@suite.case("creates, describes, extends and deletes topics")
def admin(address):
    client, topic = AdminClient({"bootstrap.servers": address}), fresh("admin")
    client.create_topics([NewTopic(topic, 3, 1, config={"retention.ms": "123456"})])[topic].result(20)
    again = client.create_topics([NewTopic(topic, 3, 1)])[topic]
    check_equal(again.exception(20).args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS, "creating it twice")
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    configs = client.describe_configs([resource])[resource].result(20)
    check_equal((configs["retention.ms"].value, configs["retention.ms"].is_default), ("123456", False), "retention.ms")
    check("cleanup.policy" in configs and "max.message.bytes" in configs, "defaults are not described")
    client.create_partitions([NewPartitions(topic, 5)])[topic].result(20)
    end = time.monotonic() + 10
    while len(client.list_topics(topic, timeout=10).topics[topic].partitions) != 5:
        check(time.monotonic() < end, "5 partitions are not seen")
        time.sleep(0.1)
    check_equal(len(send(address, topic, [b"x"], partition=4)), 1, "records in the new partition")
    client.delete_topics([topic])[topic].result(20)
    end = time.monotonic() + 10
    while topic in client.list_topics(timeout=10).topics:
        check(time.monotonic() < end, "a deleted topic is still listed")
        time.sleep(0.1)


@suite.case("a topic deleted and created again is empty")
def recreate(address):
    client, topic = AdminClient({"bootstrap.servers": address}), fresh("again")
    for life in range(3):
        client.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
        send(address, topic, [b"life %d" % life])
        check_equal([m.value() for m in read_all(address, topic, 1)], [b"life %d" % life], f"life {life}")
        client.delete_topics([topic])[topic].result(20)


@suite.case("refuses a record without a key for a compacted topic")
def compacted(address):
    client, topic = AdminClient({"bootstrap.servers": address}), fresh("compacted")
    client.create_topics([NewTopic(topic, 1, 1, config={"cleanup.policy": "compact"})])[topic].result(20)
    send(address, topic, [(b"key", b"value", None, 0)])
    errors = []
    producer = Producer({"bootstrap.servers": address})
    producer.produce(topic, b"no key", partition=0, on_delivery=lambda error, message: errors.append(error))
    check_equal(producer.flush(30), 0, "records without an answer")
    check_equal([error and error.name() for error in errors], ["INVALID_RECORD"], "error")
    check_equal([m.value() for m in read_all(address, topic, 1)], [b"value"], "what is kept")


if __name__ == "__main__":
    sys.exit(suite.main())
