#!/usr/bin/python3
"""Real brokers on a real etcd, an idempotent producer and a group: one fault after the other, of brokers, of etcd and of the
network between them. After each, all that was sent is answered and read, nobody was told of an error, and the members have kept
their partitions; in the end paceline-judge and `paceline check` have the word.

  faults.py [--quick] [--long] [--only WORDS] [--clients debian|2.15|java]
  faults.py --self-test      what the verdict is there for is planted, and found

--quick: what ./dev test plays. --long: each fault again and again. --clients: librdkafka as Debian has it, 2.15 as npm has it, or
Kafka's own client in Java. What cannot be played here is skipped, and counted so.
"""
import argparse
import signal
import sys
import threading
import time

from brokers import now_ms
from ceph import Ceph
from fault_proxy import Proxy
from cuts import CUTS
from harness import binary, check
from ledger import self_test
from network import Network, enter
from peers import use_librdkafka_2_15
from rig import Skipped, Table
from stage import BACK_WITHIN_S, Stage
from wire import Wire

STOPPED_S = 5
LEASE_S = 5  # paceline.lease.ms


def told(stage, service, more=""):
    return (f"served again {service:.2f} s after it, the slowest answer took {stage.slowest_answer():.2f} s, "
            f"the slowest reading {stage.slowest_read():.2f} s{more}")


def leader_and_successor(stage, options):
    """A second broker dies while it takes over from the first one."""
    delays = (0.02,) if options.quick else (0.0, 0.005, 0.01, 0.02, 0.03, 0.05) * (10 if options.long else 1)
    slowest = slowest_answer = slowest_read = 0.0
    midway = 0
    for turn, delay in enumerate(delays):
        first = turn % len(stage.brokers.numbers) + 1
        second = first % len(stage.brokers.numbers) + 1
        lost = stage.led_by(first, second)
        check(stage.led_by(first), f"broker {first} leads nothing")
        fill(stage, 400 if options.quick else 1000)
        stage.begin()
        lane = f"{first}.{stage.incarnation(first)}"
        stage.kill(first, second, apart_s=delay)
        slowest = max(slowest, stage.wait_for_service(lost))
        stage.settle()
        slowest_answer, slowest_read = max(slowest_answer, stage.slowest_answer()), max(slowest_read, stage.slowest_read())
        midway += not any(event["lane"] == lane for event in stage.brokers.events(second, "lane.recovered"))
        stage.heal()
    return (f"{len(delays)} times, a second broker dead within {1000 * max(delays):.0f} ms, {midway} times before it had taken over; "
            f"served again {slowest:.2f} s after the first death at most, the slowest answer took {slowest_answer:.2f} s, "
            f"the slowest reading {slowest_read:.2f} s")


def fill(stage, count, size=20000):
    """A tail that is in no object yet."""
    goal = len(stage.ledger.acked) + count
    stage.crowd.fill(count, size)
    end = time.monotonic() + 60
    while len(stage.ledger.acked) < goal:
        check(time.monotonic() < end, "a tail is not acknowledged within 60 s")
        time.sleep(0.01)


def controller(stage, _options):
    """The lowest id, which collects for who is gone."""
    lost = stage.led_by(1)
    stage.begin()
    stage.kill(1)
    service = stage.wait_for_service(lost)
    took = stage.change()
    stage.settle()
    named = {stage.brokers.controller(number) for number in stage.living}
    check(named <= set(stage.living), f"the controllers that are named: {named}, and broker 1 is dead")
    return told(stage, service, f"; a topic is made in {took:.2f} s")


def half_at_once(stage, options):
    texts = []
    for victims in ((1, 3),) if options.quick else ((1, 3), (2, 4), (1, 2)) * (5 if options.long else 1):
        lost = stage.led_by(*victims)
        stage.begin()
        stage.kill(*victims)
        service = stage.wait_for_service(lost)
        stage.settle()
        texts.append((service, stage.slowest_answer(), stage.slowest_read()))
        stage.heal()
    return (f"2 of {len(stage.brokers.numbers)} brokers, {len(texts)} times: served again {max(one for one, _, _ in texts):.2f} s after it "
            f"at most, the slowest answer took {max(one for _, one, _ in texts):.2f} s, the slowest reading {max(texts, key=lambda t: t[2])[2]:.2f} s")


