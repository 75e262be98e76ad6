#!/usr/bin/python3
"""Two of three members of etcd are gone: stopped in the middle of everything, or killed. Who leads goes on leading: produce
and fetch are as before, nobody restarts. Changes of topics and configurations end with an error and its sentence, in a
bounded time, however many are asked for at once. When the members are back all of that works again.

  metadata_gone.py [--only WORDS] [--seed N] [--store ceph|versity]
"""
import argparse
import os
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from broker_rig import SETTINGS, Play, Table, Wire, check, error_name  # noqa: E402
from etcd import Etcd  # noqa: E402
from harness import binary  # noqa: E402
from rig import PROBED, TOPIC, scratch  # noqa: E402
from world import STORES, World  # noqa: E402

# A change asks etcd twice, each for 5 s at most, once it is its turn; for that it waits 10 s.
ENDS_WITHIN_S = 22
BACK_WITHIN_S = 10
# Uploads wait for etcd: what is produced meanwhile must fit in.
ROOMY = {**SETTINGS, "paceline.upload.bytes": "30000000"}
GONE = (0, 1)  # of the three members


class Change(threading.Thread):
    """One administrative request of its own client, and what it was told."""

    def __init__(self, address, kind, topic, ends_within=ENDS_WITHIN_S):
        super().__init__(daemon=True)
        self.address, self.kind, self.topic, self.ends_within = address, kind, topic, ends_within
        self.took, self.code, self.sentence = None, None, ""
        self.start()

    def run(self):
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic
        admin, began = AdminClient({"bootstrap.servers": self.address, "log_level": 0}), time.monotonic()
        limits = {"request_timeout": self.ends_within + 10, "operation_timeout": 5}
        if self.kind == "create":
            asked = admin.create_topics([NewTopic(self.topic, 3, 1)], **limits)
        else:
            wanted = ConfigResource(ConfigResource.Type.TOPIC, self.topic, set_config={"retention.ms": "86400000"})
            asked = admin.alter_configs([wanted], request_timeout=self.ends_within + 10)
        try:
            next(iter(asked.values())).result(self.ends_within + 15)
            self.code = "none"
        except KafkaException as refused:
            self.code, self.sentence = refused.args[0].name(), refused.args[0].str()
        self.took = time.monotonic() - began

    def told(self):
        self.join(self.ends_within + 20)
        check(self.took is not None, f"{self.kind} {self.topic} has no end")
        return f"{self.kind} {self.topic}: {self.code} after {self.took:.1f} s, '{self.sentence}'"


def expect_refused(changes):
    for one in changes:
        told = one.told()
        check(one.code not in ("none", "_TIMED_OUT", "_TRANSPORT"), f"without etcd: {told}")
        check(one.took <= one.ends_within, f"without etcd: {told}")
        check("etcd" in one.sentence or "metadata" in one.sentence, f"this says nothing to an operator: {told}")


def expect_served(play):
    """One record by hand: taken, and read back."""
    error = play.feeder.probe()
    check(error == 0, f"produce without etcd: {'no answer' if error is None else error_name(error)}")
    last = max((record for record in play.feeder.ledger if record["partition"] == PROBED), key=lambda record: record["offset"])
    with Wire(play.house.address, 10) as wire:
        error, _, batches = wire.fetch(TOPIC, PROBED, last["offset"])
    check(error == 0 and last["key"].encode() in batches, f"fetch without etcd: {error_name(error)}")


def expect_back(play, began):
    """New topics and configurations, from the moment of the return on."""
    while True:
        changes = [Change(play.house.address, "create", "after"), Change(play.house.address, "alter", TOPIC)]
        told = [one.told() for one in changes]
        if all(one.code in ("none", "TOPIC_ALREADY_EXISTS") for one in changes):
            break
        check(time.monotonic() - began < BACK_WITHIN_S, f"etcd is back: {told}")
        time.sleep(0.1)
    with Wire(play.house.address, 10) as wire:
        error, _ = wire.produce("after", 0, [(b"x", b"y")])
    check(error == 0, f"produce to the new topic: {error_name(error)}")
    return time.monotonic() - began


def without_etcd(play, etcd, leave, come_back):
    process, uploads = play.house.child.pid, play.house.metric("paceline_uploads_total")
    for member in GONE:
        leave(member)
    changes = [Change(play.house.address, kind, topic)
               for kind, topic in (("create", "new-1"), ("alter", TOPIC), ("create", "new-2"), ("alter", TOPIC))]
    acked = 0
    while any(one.took is None for one in changes):
        expect_served(play)
        acked += play.acked_meanwhile(0.5)
        check(acked > 0, "nothing is acknowledged without etcd")
    expect_refused(changes)
    for member in GONE:
        come_back(member)
    took = expect_back(play, time.monotonic())
    play.goes_on()
    etcd.processes.wait_for(lambda: play.house.metric("paceline_uploads_total") > uploads, "uploads go on", BACK_WITHIN_S)
    play.expect_alive("while etcd was gone")
    check(play.house.child.pid == process, "the broker was started again")
    play.whole("etcd gone")
    slowest = max(one.took for one in changes)
    return (f"{acked} records acknowledged meanwhile; {len(changes)} changes refused within {slowest:.1f} s "
            f"({changes[0].code}: {changes[0].sentence[:80]}); all works {took:.1f} s after the return")


CASES = {"two of three members stopped": lambda etcd: (etcd.pause, etcd.resume),
         "two of three members killed": lambda etcd: (etcd.kill_member, etcd.start_member)}


def main():
    parser = argparse.ArgumentParser(description="etcd is gone, and comes back")
    parser.add_argument("--only", default="", help="cases whose title contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=STORES, default="ceph")
    options = parser.parse_args()
    began, table = time.monotonic(), Table("etcd gone")
    print(f"etcd gone: {binary()}, seed {options.seed}", flush=True)
    with World(options.store, members=0) as world:
        # Most of the time is waiting: the cases are played side by side, each with an etcd of its own.
        players = [threading.Thread(target=play_case, args=(table, world, title, options.seed))
                   for title in CASES if options.only in title]
        for player in players:
            player.start()
        for player in players:
            player.join()
    return table.finish(began)


def play_case(table, world, title, seed):
    folder = scratch("metadata-gone")

    def body():
        with Etcd() as etcd:
            with Play(world.with_etcd(etcd), os.path.join(folder, "broker"), title, seed, ROOMY) as play:
                return without_etcd(play, etcd, *CASES[title](etcd))
    table.case(title, body)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
