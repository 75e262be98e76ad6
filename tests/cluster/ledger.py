"""What the clients of a cluster sent, were told and got, and paceline-judge's verdict on it.

A record's value begins with its number, and its number is all that it says: numbers are given once. Producers are numbered too,
and what one of them sends to a partition must be there in the order of its numbers.
"""
import os
import re
import sys
import time
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("clients", "crash"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))

from bad_histories import GOOD, judge_events  # noqa: E402

THE_PRODUCER, THE_GROUP, FIRST_READER, FINAL_READER = 1, 1, 1, 99
# Records that a test sends by hand are no producer's, so in no order with others: each has a producer of its own.
BY_HAND = 1000
_DIGITS = 12


def value_of(number, size=40):
    return b"%0*d:" % (_DIGITS, number) + b"." * (size - _DIGITS - 1)


def number_of(value):
    """None if it is no such value, whole."""
    digits = value[:_DIGITS] if value else b""
    if len(digits) == _DIGITS and digits.isdigit() and value == value_of(int(digits), len(value)):
        return int(digits)
    return None


@dataclass(slots=True)
class Send:
    number: int
    producer: int
    partition: int
    sent_ns: int
    told_ns: int = 0
    # -1 of one that is acknowledged: its client was not told where. librdkafka infers it of a retry, from the answer to a later one.
    offset: int = -1
    error: str = ""

    @property
    def acked(self):
        return self.told_ns > 0 and not self.error


@dataclass
class Ledger:
    """Written by the threads of clients, one list each; read when they have ended, or as far as they have come."""
    sends: dict = field(default_factory=dict)  # by number
    acked: list = field(default_factory=list)  # sends, in the order of their answers
    refused: list = field(default_factory=list)
    polls: list = field(default_factory=list)
    got: dict = field(default_factory=dict)  # by partition: behind the last offset that the group was given
    commits: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    wrong: list = field(default_factory=list)

    def sent(self, number, partition, producer=THE_PRODUCER, at=None):
        self.sends[number] = Send(number, producer, partition, at or time.monotonic_ns())

    def not_sent(self, number):
        """It has never left the client."""
        del self.sends[number]

    def told(self, number, offset, error="", at=None):
        send = self.sends[number]
        if send.told_ns:
            self.wrong.append((send.partition, f"record {number} was answered twice"))
        send.told_ns, send.error = at or time.monotonic_ns(), error
        if error:
            self.refused.append(send)
        else:
            send.offset = -1 if offset is None else offset
            self.acked.append(send)

    def polled(self, reader, partition, records, began, told, position=None, last=False):
        """`records` are (offset, value) in the order in which they came; `position` is where the reader was, if it is known."""
        runs = []
        for offset, value in records:
            number = value if isinstance(value, int) else number_of(value)
            if number is None or number < 0:
                self.wrong.append((partition, f"offset {offset} holds {value if isinstance(value, int) else value[:60]!r}"))
            elif runs and offset == runs[-1][0] + runs[-1][2] and number == runs[-1][1] + runs[-1][2]:
                runs[-1][2] += 1
            else:
                runs.append([offset, number, 1])
        event = {"event": "poll", "reader": reader, "key": partition, "from": records[0][0] if position is None else position,
                 "runs": runs, "invoked": began, "told": told}
        self.polls.append({**event, "last": True} if last else {**event, "group": THE_GROUP})
        if not last:
            self.got[partition] = max(self.got.get(partition, 0), records[-1][0] + 1)

    def committed(self, offsets, done, began, told):
        """`offsets`: by partition, as a member has committed them."""
        self.commits += [{"event": "commit", "group": THE_GROUP, "key": partition, "offset": offset,
                          "outcome": "ok" if done else "unknown", "invoked": began, "told": told}
                         for partition, offset in offsets.items()]

    def asked_for(self, offsets, began, told):
        """What the group's coordinator says; -1 for nothing."""
        self.asked += [{"event": "committed", "group": THE_GROUP, "key": partition, "offset": offset, "invoked": began, "told": told}
                       for partition, offset in offsets.items()]

    def ends(self):
        """By partition: behind the last acknowledged offset."""
        ends = {}
        for send in list(self.acked):
            ends[send.partition] = max(ends.get(send.partition, 0), send.offset + 1)
        return ends

    def unread(self, ends):
        """How many partitions the group has not read up to these ends."""
        return sum(self.got.get(partition, 0) < end for partition, end in ends.items())

    def slowest_read(self, since_ns):
        """The longest time from the sending of a record to its reading by the group, in ns, of those sent since then."""
        slowest = 0
        for poll in reversed(list(self.polls)):
            if poll["told"] < since_ns:
                break
            for _, first, count in poll["runs"] if "group" in poll else ():
                for number in range(first, first + count):
                    send = self.sends.get(number)
                    if send is not None and send.sent_ns >= since_ns:
                        slowest = max(slowest, poll["told"] - send.sent_ns)
        return slowest

    def events(self):
        events, order = [], 0
        now = time.monotonic_ns()
        for send in list(self.sends.values()):
            order += 1
            event = {"event": "send", "producer": send.producer, "key": send.partition, "first": send.number, "count": 1,
                     "order": order, "outcome": "ok" if send.acked else "unknown", "invoked": send.sent_ns,
                     "told": send.told_ns or now}
            events.append({**event, "base": send.offset} if send.offset >= 0 else event)
        events += self.polls + self.commits + self.asked
        events += [{"event": "violation", "key": partition, "what": what, "invoked": 0, "told": now} for partition, what in self.wrong]
        return events

    def judge(self):
        """Sentences; none, if all that was acknowledged is there, once, in order, and read by the group."""
        status, said = judge_events(self.events())
        if status == GOOD:
            return []
        found = re.findall(r"^[a-z-]+ in (?:key|partition) \d+: .*$", said, re.M)
        return found or [f"paceline-judge ended with {status}: {said.strip()[:400]}"]


