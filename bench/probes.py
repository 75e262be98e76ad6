"""What looks on while leadership moves: open loops of librdkafka, and the figures of what they saw."""
import statistics
import threading
import time

from confluent_kafka import Producer
from harness import check

GIVE_UP_S = 20


class OpenLoop(threading.Thread):
    """A record every `every_s`, whatever becomes of those before it, to each of the partitions in turn; the library's defaults
    but for `config`. answers: (due, partition, answered)."""

    def __init__(self, addresses, topic, partitions, every_s, config=None):
        super().__init__(daemon=True)
        self.topic, self.partitions, self.every_s, self.answers, self.refused = topic, list(partitions), every_s, [], []
        self.producer = Producer({"bootstrap.servers": addresses, "log_level": 0, **(config or {})})
        self.stopping = threading.Event()

    def told(self, due, partition, error):
        if error is None:
            self.answers.append((due, partition, time.monotonic()))
        else:
            self.refused.append(str(error))

    def run(self):
        due, sent = time.monotonic(), 0
        while not self.stopping.is_set():
            if (left := due - time.monotonic()) > 0:
                self.producer.poll(min(left, 0.001))
                continue
            partition = self.partitions[sent % len(self.partitions)]
            self.producer.produce(self.topic, b"x" * 100, partition=partition,
                                  on_delivery=lambda error, _, at=due, to=partition: self.told(at, to, error))
            due, sent = due + self.every_s, sent + 1

    def finish(self):
        self.stopping.set()
        self.join()
        check(self.producer.flush(GIVE_UP_S) == 0 and not self.refused, f"a client was told: {self.refused[:2]}")

    def longest_ms(self, begin, end):
        """By partition: how long the record waited that waited longest, of those that were due then."""
        longest = {}
        for due, partition, at in self.answers:
            if begin <= due <= end:
                longest[partition] = max(longest.get(partition, 0.0), 1000 * (at - due))
        return longest


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def summary(values):
    return (f"p50 {statistics.median(values):.1f}  p99 {quantile(values, 0.99):.1f}  max {max(values):.1f} ms "
            f"({len(values)} samples)")
