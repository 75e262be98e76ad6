"""Brokers under clients, on which one fault follows the other: the same producer and the same group live through all of them."""
import os
import re
import signal
import subprocess
import threading
import time

from brokers import Brokers, now_ms
from confluent_kafka import KafkaError, KafkaException
from crowd import GROUP, PARTITIONS, TOPIC, Crowd, ask_committed, read_all
from harness import Failed, binary, check, run_check
from ledger import BY_HAND, Ledger, value_of
from rig import create_topic
from wire import Silent, Wire

# The lease, which etcd may take a second longer to end, and then a takeover: whatever notices fails.
BACK_WITHIN_S = 20
# A request to a broker that is silent for good waits for the client's time-out, which is a minute.
ANSWERED_WITHIN_S = 90
FENCED = re.compile(r"lane (\d+\.\d+) of broker \d+ is fenced, with")
LANE = re.compile(r"\d+\.\d+")
# By metadata, or by its log, whichever it looks at first.
SAYS_SO = ("was fenced", "was sealed")
SETTINGS = {"group.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 4, "paceline.memory.bytes": 268435456}


class Stage:
    """`with Stage() as stage:`; after each fault `settle`, in the end `judge`."""

    def __init__(self, count=4, members=3, store=None, network=None, crowd=Crowd, settings=None, ways=None):
        self.brokers = Brokers(count, {**SETTINGS, **(settings or {})}, members=members, store=store, network=network, ways=ways)
        self.network, self.make_crowd = network, crowd
        self.ledger, self.crowd, self.dead = Ledger(), None, set()
        self.by_hand = 0
        self.rebalances = 0
        self.since_ns = 0  # the fault
        self.fenced_before = set()
        self.ended_ns = 0  # of the last one that was fenced

    def __enter__(self):
        self.brokers.__enter__()
        try:
            create_topic(self.brokers.address(1), TOPIC, PARTITIONS)
            self.crowd = self.make_crowd(self.brokers.addresses, self.ledger)
            self.crowd.start()
            time.sleep(1)
            self.settle()
            self.rebalances = self.crowd.rebalances()
        except BaseException:
            print(f"      broker logs and events: {self.brokers.keep()}", flush=True)
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        if self.crowd is not None:
            self.crowd.close()
        if self.network:
            self.network.heal()
        self.brokers.__exit__()

    @property
    def etcd(self):
        return self.brokers.etcd

    def house(self, number):
        return self.brokers.houses[number]

    @property
    def living(self):
        return [number for number in self.brokers.numbers if number not in self.dead]

    def leaders(self, asked=None):
        return self.brokers.leaders(TOPIC, asked or self.living[0])

    def led_by(self, *numbers):
        return {index for index, leader in self.leaders().items() if leader in numbers}

    def begin(self):
        """The fault happens now."""
        self.expect_content()
        self.fenced_before = self.fenced()
        self.since_ns = time.monotonic_ns()

    def signal(self, number, what):
        os.kill(self.house(number).child.pid, what)

    def kill(self, *numbers, apart_s=0.0):
        """kill -9, of one after the other; they are waited for behind the last."""
        for index, number in enumerate(numbers):
            if index and apart_s:
                time.sleep(apart_s)
            self.signal(number, signal.SIGKILL)
        self.dead |= set(numbers)
        for number in numbers:
            self.house(number).kill()

    def fenced(self):
        """Lanes that somebody has ever ended, by whatever evidence: whoever did it says so in its log, if it was answered, and
        successors write down that they serve what the lane had."""
        lanes = set()
        for number, house in self.brokers.houses.items():
            with open(house.log, encoding="utf-8", errors="replace") as log:
                lanes.update(FENCED.findall(log.read()))
            causes = [event["cause_id"] for event in self.brokers.events(number, "partition.serving")]
            lanes.update(cause for cause in causes if LANE.fullmatch(cause))
        return lanes

    def fences(self):
        """Those since the fault."""
        return self.fenced() - self.fenced_before

    def acked_since(self, since_ns=None):
        """Sends that were answered since the fault, the first ones first."""
        since_ns, told = since_ns or self.since_ns, []
        for send in reversed(self.ledger.acked):
            if send.told_ns < since_ns:
                break
            told.append(send)
        return told[::-1]

    def wait_for_service(self, partitions, since_ns=None, within=BACK_WITHIN_S):
        """Until each of them has acknowledged a record that was sent since the fault; the seconds until the last of them did."""
        since_ns = since_ns or self.since_ns
        end = time.monotonic() + within
        while True:
            first = {}
            for send in self.acked_since(since_ns):
                if send.sent_ns >= since_ns:
                    first.setdefault(send.partition, send.told_ns)
            if partitions <= first.keys():
                return (max((first[partition] for partition in partitions), default=since_ns) - since_ns) / 1e9
            left = sorted(partitions - first.keys())
            check(time.monotonic() < end, f"partitions {left} have acknowledged nothing for {within} s; leaders: {self.leaders()}")
            time.sleep(0.01)

    def wait_for_fence(self, number, incarnation):
        """Until somebody has ended this life of a broker; nobody else's is ended."""
        end = time.monotonic() + BACK_WITHIN_S
        while not self.fences():
            check(time.monotonic() < end, f"broker {number} is not fenced within {BACK_WITHIN_S} s")
            time.sleep(0.02)
        check(self.fences() == {f"{number}.{incarnation}"}, f"fenced: {self.fences()}, and the fault is that of {number}.{incarnation}")

    def served_elsewhere(self, number, partition):
        """A record by hand, taken by who leads instead of this broker; the seconds since the fault."""
        other, end = next(one for one in self.living if one != number), time.monotonic() + BACK_WITHIN_S
        while True:
            now = self.leaders(other)
            if number not in now.values():
                with Wire(self.brokers.address(now[partition])) as wire:
                    if self.ask(wire, partition) == 0:
                        return (time.monotonic_ns() - self.since_ns) / 1e9
            check(time.monotonic() < end, f"nobody serves what broker {number} has led: {now}")
            time.sleep(0.02)

    def wait_for_end(self, number):
        """A broker that was fenced says so and ends."""
        house = self.house(number)
        try:
            status = house.child.wait(BACK_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"broker {number} was fenced, and runs {BACK_WITHIN_S} s later: {house.tail()}") from None
        house.child, self.ended_ns = None, time.monotonic_ns()
        self.dead.add(number)
        check(status == 1, f"the fenced broker ended with {status}: {house.tail()}")
        check(any(word in house.said() for word in SAYS_SO), f"it does not say that it was fenced: {house.tail()}")

    def wait_for_commit(self):
        """Until the group's coordinator has taken a commit that was begun since the fault; the seconds since then."""
        end = time.monotonic() + BACK_WITHIN_S
        while True:
            done = [one["told"] for one in self.ledger.commits[-200:] if one["outcome"] == "ok" and one["invoked"] >= self.since_ns]
            if done:
                return (done[0] - self.since_ns) / 1e9
            check(time.monotonic() < end, f"no commit is taken for {BACK_WITHIN_S} s")
            time.sleep(0.01)

    def change(self, within=BACK_WITHIN_S):
        """A topic is created: a transaction of etcd's. How long that takes, in seconds, for who asks again when it is refused."""
        began, name = time.monotonic(), f"new-{now_ms()}"
        while True:
            try:
                create_topic(self.brokers.address(self.living[0]), name, 3, BACK_WITHIN_S)
                break
            except KafkaException as refused:
                error = refused.args[0]
                if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    break  # as one before has asked for, whose answer was lost
                check("etcd" in error.str() or "metadata" in error.str(), f"this says nothing to an operator: {error}")
                check(time.monotonic() - began < within, f"no topic is made for {within} s: {error}")
                time.sleep(0.1)
        return time.monotonic() - began

    def slowest_answer(self):
        """In seconds, of what was answered since the fault."""
        return max((send.told_ns - send.sent_ns for send in self.acked_since()), default=0) / 1e9

    def slowest_read(self):
        """In seconds, from the sending of a record since the fault until a member had it."""
        return self.ledger.slowest_read(self.since_ns) / 1e9

    def settle(self, ways_to=None):
        """All that was sent until now is answered, and read by the group, whose members have kept what they had; nobody was told
        of anything but broken or silent ways, and if `ways_to` is given only of those to these brokers."""
        until = time.monotonic_ns()
        end = time.monotonic() + ANSWERED_WITHIN_S

        def open_sends():
            return sum(not send.told_ns for send in list(self.ledger.sends.values()) if send.sent_ns < until)
        while open_sends():
            check(not self.ledger.refused, f"refused: {self.ledger.refused[:3]}")
            check(time.monotonic() < end, f"after {ANSWERED_WITHIN_S} s {open_sends()} records are not answered; "
                  f"leaders: {self.leaders()}")
            time.sleep(0.02)
        ends = self.ledger.ends()
        while self.ledger.unread(ends):
            check(time.monotonic() < end, f"after {ANSWERED_WITHIN_S} s {self.ledger.unread(ends)} partitions are not read to where they "
                  f"ended; leaders: {self.leaders()}")
            time.sleep(0.02)
        check(not self.ledger.refused, f"refused: {self.ledger.refused[:3]}")
        self.expect_content(ways_to)
        for number in self.living:
            self.house(number).expect_alive("while others had a fault")

    def expect_content(self, ways_to=None):
        told = [f"{who}: {text}" for who, of_the_way, text in self.crowd.complaints()
                if not of_the_way or ways_to is not None and not any(self.brokers.address(number) in text for number in ways_to)]
        check(not told, f"{len(told)} times a client was told of an error: {told[:3]}")
        if self.rebalances:
            check(self.crowd.rebalances() == self.rebalances, f"the group's members were given partitions or have lost them "
                  f"{self.crowd.rebalances() - self.rebalances} times")

    def restart(self):
        """Who is dead comes back, as a new incarnation of itself."""
        for number in sorted(self.dead):
            self.house(number).start()
            self.dead.discard(number)

    def spread(self):
        """Everybody leads its share again, by planned moves."""
        wanted = {index: self.brokers.numbers[index % len(self.brokers.numbers)] for index in range(PARTITIONS)}
        end = time.monotonic() + BACK_WITHIN_S
        while True:
            leaders = self.leaders()
            left = [index for index in wanted if leaders[index] != wanted[index]]
            if not left:
                return
            for index in left:
                done = subprocess.run([binary(), "leader", "move", f"{TOPIC}:{index}", "--to", str(wanted[index]), "-b",
                                       self.brokers.address(self.living[0])], capture_output=True, text=True, timeout=90, check=False)
                check(done.returncode == 0 or time.monotonic() < end, f"a move of partition {index} failed: {done.stdout}{done.stderr}")

    def heal(self):
        self.restart()
        self.spread()

    def incarnation(self, number):
        """Of this life of a broker: its events carry its lane."""
        lanes = [event["source"] for event in self.brokers.events(number) if LANE.fullmatch(event["source"])]
        return int(lanes[-1].split(".")[1]) if lanes else 0

    def offsets(self):
        """What the group has committed, as it is told now; never less than before, says the judge."""
        return ask_committed(self.brokers.addresses, self.ledger)

    def coordinator(self):
        from confluent_kafka.admin import AdminClient
        admin = AdminClient({"bootstrap.servers": self.brokers.addresses, "log_level": 0})
        return admin.list_groups(GROUP, 10)[0].broker.id

    def ask(self, wire, partition):
        """One record by hand. The error; None if nothing came."""
        number = (1 << 39) + self.by_hand
        self.by_hand += 1
        self.ledger.sent(number, partition, BY_HAND + self.by_hand)
        try:
            error, offset = wire.produce(TOPIC, partition, [(b"", value_of(number))])
        except (Silent, OSError):
            error = None
        send = self.ledger.sends[number]
        if error == 0:
            send.offset = offset
        else:
            send.error = "no answer" if error is None else str(error)
        send.told_ns = time.monotonic_ns()
        return error

    def judge(self):
        """Everybody finishes. All that was acknowledged is there, once, in order, and stays so when all brokers have ended."""
        left = self.crowd.stop_producer(ANSWERED_WITHIN_S)
        check(left == 0, f"{left} records have no answer")
        self.settle()
        # Whoever leaves gives its partitions to the others.
        self.rebalances = 0
        self.crowd.stop_members()
        self.expect_content()
        committed, ends = self.offsets(), self.ledger.ends()
        behind = {partition: (committed.get(partition), end) for partition, end in ends.items() if committed.get(partition, -1) < end}
        check(not behind, f"the group has committed less than it has read: {behind}")
        read_all(self.brokers.addresses, self.ledger)
        found = self.ledger.judge()
        check(not found, f"{len(found)} anomalies: {found[:3]}")
        for number in self.living:
            self.house(number).stop()
        self.prove()
        return f"{len(self.ledger.acked)} records: none lost, none twice, each in its order and where it was said to be"

    def prove(self):
        """`paceline check`: every offset once and every checksum, when nobody runs any more."""
        house = self.house(1)
        status, sentences, said = run_check(house.data, timeout=120, settings=house.settings, environment=house.environment)
        check(status == 0, f"check ended with {status}: {sentences[:3] or said[-300:]}")


class Asking(threading.Thread):
    """Asks one broker for one partition by hand, again and again, as a client that knows no better; with all it was told."""

    def __init__(self, stage, number, partition, pause_s=0.005):
        super().__init__(daemon=True)
        self.stage, self.address, self.partition, self.pause_s = stage, stage.brokers.address(number), partition, pause_s
        self.answers = []  # (sent, told, error), in ns
        self.stopping = threading.Event()
        self.start()

    def run(self):
        wire = None
        while not self.stopping.is_set():
            sent, error = time.monotonic_ns(), None
            try:
                wire = wire or Wire(self.address, 2)
                error = self.stage.ask(wire, self.partition)
            except Silent:
                pass
            self.answers.append((sent, time.monotonic_ns(), error))
            if error is None and wire is not None:
                wire.close()
                wire = None
            self.stopping.wait(self.pause_s)
        if wire is not None:
            wire.close()

    def end(self):
        self.stopping.set()
        self.join()
        return self.answers


def acknowledged(answers, since_ns=0):
    return [one for one in answers if one[2] == 0 and one[0] >= since_ns]
