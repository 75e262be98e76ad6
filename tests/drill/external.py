#!/usr/bin/python3
"""A client outside of a drill, as src/probe/README.md describes them: librdkafka from Python."""
import json
import sys
import threading
import time

import confluent_kafka


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def now():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def say(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def payload(start, partition, seq, intended):
    text = f"{start['run_id']}|{start['client']}|{partition}|{seq}|0|0|{intended}"
    text = f"{text}|{crc32c(text.encode()):08x}|"
    return text.ljust(start["value_bytes"], ".")


def read_one(message):
    if message.error():
        say(type="error", error=message.error().name(), text=message.error().str(), fatal=False)
        return
    place = {"partition": message.partition(), "offset": message.offset(), "at_ns": now()}
    words = message.value().decode(errors="replace").split("|")
    body = "|".join(words[:7])
    if len(words) < 9 or words[7] != f"{crc32c(body.encode()):08x}":
        say(type="read", damaged=True, **place)
        return
    say(type="read", client=int(words[1]), seq=int(words[3]), intended_ns=int(words[6]), **place)


def delivered(error, message, partition, seq, intended):
    record = {"partition": partition, "seq": seq, "intended_ns": intended, "at_ns": now()}
    if error is None:
        say(type="acked", offset=message.offset(), **record)
    else:
        say(type="unknown", error=error.code(), **record)


def main():
    start = json.loads(sys.stdin.readline())
    say(type="hello", library="confluent-kafka-python", version=confluent_kafka.__version__, clock_ns=now())
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    producer = confluent_kafka.Producer({"bootstrap.servers": start["bootstrap"], "enable.idempotence": True,
                                         "linger.ms": 0})
    consumer = confluent_kafka.Consumer({"bootstrap.servers": start["bootstrap"], "group.id": start["group"],
                                         "auto.offset.reset": "earliest"})
    consumer.subscribe(
        [start["topic"]],
        on_assign=lambda _, parts: say(type="rebalanced", event="assigned", partitions=len(parts)),
        on_revoke=lambda _, parts: say(type="rebalanced", event="revoked", partitions=len(parts)))
    due, count = now(), 0
    while not stop.is_set():
        while due <= now():
            partition, seq, intended = count % start["partitions"], count // start["partitions"], due
            say(type="sent", partition=partition, seq=seq, intended_ns=intended, at_ns=now())
            producer.produce(start["topic"], payload(start, partition, seq, intended), partition=partition,
                             on_delivery=lambda e, m, a=(partition, seq, intended): delivered(e, m, *a))
            due += start["interval_ns"]
            count += 1
        producer.poll(0)
        message = consumer.poll(0.001)
        if message is not None:
            read_one(message)
    producer.flush(30)
    quiet_since = now()
    while now() - quiet_since < 2_000_000_000:
        message = consumer.poll(0.1)
        if message is not None:
            read_one(message)
            quiet_since = now()
    consumer.close()
    say(type="bye")


if __name__ == "__main__":
    main()