def _good():
    """Two partitions of ten records, two members, a commit, all read again in the end."""
    ledger = Ledger()
    for number in range(20):
        ledger.sent(number, number % 2, at=10 + number)
        ledger.told(number, number // 2, at=100 + number)
    for partition in (0, 1):
        records = [(number // 2, value_of(number)) for number in range(partition, 20, 2)]
        ledger.polled(FIRST_READER + partition, partition, records, 200, 201, 0)
        ledger.committed({partition: 10}, True, 210, 211)
        ledger.asked_for({partition: 10}, 220, 221)
        ledger.polled(FINAL_READER, partition, records, 300, 301, 0, last=True)
    return ledger


def _final(ledger, change):
    for poll in ledger.polls:
        if poll.get("last") and poll["key"] == 0:
            poll["runs"] = change(poll["runs"])


def _lose(ledger):
    for poll in ledger.polls:
        if poll["key"] == 0:
            poll["runs"] = poll["runs"][:-1]


def _twice(ledger):
    _final(ledger, lambda runs: [*runs, [10, runs[-1][1], 1]])


def _swap(ledger):
    for send in (ledger.sends[2], ledger.sends[4]):
        send.offset = 3 - send.offset
    for poll in ledger.polls:
        if poll["key"] == 0:
            poll["runs"] = [poll["runs"][0], [1, 4, 1], [2, 2, 1], *poll["runs"][3:]]


def _elsewhere(ledger):
    ledger.sends[4].offset = 7


def _taken_by_a_zombie(ledger):
    """One that has been fenced acknowledges a record by hand, where the successor has put another."""
    ledger.sent(1 << 39, 0, producer=BY_HAND, at=50)
    ledger.told(1 << 39, 3, at=60)


def _skipped(ledger):
    del next(poll for poll in ledger.polls if "group" in poll)["runs"][4]


def _offset_lost(ledger):
    ledger.asked_for({0: -1}, 400, 401)


def _damaged(ledger):
    ledger.polled(FINAL_READER, 1, [(10, b"what is this")], 400, 401, 10, last=True)


PLANTS = {"nothing": None, "a loss": _lose, "a duplicate": _twice, "another order": _swap, "an answer with a wrong offset": _elsewhere,
          "the acknowledgement of a zombie": _taken_by_a_zombie, "a record that a member skips": _skipped,
          "an offset that the coordinator has forgotten": _offset_lost, "bytes that nobody sent": _damaged}


def self_test():
    """One row a plant; the number of those judged wrongly."""
    wrong = 0
    for name, plant in PLANTS.items():
        ledger = _good()
        if plant:
            plant(ledger)
        found = ledger.judge()
        good = bool(found) == bool(plant)
        wrong += not good
        print(f"{'ok   ' if good else 'FAIL '} ledger with {name}: {found[0][:110] if found else 'nothing is found'}", flush=True)
    return wrong
