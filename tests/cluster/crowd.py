"""The clients of a cluster under faults: an idempotent producer in an open loop, and a group whose members must keep what they
have. Both are librdkafka's, with its defaults; crowd_java.py has the same with Kafka's own client.
"""
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition, libversion
from harness import check
from ledger import FINAL_READER, FIRST_READER, THE_PRODUCER, value_of

TOPIC, GROUP, PARTITIONS, MEMBERS = "orders", "readers", 12, 2
COMMIT_EVERY_S = 0.3
READY_WITHIN_S = 40
# While brokers die connections break; while they stand still requests time out. Anything else is told to a user.
OF_THE_WAY = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT}
# What a commit may meet while its coordinator moves: all of them are tried again.
COMMITS_AGAIN = {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._WAIT_COORD, KafkaError._TIMED_OUT_QUEUE,
                 KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR,
                 KafkaError.REQUEST_TIMED_OUT, KafkaError._DESTROY}


# Brokers die one after the other here, and by default one that was not there twice is not tried again for many seconds.
SOON = {"reconnect.backoff.max.ms": 500}


class Feed:
    """One record every few milliseconds, whatever becomes of those before it."""

    def __init__(self, addresses, ledger, every_ms):
        self.ledger, self.every_s, self.next, self.complaints = ledger, every_ms / 1000, 0, []
        self.producer = Producer({"bootstrap.servers": addresses, "enable.idempotence": True, "message.timeout.ms": 120000,
                                  "broker.address.family": "v4", "log_level": 0, **SOON,
                                  "error_cb": lambda error: self.complaints.append(("producer", error))})
        self.bulk = []  # sizes of records that are sent at once
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        due = time.monotonic()
        while not self.stopping.is_set():
            while self.bulk and not self.stopping.is_set():
                self._send(self.bulk.pop())
            now = time.monotonic()
            if now < due:
                self.producer.poll(min(due - now, 0.001))
                continue
            due += self.every_s
            self._send()
            self.producer.poll(0)

    def _send(self, size=40):
        number, partition = self.next, self.next % PARTITIONS
        self.next += 1
        self.ledger.sent(number, partition, THE_PRODUCER)
        while True:
            try:
                self.producer.produce(TOPIC, value_of(number, size), partition=partition,
                                      on_delivery=lambda error, message: self._told(number, error, message))
                return
            except BufferError:
                self.producer.poll(0.01)
                if self.stopping.is_set():
                    self.ledger.not_sent(number)
                    return

    def _told(self, number, error, message):
        self.ledger.told(number, -1 if error else message.offset(), str(error) if error else "")

    def close(self, seconds):
        """How many records have no answer."""
        self.stopping.set()
        self.thread.join()
        return self.producer.flush(seconds)


class Member:
    """One of the group: reads, commits, and counts how often it was given or has lost something."""

    def __init__(self, addresses, ledger, number):
        self.ledger, self.reader, self.name = ledger, FIRST_READER + number, f"member {number + 1}"
        self.assigned = self.revoked = self.holds = 0
        self.complaints, self.positions, self.uncommitted = [], {}, []
        self.consumer = Consumer({"bootstrap.servers": addresses, "group.id": GROUP, "client.id": f"member-{number}",
                                  "auto.offset.reset": "earliest", "enable.auto.commit": False, "broker.address.family": "v4",
                                  "log_level": 0, "on_commit": self._committed, **SOON,
                                  "error_cb": lambda error: self.complaints.append((self.name, error))})
        self.consumer.subscribe([TOPIC], on_assign=self._given, on_revoke=self._lost)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _given(self, _consumer, partitions):
        self.assigned += 1
        self.holds = len(partitions)

    def _lost(self, _consumer, _partitions):
        self.revoked += 1
        self.holds = 0
        self.positions.clear()

    def _committed(self, error, partitions):
        began, told = self.uncommitted.pop(0) if self.uncommitted else 0, time.monotonic_ns()
        errors = [each for each in (error, *(one.error for one in partitions)) if each is not None]
        self.ledger.committed({one.partition: one.offset for one in partitions if one.offset >= 0}, not errors, began, told)
        self.complaints += [(f"a commit of {self.name}", each) for each in errors if each.code() not in COMMITS_AGAIN]

    def _run(self):
        next_commit = time.monotonic() + COMMIT_EVERY_S
        while not self.stopping.is_set():
            began = time.monotonic_ns()
            self._take(self.consumer.consume(500, 0.05), began)
            if time.monotonic() >= next_commit:
                self._commit()
                next_commit = time.monotonic() + COMMIT_EVERY_S

    def _take(self, messages, began):
        told, by_partition = time.monotonic_ns(), {}
        for message in messages:
            if message.error() is not None:
                self.complaints.append((self.name, message.error()))
            else:
                by_partition.setdefault(message.partition(), []).append((message.offset(), message.value()))
        for partition, records in by_partition.items():
            self.ledger.polled(self.reader, partition, records, began, told, self.positions.get(partition))
            self.positions[partition] = records[-1][0] + 1

    def _offsets(self):
        return [TopicPartition(TOPIC, partition, offset) for partition, offset in self.positions.items()]

    def _commit(self):
        if self.positions:
            self.uncommitted.append(time.monotonic_ns())
            self.consumer.commit(offsets=self._offsets(), asynchronous=True)

    def close(self):
        self.stopping.set()
        self.thread.join()
        began = time.monotonic_ns()
        try:
            # The other one may have left first, and what it had is not here yet.
            if offsets := self._offsets():
                done = self.consumer.commit(offsets=offsets, asynchronous=False)
                self.ledger.committed({one.partition: one.offset for one in done}, True, began, time.monotonic_ns())
        except KafkaException as refused:
            self.complaints.append((f"the last commit of {self.name}", refused.args[0]))
        self.consumer.close()


