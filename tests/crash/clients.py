"""The clients of the crash test, each in a process of its own:

  clients.py producer FOLDER ADDRESS TOPIC PARTITIONS SEED
  clients.py member   FOLDER ADDRESS TOPIC PARTITIONS NAME

They write what they did, as JSON lines, into FOLDER: each line is with the kernel before its
event counts, so that it outlives the process. They stop when FOLDER/stop-producer or
FOLDER/stop-members exists.
"""
import hashlib
import json
import os
import random
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

GROUP = "crash-group"
QUICK = {"broker.address.family": "v4", "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
         "topic.metadata.refresh.fast.interval.ms": 50, "message.max.bytes": 2000000}
IN_FLIGHT_MAX = 2000


class Notes:
    def __init__(self, folder, name):
        self.file = open(os.path.join(folder, name + ".jsonl"), "ab", buffering=0)

    def write(self, *records):
        if records:
            self.file.write(b"".join(json.dumps(record).encode() + b"\n" for record in records))


def value_of(key, noise):
    """Mostly small, now and then large, always starting with the key."""
    size = noise.randrange(100000) if noise.random() < 0.002 else noise.randrange(10, 600)
    return key.encode() + b":" + noise.randbytes(size // 2) + b"." * (size // 2)


def run_producer(folder, address, topic, partitions, seed):
    """Sends numbered records to every partition. A record whose sending failed is never sent
    again: whether it is there is open, and both are right."""
    sent, acked, other = (Notes(folder, name) for name in ("sent", "ledger", "producer"))
    noise = random.Random(seed)
    stop = os.path.join(folder, "stop-producer")
    numbers = [0] * partitions
    open_records = {"count": 0, "fatal": False}

    def delivered(record):
        def note(error, message):
            open_records["count"] -= 1
            if error is None:
                acked.write({**record, "offset": message.offset()})
            else:
                other.write({"key": record["key"], "error": str(error)})
        return note

    def on_error(error):
        other.write({"error": str(error), "fatal": error.fatal()})
        open_records["fatal"] = open_records["fatal"] or error.fatal()

    while not os.path.exists(stop):
        producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "acks": "all",
                             "linger.ms": 2, "message.timeout.ms": 600000, "retry.backoff.ms": 20,
                             "compression.type": noise.choice(["none", "lz4", "zstd"]), "error_cb": on_error, **QUICK})
        open_records["fatal"] = False
        while not os.path.exists(stop) and not open_records["fatal"]:
            if open_records["count"] < IN_FLIGHT_MAX:
                send_some(producer, topic, numbers, noise, sent, delivered, open_records)
            producer.poll(0.005)
        left = producer.flush(60)
        if left and not open_records["fatal"]:
            other.write({"error": f"{left} records without an answer 60 s after the last crash"})
        del producer
        open_records["count"] = 0


def send_some(producer, topic, numbers, noise, sent, delivered, open_records):
    """Ten records; noted as sent before the client gets them."""
    batch = []
    for _ in range(10):
        partition = noise.randrange(len(numbers))
        key = f"{partition}-{numbers[partition]:08d}"
        numbers[partition] += 1
        value = value_of(key, noise)
        batch.append(({"topic": topic, "partition": partition, "key": key,
                       "sha256": hashlib.sha256(value).hexdigest()}, value))
    sent.write(*[record for record, _ in batch])
    for record, value in batch:
        try:
            producer.produce(topic, value, record["key"].encode(), record["partition"], on_delivery=delivered(record))
            open_records["count"] += 1
        except (BufferError, KafkaException):
            pass  # never left the client


def run_member(folder, address, topic, partitions, name):
    """Reads as a member of the group and commits what it has read about five times a second."""
    read, commits, looks, other = (Notes(folder, f"{kind}-{name}") for kind in ("read", "commits", "looks", "member"))
    stop = os.path.join(folder, "stop-members")
    noise = random.Random(name)

    def on_assign(consumer, given):
        begin = time.monotonic()
        try:
            known = consumer.committed(given, timeout=10)
        except KafkaException as error:
            other.write({"error": f"committed: {error}"})
            return
        looks.write(*[{"partition": p.partition, "offset": max(p.offset, -1), "begin": begin, "end": time.monotonic()}
                      for p in known if p.error is None])

    consumer = Consumer({"bootstrap.servers": address, "group.id": GROUP, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "session.timeout.ms": 6000, "heartbeat.interval.ms": 200,
                         "fetch.wait.max.ms": 50, "max.poll.interval.ms": 60000,
                         "error_cb": lambda error: other.write({"error": str(error)}), **QUICK})
    consumer.subscribe([topic], on_assign=on_assign)
    next_commit = 0
    while not os.path.exists(stop):
        messages = [m for m in consumer.consume(500, 0.05) if not m.error()]
        read.write(*[{"partition": m.partition(), "offset": m.offset(), "key": (m.key() or b"").decode(),
                      "sha256": hashlib.sha256(m.value() or b"").hexdigest()} for m in messages])
        if messages and time.monotonic() >= next_commit:
            commit(consumer, commits, other)
            next_commit = time.monotonic() + noise.uniform(0.05, 0.35)
    commit(consumer, commits, other)
    consumer.close()


def commit(consumer, commits, other):
    begin = time.monotonic()
    try:
        done = consumer.commit(asynchronous=False)
    except KafkaException as error:
        other.write({"error": f"commit: {error}"})
        return
    end = time.monotonic()
    commits.write(*[{"partition": p.partition, "offset": p.offset, "begin": begin, "end": end}
                    for p in done or [] if p.error is None and p.offset >= 0])


def look_at_group(address, topic, partitions, timeout=20):
    """The group's committed offsets, as somebody outside of it sees them."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": GROUP, "enable.auto.commit": False, **QUICK})
    begin = time.monotonic()
    try:
        known = consumer.committed([TopicPartition(topic, index) for index in range(partitions)], timeout=timeout)
        return [{"partition": p.partition, "offset": max(p.offset, -1), "begin": begin, "end": time.monotonic()}
                for p in known if p.error is None]
    except KafkaException:
        return []  # no answer is no observation
    finally:
        consumer.close()


def read_all(address, topic, partitions, timeout=120):
    """Everything, from the beginning to the end, in order; and whether the end was reached."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "crash-final", "enable.auto.commit": False,
                         "auto.offset.reset": "error", **QUICK})
    records, end = [], time.monotonic() + timeout
    ends = {}
    for partition in range(partitions):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
        ends[partition] = high if high > low else 0
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    missing = {partition for partition, high in ends.items() if high > 0}
    while missing and time.monotonic() < end:
        for message in consumer.consume(1000, 0.2):
            if message.error():
                consumer.close()
                raise KafkaException(message.error())
            records.append({"partition": message.partition(), "offset": message.offset(),
                            "key": (message.key() or b"").decode(),
                            "sha256": hashlib.sha256(message.value() or b"").hexdigest()})
            if message.offset() >= ends[message.partition()] - 1:
                missing.discard(message.partition())
    consumer.close()
    return records, not missing


if __name__ == "__main__":
    role, where, at, about, count, last = sys.argv[1:]
    if role == "producer":
        run_producer(where, at, about, int(count), int(last))
    else:
        run_member(where, at, about, int(count), last)
