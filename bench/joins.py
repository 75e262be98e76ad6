#!/usr/bin/python3
"""A broker is added to three that are nearly busy: how soon it leads, how soon it carries its share, and what that does to clients.

  bench/joins.py [--rounds 5] [--whole 5] [--core-share 0.2] [--load 0.4]

Each broker has CORE-SHARE of a core and no more, by a control group of its own (takes root), so that one broker more is that much
more, although all share two cores with their clients. Three carry LOAD of what they acknowledge at most, from an open loop over 48
partitions; then a fourth starts. Its share is a quarter of the partitions, by one at most. The first WHOLE rounds measure what three
and four acknowledge at most, and clients with four; the others take the median of the first for their load. Prints figures, judges
nothing.
"""
import argparse
import os
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))
sys.path.insert(0, os.path.join(ROOT, "bench"))

from brokers import Brokers, now_ms  # noqa: E402
from harness import check  # noqa: E402
from rig import create_topic  # noqa: E402
from servers import finish, json_of, start_json, tool  # noqa: E402

TOPIC, PARTITIONS = "spread", 48
RECORD, BATCH = 1024, 64 << 10
PERIOD_US = 10_000
LOOK_S = 0.02


class Caps:
    """Processes with a share of a core each. `with Caps(0.1) as caps: caps.put(pid)`."""

    def __init__(self, share):
        self.quota_us, self.made = int(share * PERIOD_US), []
        self.root = "/sys/fs/cgroup/cpu" if os.path.isdir("/sys/fs/cgroup/cpu") else "/sys/fs/cgroup"

    def put(self, pid):
        group = os.path.join(self.root, f"paceline-{os.getpid()}-{len(self.made)}")
        os.mkdir(group)
        self.made.append(group)
        limits = {"cpu.cfs_period_us": PERIOD_US, "cpu.cfs_quota_us": self.quota_us}
        if os.path.exists(os.path.join(group, "cpu.max")):
            limits = {"cpu.max": f"{self.quota_us} {PERIOD_US}"}
        for name, value in {**limits, "cgroup.procs": pid}.items():
            with open(os.path.join(group, name), "w", encoding="ascii") as file:
                file.write(str(value))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for group in self.made:
            os.rmdir(group)


def greatest(brokers, records):
    return json_of([tool("load"), "produce", brokers.addresses, TOPIC, PARTITIONS, RECORD, BATCH, records, 1])["records_per_s"]


def open_loop(brokers, rate, seconds):
    return start_json([tool("load"), "paced", brokers.addresses, TOPIC, PARTITIONS, RECORD, BATCH, int(rate), seconds])


def watch(brokers, began, seconds):
    """Seconds after `began`: the new one leads something; it leads its share."""
    first = share = None
    while time.monotonic() < began + seconds and share is None:
        led = list(brokers.leaders(TOPIC, 1).values()).count(4)
        at = time.monotonic() - began
        if led and first is None:
            first = at
        if abs(led - PARTITIONS / 4) <= 1:
            share = at
        time.sleep(LOOK_S)
    check(share is not None, f"the fourth does not carry its share within {seconds} s")
    return first, share


def one_round(number, core_share, load, known):
    """`known`: what three acknowledge at most; None: it is measured, and so is what four do."""
    settings = {"offsets.topic.num.partitions": 3}
    with Caps(core_share) as caps, Brokers(settings=settings, base=os.environ.get("PACELINE_BENCH")) as brokers:
        for house in brokers.houses.values():
            caps.put(house.child.pid)
        create_topic(brokers.address(1), TOPIC, PARTITIONS, 60)
        if known is None:
            rate = greatest(brokers, 200_000)
            three = greatest(brokers, int(rate * 8))
        else:
            greatest(brokers, 20_000)  # all partitions have been written to
            three = known
        before = finish(open_loop(brokers, load * three, 12))
        meanwhile = open_loop(brokers, load * three, 20)
        time.sleep(4)
        began, since = time.monotonic(), now_ms()
        brokers.add(4)
        caps.put(brokers.houses[4].child.pid)
        ready = time.monotonic() - began
        first, share = watch(brokers, began, 60)
        during = finish(meanwhile)
        if known is None:
            after = finish(open_loop(brokers, load * three, 12))
            four = greatest(brokers, int(rate * 8))
        adopted = [event["figures"] for event in brokers.events(4, "move.adopted", since)]
    print(f"round {number}: ready after {ready:.2f} s, leads after {first:.2f}, its share after {share:.2f}; {three:.0f} records/s at most; "
          f"at {load:.0%} of that p99 {before['p99_us'] / 1000:.1f} ms, while it joins {during['p99_us'] / 1000:.1f} (longest "
          f"{during['max_us'] / 1000:.0f}); {sum(one['partitions'] for one in adopted)} partitions came with "
          f"{sum(one['bytes'] for one in adopted) / 2**20:.1f} MiB of passports, tails not uploaded among them", flush=True)
    figures = {"leads after, s": first, "its share after, s": share, "p99 while it joins / before": during["p99_us"] / before["p99_us"]}
    if known is None:
        print(f"         with four {four:.0f} records/s at most, p99 {after['p99_us'] / 1000:.1f} ms", flush=True)
        figures |= {"four acknowledge / three": four / three, "p99 with four / with three": after["p99_us"] / before["p99_us"]}
    return three, figures


def main():
    parser = argparse.ArgumentParser(description="how soon an added broker carries its share")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", type=int, default=5, help="rounds that measure all")
    parser.add_argument("--core-share", type=float, default=0.2, help="of one core, for each broker")
    parser.add_argument("--load", type=float, default=0.4, help="of what three brokers acknowledge at most")
    options = parser.parse_args()
    most, found = [], {}
    for number in range(options.rounds):
        known = statistics.median(most) if number >= max(1, options.whole) else None
        three, figures = one_round(number, options.core_share, options.load, known)
        if known is None:
            most.append(three)
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        print(f"{name}: median {statistics.median(values):.2f}, from {min(values):.2f} to {max(values):.2f} ({len(values)} rounds)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