class Crowd:
    """All of them. `complaints` is what a user of these clients would have seen, as (who, code, sentence)."""

    def __init__(self, addresses, ledger, every_ms=2.5):
        self.addresses, self.ledger, self.every_ms = addresses, ledger, every_ms
        self.feed, self.members = None, []
        self.seen = 0

    name = f"librdkafka {libversion()[0]}"

    def start(self):
        """Ends when everybody has a share of the partitions."""
        for number in range(MEMBERS):
            self.members.append(Member(self.addresses, self.ledger, number))
            share = PARTITIONS // len(self.members)
            end = time.monotonic() + READY_WITHIN_S
            while any(member.holds != share for member in self.members):
                check(time.monotonic() < end, f"the group did not come together: {[member.holds for member in self.members]}")
                time.sleep(0.02)
        self.feed = Feed(self.addresses, self.ledger, self.every_ms)
        self.feed.thread.start()

    def fill(self, count, size):
        """So many bigger records beside the others, as fast as they go."""
        self.feed.bulk += [size] * count

    def rebalances(self):
        """Grows with each that a member has seen."""
        return sum(member.assigned + member.revoked for member in self.members)

    def complaints(self):
        """(who, whether a broken or silent way explains it, sentence), since the last time."""
        lists = [self.feed.complaints, *(member.complaints for member in self.members)]
        return [(who, error.code() in OF_THE_WAY and not error.fatal(), f"{error.name()}: {error.str()}")
                for complaints in lists for who, error in drain(complaints)]

    def stop_producer(self, seconds):
        return self.feed.close(seconds)

    def stop_members(self):
        for member in self.members:
            member.close()

    def close(self):
        """Without any order: somebody has failed."""
        for one in (self.feed, *self.members):
            if one is not None:
                one.stopping.set()


def drain(entries):
    taken = entries[:]
    del entries[:len(taken)]
    return taken


def read_all(addresses, ledger, seconds=60):
    """The final polls: every partition from its start, until all that was acknowledged has come by and nothing more comes."""
    ends, positions = ledger.ends(), dict.fromkeys(range(PARTITIONS), 0)
    consumer = Consumer({"bootstrap.servers": addresses, "group.id": "final", "enable.auto.commit": False, "log_level": 0,
                         "broker.address.family": "v4", "enable.partition.eof": True})
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
    end, at_end = time.monotonic() + seconds, set()
    while time.monotonic() < end and len(at_end) < PARTITIONS:
        began = time.monotonic_ns()
        by_partition = {}
        for message in consumer.consume(2000, 0.2):
            if message.error() is None:
                by_partition.setdefault(message.partition(), []).append((message.offset(), message.value()))
                at_end.discard(message.partition())
            elif message.error().code() == KafkaError._PARTITION_EOF and message.offset() >= ends.get(message.partition(), 0):
                at_end.add(message.partition())
        told = time.monotonic_ns()
        for partition, records in by_partition.items():
            ledger.polled(FINAL_READER, partition, records, began, told, positions[partition], last=True)
            positions[partition] = records[-1][0] + 1
    consumer.close()
    missing = {partition: (positions[partition], end) for partition, end in ends.items() if positions[partition] < end}
    check(not missing, f"not read to the end within {seconds} s: {missing}")


def ask_committed(addresses, ledger, seconds=20):
    """What the group has committed, by partition, as its coordinator tells an outsider."""
    consumer = Consumer({"bootstrap.servers": addresses, "group.id": GROUP, "enable.auto.commit": False, "log_level": 0,
                         "broker.address.family": "v4"})
    began, end = time.monotonic_ns(), time.monotonic() + seconds
    while True:
        try:
            told = consumer.committed([TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)], 5)
            break
        except KafkaException as refused:
            check(time.monotonic() < end, f"the group's offsets are not told within {seconds} s: {refused}")
            time.sleep(0.05)
    consumer.close()
    offsets = {one.partition: max(one.offset, -1) for one in told}
    ledger.asked_for(offsets, began, time.monotonic_ns())
    return offsets