def stands_still(stage, options):
    """SIGSTOP: others take over, and who wakes up finds itself fenced."""
    texts = []
    for turn in range(3 if options.long else 1):
        victim = turn % len(stage.brokers.numbers) + 1
        lost, incarnation, answers = stage.led_by(victim), stage.incarnation(victim), []
        with Wire(stage.brokers.address(victim), STOPPED_S + BACK_WITHIN_S) as wire:
            stage.begin()
            stage.signal(victim, signal.SIGSTOP)
            asking = threading.Thread(target=lambda: answers.append(stage.ask(wire, min(lost))))
            asking.start()
            stage.wait_for_fence(victim, incarnation)
            served = stage.served_elsewhere(victim, min(lost))
            time.sleep(max(0.0, STOPPED_S - (time.monotonic_ns() - stage.since_ns) / 1e9))
            stage.signal(victim, signal.SIGCONT)
            asking.join()
        check(answers[0] != 0, "a broker that was fenced while it stood still acknowledged a record")
        stage.wait_for_end(victim)
        service = stage.wait_for_service(lost)
        stage.settle()
        stage.heal()
        check(stage.incarnation(victim) > incarnation, f"broker {victim} is back as incarnation {stage.incarnation(victim)}")
        texts.append(f"its successor serves after {served:.2f} s, {told(stage, service)}")
    return f"it acknowledges nothing, says so, ends, and comes back as another incarnation; {'; '.join(texts)}"


def cut_from_store(stage, _options):
    """It reaches clients, the others and etcd, and cannot write: others take over, and it comes back when it reaches the store."""
    victim, way = next(iter(stage.brokers.ways.items()))
    lost, incarnation = stage.led_by(victim), stage.incarnation(victim)
    check(lost, f"broker {victim} leads nothing")
    stage.begin()
    way.outage("hang")
    stage.wait_for_fence(victim, incarnation)
    stage.wait_for_end(victim)
    service = stage.wait_for_service(lost)
    way.outage("")
    stage.settle()
    stage.heal()
    check(stage.incarnation(victim) > incarnation, f"broker {victim} is back as incarnation {stage.incarnation(victim)}")
    return told(stage, service)


def planned_end(stage, options):
    texts = []
    for turn in range(len(stage.brokers.numbers) if options.long else 1):
        victim = len(stage.brokers.numbers) - turn
        stage.begin()
        since = now_ms()
        stage.house(victim).stop(60)
        stage.dead.add(victim)
        time.sleep(1)
        stage.settle(ways_to=(victim,))
        deaths = stage.brokers.deaths(stage.living, since)
        check(not deaths, f"a planned end was taken for a death: {deaths}")
        texts.append(stage.slowest_answer())
        stage.heal()
    return f"no error; the slowest answer took {max(texts):.3f} s"


def etcd_leader(stage, options):
    texts = []
    for _ in range(3 if options.long else 1):
        member = stage.etcd.leader()
        stage.begin()
        stage.etcd.kill_member(member)
        took = stage.change()
        time.sleep(0 if options.quick else LEASE_S + 2)
        stage.settle(ways_to=())
        check(not stage.fences(), f"an election of etcd was taken for a death of {stage.fences()}")
        stage.etcd.start_member(member)
        stage.etcd.processes.wait_for(stage.etcd.healthy, "etcd has all its members", 30)
        texts.append((took, stage.slowest_answer()))
    return (f"nobody is fenced; a topic is made {max(one for one, _ in texts):.2f} s after it at most, the slowest answer to a record took "
            f"{max(one for _, one in texts):.3f} s")


def no_quorum(stage, options):
    """etcd's leader and another member stand still. Who leads leads on; who dies meanwhile is replaced when etcd is back."""
    seconds, victim = 10 if options.quick else 60, 2
    before, lost, incarnation = stage.leaders(), stage.led_by(2), stage.incarnation(2)
    kept = set(before) - lost
    leader = stage.etcd.leader()
    away = (leader, (leader + 1) % 3)
    stage.begin()
    for member in away:
        stage.etcd.pause(member)
    stage.wait_for_service(set(before))
    stage.settle(ways_to=())
    stage.kill(victim)
    killed_ns = time.monotonic_ns()
    rounds = 0
    while time.monotonic_ns() - stage.since_ns < seconds * 1e9:
        stage.wait_for_service(kept, time.monotonic_ns(), within=5)
        for number in stage.living:
            now = stage.leaders(number)
            check(all(now[index] == before[index] for index in kept), f"broker {number} knows other leaders: {before}, now {now}")
            check(all(now[index] in (victim, -1) for index in lost), f"broker {number} has invented leaders: {before}, now {now}")
        rounds += 1
        time.sleep(0.5)
    check(not stage.fences(), f"fenced without etcd: {stage.fences()}")
    back_ns = time.monotonic_ns()
    for member in away:
        stage.etcd.resume(member)
    service = stage.wait_for_service(lost, back_ns)
    # Whoever takes the leases that ended meanwhile for deaths does it now.
    time.sleep(LEASE_S + 2)
    check(stage.fences() == {f"{victim}.{incarnation}"}, f"fenced when etcd was back: {stage.fences()}; dead is {victim}.{incarnation}")
    stage.settle()
    took = stage.change()
    return (f"{seconds} s without: all that living brokers lead is served, looked at {rounds} times, and nothing else has a leader; what a "
            f"broker had led that died {(back_ns - killed_ns) / 1e9:.0f} s earlier is served {service:.2f} s after the return, a topic made "
            f"in {took:.2f} s")


