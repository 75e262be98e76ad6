"""A client outside (src/probe/README.md): two members of a group read the topic, and one of them leaves and comes back every three
seconds: the group is never at rest. With --for-good it stays until a broker is gone, leaves, and does not come back. It sends nothing."""
import json
import socket
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, libversion

REST_S = 3.0
FOR_GOOD = "--for-good" in sys.argv
writing, stopping = threading.Lock(), threading.Event()


def say(**line):
    with writing:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


class Member(threading.Thread):
    """`loyal`: it stays, and says what happens to it; the other one leaves and comes back, or not, and then says so, too."""

    def __init__(self, start, loyal):
        super().__init__(daemon=True)
        self.told, self.loyal = start, loyal
        self.start()

    def run(self):
        while not stopping.is_set():
            self.read_until(time.monotonic() + (1e9 if self.loyal or FOR_GOOD else REST_S))
            if FOR_GOOD and not self.loyal:
                return
            stopping.wait(0.2)

    def read_until(self, until):
        consumer = Consumer({"bootstrap.servers": self.told["bootstrap"], "group.id": self.told["group"], "log_level": 0,
                             "auto.offset.reset": "earliest", "heartbeat.interval.ms": 300, "error_cb": self.complain})
        consumer.subscribe([self.told["topic"]], on_assign=lambda _, given: self.tell("assigned", given),
                           on_revoke=lambda _, lost: self.tell("revoked", lost))
        brokers = set()
        while time.monotonic() < until and not stopping.is_set():
            for message in consumer.consume(500, 0.1):
                if message.error() is None:
                    self.tell_read(message)
            if FOR_GOOD and not self.loyal:
                brokers = brokers or self.brokers(consumer)
                if not all(map(answers, brokers)):
                    break
        consumer.unsubscribe()
        consumer.close()

    def brokers(self, consumer):
        try:
            return {(one.host, one.port) for one in consumer.list_topics(self.told["topic"], timeout=1).brokers.values()}
        except KafkaException:
            return set()

    def tell(self, event, partitions):
        if self.loyal or FOR_GOOD:
            say(type="rebalanced", event=event, partitions=len(partitions), member="loyal" if self.loyal else "leaver")

    def complain(self, error):
        if self.loyal:
            say(type="error", error=error.name(), text=error.str(), fatal=error.fatal())

    def tell_read(self, message):
        words = message.value().split(b"|")
        if len(words) < 8 or words[0].decode() != self.told["run_id"]:
            return
        say(type="read", client=int(words[1]), partition=message.partition(), seq=int(words[3]), offset=message.offset(),
            intended_ns=int(words[6]), at_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def answers(address):
    try:
        with socket.create_connection(address, 1):
            return True
    except OSError:
        return False


def main():
    start = json.loads(sys.stdin.readline())
    say(type="hello", library="confluent-kafka-python", version=libversion()[0],
        clock_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    members = [Member(start, loyal=True), Member(start, loyal=False)]
    for line in sys.stdin:
        if json.loads(line).get("type") == "stop":
            break
    stopping.set()
    for member in members:
        member.join(10)
    say(type="bye")


if __name__ == "__main__":
    main()
