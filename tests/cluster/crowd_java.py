"""The crowd in Java: a process with Kafka's own producer and consumers (Crowd.java), told what to do and heard line by line."""
import os
import subprocess
import threading
import time

from crowd import GROUP, MEMBERS, PARTITIONS, READY_WITHIN_S, TOPIC, drain
from harness import Failed, check, die_with_parent
from ledger import FIRST_READER, THE_PRODUCER
from peers import KAFKA, java_classes

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Crowd.java")


class JavaCrowd:
    """As Crowd (crowd.py)."""

    name = f"Kafka's Java client {KAFKA}"

    def __init__(self, addresses, ledger, every_ms=2.5):
        self.ledger, self.told, self.holds, self.changes, self.done = ledger, [], {}, 0, set()
        self.child = subprocess.Popen(["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", java_classes(SOURCE), "Crowd", addresses, TOPIC,
                                       str(PARTITIONS), GROUP, str(MEMBERS), str(int(every_ms * 1000))], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=die_with_parent)
        threading.Thread(target=self._hear, daemon=True).start()

    def start(self):
        self._wait(lambda: sorted(self.holds.values()) == [PARTITIONS // MEMBERS] * MEMBERS, "the group comes together")
        self._order("produce")

    def fill(self, count, size):
        self._order(f"fill {count} {size}")

    def rebalances(self):
        return self.changes

    def complaints(self):
        return drain(self.told)

    def stop_producer(self, seconds):
        self._order("stop-producer")
        end = time.monotonic() + seconds
        while "producer" not in self.done and time.monotonic() < end:
            time.sleep(0.02)
        return sum(not send.told_ns for send in self.ledger.sends.values() if send.producer == THE_PRODUCER)

    def stop_members(self):
        self._order("stop-members")
        self._wait(lambda: len(self.done) == MEMBERS + 1, "the members end")

    def close(self):
        self.child.kill()
        self.child.wait()

    def _order(self, words):
        self.child.stdin.write(words + "\n")
        self.child.stdin.flush()

    def _wait(self, holds, what):
        end = time.monotonic() + READY_WITHIN_S
        while not holds():
            check(self.child.poll() is None, f"the Java clients ended with {self.child.returncode}")
            if time.monotonic() > end:
                raise Failed(f"not within {READY_WITHIN_S} s: {what}; they have {self.holds}")
            time.sleep(0.02)

    def _hear(self):
        for line in self.child.stdout:
            kind, *words = line.rstrip("\n").split(" ")
            if kind == "S":
                self.ledger.sent(int(words[0]), int(words[1]), THE_PRODUCER, int(words[2]))
            elif kind == "T":
                self.ledger.told(int(words[0]), int(words[1]), at=int(words[2]))
            elif kind == "F":
                self.ledger.told(int(words[0]), -1, " ".join(words[2:]), int(words[1]))
            elif kind == "P":
                reader, partition, began, told, position = map(int, words[:5])
                records = [tuple(map(int, word.split(":"))) for word in words[5:]]
                self.ledger.polled(FIRST_READER + reader, partition, records, began, told, None if position < 0 else position)
            elif kind == "C":
                offsets = dict(tuple(map(int, word.split(":"))) for word in words[3:])
                self.ledger.committed(offsets, words[0] == "true", int(words[1]), int(words[2]))
            elif kind == "E":
                who, _, text = " ".join(words[1:]).partition(": ")
                self.told.append((who, words[0] == "way", text))
            elif kind == "D":
                self.done.add(" ".join(words))
            else:
                self.changes += 1
                self.holds[int(words[0])] = int(words[1]) if kind == "A" else 0