def group_coordinator(stage, options):
    texts = []
    for _ in range(4 if options.long else 1):
        victim, before = stage.coordinator(), stage.offsets()
        lost = stage.led_by(victim)
        stage.begin()
        stage.kill(victim)
        service = stage.wait_for_service(lost)
        committed = stage.wait_for_commit()
        after, now = stage.offsets(), stage.coordinator()
        check(all(after[partition] >= offset for partition, offset in before.items()), f"offsets went back: {before}, now {after}")
        check(now != victim, f"broker {victim} is dead and coordinates the group")
        stage.settle()
        texts.append(f"a commit is taken {committed:.2f} s after it, {told(stage, service)}")
        stage.heal()
    return f"its members and offsets stay; {'; '.join(texts)}"


# Of which stage, in which order; the second word: whether --quick plays it.
FOUR = "four brokers, three members of etcd"
FIVE = "five brokers"
STORE = "four brokers without disks on Ceph RGW"
CUT = "three brokers in namespaces"
CASES = [(FOUR, True, "kill -9 of a leader and of its successor", leader_and_successor),
         (FOUR, True, "kill -9 of the controller", controller),
         (FOUR, True, "kill -9 of half of the brokers", half_at_once),
         (FOUR, False, "a broker stands still for 5 s", stands_still),
         (FOUR, True, "SIGTERM", planned_end),
         (FOUR, True, "kill -9 of etcd's leader", etcd_leader),
         (FOUR, True, "kill -9 of the group's coordinator", group_coordinator),
         (FOUR, True, "etcd without a quorum", no_quorum),
         (FIVE, False, "kill -9 of two of five brokers", half_at_once),
         *((CUT, quick, title, case) for title, quick, case in CUTS),
         (STORE, False, "store: kill -9 of a leader and of its successor", leader_and_successor),
         (STORE, False, "store: kill -9 of half of the brokers", half_at_once),
         (STORE, False, "store: a broker stands still for 5 s", stands_still),
         (STORE, False, "store: a broker is cut off from the store alone", cut_from_store),
         (STORE, False, "store: etcd without a quorum", no_quorum)]


class Playing:
    """A stage while its faults follow each other; after one that went wrong the next begins on a new one."""

    def __init__(self, name, crowd):
        self.name, self.crowd, self.stage = name, crowd, None
        self.around = []

    def ready(self):
        if self.stage is None:
            self.stage = self.make().__enter__()
        return self.stage

    def make(self):
        if self.name == STORE:
            store = self.enter(Ceph())
            return Stage(store=store, crowd=self.crowd, ways={4: self.enter(Proxy(store))})
        if self.name == CUT:
            return Stage(3, members=1, network=self.enter(Network()), crowd=self.crowd)
        return Stage(5 if self.name == FIVE else 4, crowd=self.crowd)

    def enter(self, what):
        entered = what.__enter__()
        self.around.append(what)
        return entered

    def play(self, case, options):
        try:
            stage = self.ready()
            text = case(stage, options)
            stage.heal()
            stage.settle()
            return text
        except Skipped:
            self.leave()
            raise
        except BaseException:
            self.leave(kept=True)
            raise

    def judge(self):
        try:
            return self.stage.judge()
        except BaseException:
            self.leave(kept=True)
            raise

    def leave(self, kept=False):
        """`kept`: what brokers have written is worth a look."""
        if self.stage is not None:
            if kept:
                print(f"      broker logs and events: {self.stage.brokers.keep()}", flush=True)
            self.stage.__exit__()
            self.stage = None
        while self.around:
            self.around.pop().__exit__(None, None, None)


def crowd_of(clients):
    if clients == "java":
        from crowd_java import JavaCrowd
        return JavaCrowd
    from crowd import Crowd
    return Crowd


def main():
    parser = argparse.ArgumentParser(description="faults of real processes under real clients")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="", help="cases whose title has all these words")
    parser.add_argument("--clients", choices=("debian", "2.15", "java"), default="debian")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return 1 if self_test() else 0
    wanted = [case for case in CASES if all(word in case[2] for word in options.only.split()) and (case[1] or not options.quick)]
    if options.clients == "2.15":
        use_librdkafka_2_15()
    if any(case[0] == CUT for case in wanted):
        enter()
    crowd = crowd_of(options.clients)
    began, table = time.monotonic(), Table("faults")
    print(f"faults: {binary()}, clients: {crowd.name}", flush=True)
    for name in dict.fromkeys(case[0] for case in wanted):
        playing = Playing(name, crowd)
        for _, _, title, case in [case for case in wanted if case[0] == name]:
            table.case(title, lambda: playing.play(case, options))
        if playing.stage is not None:
            table.case(f"{name}: what is left", playing.judge)
        playing.leave()
    return table.finish(began)


if __name__ == "__main__":
    sys.exit(main())
