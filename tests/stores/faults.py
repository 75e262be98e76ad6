#!/usr/bin/python3
"""Section B of the fault table, and what the store can do to a fence: the real broker on a real store, seen through the
fault proxy. Every case has a producer that keeps the ledger; what it was told must be there in the end, once each, after
a kill -9 and the loss of the data folder too.

  faults.py [--long] [--only WORDS] [--seed N] [--store ceph|versity]

Short by default (some seconds a fault); --long holds each for a minute.
"""
import argparse
import os
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from broker_rig import Play, Silent, StoreHouse, Table, Wire, check, lose_disk  # noqa: E402
from fault_proxy import expired_token, slow_down  # noqa: E402
from harness import binary  # noqa: E402
from others import Careless  # noqa: E402
from rig import PROBED, TOPIC, read_and_judge, scratch  # noqa: E402
from world import STORES, World  # noqa: E402

# While nothing succeeds, one broker asks no more often than this: a storm would be thousands.
ASKED_PER_S_MAX = 200
INTERNAL = {"fault": "answer", "status": 500, "code": "InternalError"}


def refused_in_part(answer, row):
    """Every tenth request is refused: slower, no more."""
    def body(play, seconds):
        with play.proxy.under(answer):
            acked = play.acked_meanwhile(seconds)
            check(play.proxy.fired()[0] > 0, "no request met the fault")
        check(acked > 0, f"nothing was acknowledged in {seconds} s")
        asked, refused = (play.proxy.total(field) for field in ("requests", "answered"))
        check(refused <= 0.3 * (asked + refused), f"{refused} of {asked + refused} requests were refused: it asks too eagerly")
        play.goes_on()
        play.whole(row)
        return f"{acked} records acknowledged in {seconds} s, {refused} of {asked + refused} requests refused"
    return body


def refused_wholly(answer, row, says=(), may_refuse_start=False):
    """Nothing succeeds: no acknowledgement, no storm, no end. A broker that starts meanwhile waits, or if it is the
    operator's to mend says so and ends."""
    def body(play, seconds):
        play.proxy.rules(answer)
        time.sleep(1)  # what was on its way is told
        play.proxy.reset()
        acked = play.acked_meanwhile(seconds)
        asked = play.proxy.total("answered")
        check(acked == 0, f"{acked} records were acknowledged that no store has")
        check(0 < asked <= ASKED_PER_S_MAX * seconds, f"{asked} requests in {seconds} s")
        play.proxy.rules()
        took = play.goes_on()
        if says:
            play.said(*says)
        play.proxy.rules(answer)
        start = start_under_fault(play, min(seconds, 5), may_refuse_start)
        play.no_secret()
        play.whole(row)
        return f"{asked} requests in {seconds} s; goes on {took:.1f} s after the end; a start {start}"
    return body


def start_under_fault(play, seconds, may_refuse):
    play.house.kill()
    lose_disk(play.house)
    play.house.launch()
    time.sleep(seconds)
    ending = play.house.ending()
    if ending is None:
        play.proxy.rules()
        play.house.wait_ready(30)
    else:
        play.house.child = None
        check(may_refuse, f"a start under the fault ended: {ending}")
        check(ending[0] == 1 and ending[1].startswith("paceline"), f"a start under the fault ended without a sentence: {ending}")
        play.proxy.rules()
        play.house.start(30)
    play.goes_on(30)
    return "waits" if ending is None else f"says: {ending[1][:120]}"


def unheard(play, seconds):
    with play.proxy.under({**INTERNAL, "p": 0.1}, {"fault": "reset", "p": 0.15},
                          {"fault": "lose", "kind": "put_if_absent", "p": 0.15}):
        acked = play.acked_meanwhile(seconds)
        check(all(play.proxy.fired()), f"not every fault happened: {play.proxy.fired()}")
    check(acked > 0, f"nothing was acknowledged in {seconds} s")
    took = play.goes_on()
    play.whole("15")
    return f"{acked} records acknowledged in {seconds} s; goes on after {took:.1f} s"


def outcome_unknown(play, seconds):
    """Traps T1, T2 and T8 at once: own objects met again, conflicts that mean nothing, and puts that arrive late."""
    with play.proxy.under({"fault": "lose", "kind": "put_if_absent", "p": 0.2},
                          {"fault": "answer", "status": 409, "code": "ConditionalRequestConflict", "kind": "put_if_absent", "p": 0.2},
                          {"fault": "late", "kind": "put_if_absent", "ms": 1500, "p": 0.05}):
        acked = play.acked_meanwhile(seconds)
        check(all(play.proxy.fired()), f"not every fault happened: {play.proxy.fired()}")
        # A life ends while late puts are on their way: they land in a lane that is sealed.
        play.house.begin_anew()
        acked += play.acked_meanwhile(seconds)
    check(acked > 0, f"nothing was acknowledged in {2 * seconds} s")
    play.goes_on()
    time.sleep(2)
    play.whole("5, 6")
    return f"{acked} records acknowledged in {2 * seconds} s"


def in_parts(play, seconds):
    """15 for bodies in parts: a part, the beginning or the end of an upload fails or is not heard."""
    with play.proxy.under({**INTERNAL, "kind": "part", "p": 0.1}, {"fault": "reset", "kind": "part", "p": 0.1},
                          {"fault": "lose", "kind": "part", "p": 0.1}, {"fault": "lose", "kind": "multipart", "p": 0.15},
                          {**INTERNAL, "kind": "multipart", "p": 0.1}):
        acked = play.acked_meanwhile(4 * seconds)
        check(all(play.proxy.fired()), f"not every fault happened: {play.proxy.fired()}")
    parts = play.proxy.total("requests", kinds=("part",))
    check(acked > 0 and parts > 0, f"{acked} records acknowledged, {parts} parts")
    took = play.goes_on()
    play.whole("15, in parts")
    return f"{acked} records acknowledged, {parts} parts; goes on after {took:.1f} s"


def slow(play, seconds):
    """Ten times slower, and one in a hundred takes five seconds: a second request on another connection does not."""
    took, wrong = [], []
    ended = threading.Event()

    def ask():
        while not ended.is_set() and not wrong:
            began = time.monotonic()
            error = play.feeder.probe(timeout=30)
            took.append(time.monotonic() - began)
            if error != 0:
                wrong.append(error)
    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(3)
    calm = sorted(took)
    del took[:]
    with play.proxy.under({"fault": "delay", "ms": 20}, {"fault": "delay", "ms": 5000, "p": 0.01}):
        play.acked_meanwhile(max(seconds, 15))
        tails = play.proxy.fired()[1]
    ended.set()
    thread.join()
    took.sort()
    check(not wrong, f"a produce got error {wrong}")
    check(tails > 0, "no request had a tail")
    p99 = took[int(0.99 * (len(took) - 1))]
    check(p99 <= 3, f"p99 {p99:.2f} s of {len(took)} produces, slowest {took[-1]:.2f} s, with {tails} tails")
    play.goes_on()
    play.whole("16")
    return (f"p50 {calm[len(calm) // 2] * 1000:.0f} ms alone; {took[len(took) // 2] * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms of "
            f"{len(took)} with {tails} tails of 5 s")


def cut_uploads(play, seconds):
    with play.proxy.under({"fault": "cut", "key": "objects/", "p": 0.4}, {"fault": "lose", "kind": "multipart", "p": 0.5},
                          {"fault": "cut", "kind": "part", "p": 0.2}):
        acked = play.acked_meanwhile(seconds)
        check(play.proxy.fired()[0] > 0, "no upload was cut")
    play.goes_on()
    play.whole("17")
    return f"{acked} records acknowledged, {play.proxy.total('broken', ['objects/'])} uploads broken"


def weak_reads(play, seconds):
    """What was put a moment ago is not found yet: a start reads such objects first of all."""
    with play.proxy.under(*({"fault": "answer", "status": 404, "code": "NoSuchKey", "kind": "get", "key": key, "younger_ms": 800}
                          for key in ("wal/", "objects/"))):
        for _ in range(3):
            time.sleep(seconds / 6)
            play.house.begin_anew()
            play.goes_on(30)
        fired = sum(play.proxy.fired())
    play.whole("18")
    return f"{fired} reads told 404 of an object that was there"


def lists_lie(play, seconds):
    with play.proxy.under({"fault": "forget", "kind": "list", "share": 1.0}):
        for _ in range(3):
            time.sleep(seconds / 6)
            play.house.begin_anew()
            play.goes_on(30)
        play.feeder.stop()
        play.judge("19")
    play.feeder.start()
    play.goes_on()
    play.whole("19")
    return f"three starts, {play.proxy.total('requests', kinds=['list'])} lists that told of nothing"


def wrong_bytes(play, seconds):
    damages = [{"fault": name, "kind": "get", "key": key, "p": 0.15} for name in ("flip", "truncate", "swap")
               for key in ("wal/", "objects/")]
    with play.proxy.under(*damages):
        for _ in range(3):
            time.sleep(seconds / 6)
            play.house.begin_anew(90)
            play.goes_on(60)
        play.feeder.stop()
        play.judge("20")  # under damage: read again, never handed on
        check(sum(play.proxy.fired()) > 0, "nothing was damaged")
        fired = play.proxy.fired()
    # And wrong for good: a refusal, never wrong bytes, and no end.
    play.house.begin_anew()
    with play.proxy.under({"fault": "flip", "kind": "get", "key": "objects/"}):
        verdict = read_and_judge(play.house.address, play.feeder.sent, play.feeder.ledger)
        check(not verdict.wrong, f"always wrong: {verdict.wrong[:3]}")
        play.expect_alive("while every object read is wrong")
    play.feeder.start()
    play.goes_on()
    play.whole("20")
    return f"damaged {fired}; always wrong: {verdict.outcome()}"


def no_such_bucket(play, seconds):
    text = refused_wholly({"fault": "answer", "status": 404, "code": "NoSuchBucket"}, "22", ("nosuchbucket", "no bucket"), True)(play, seconds)
    # A listing of unfinished uploads asks the bucket too, and is answered with a list.
    made = [entry for entry in play.proxy.log()
            if entry["kind"] == "other" and not entry["key"] and entry["bytes_out"] == 0]
    check(not made, f"it asked for a bucket: {made[:2]}")
    return text


def object_gone(play, seconds):
    """Somebody deletes an object that is still needed: that range is refused, nothing is skipped, the rest is served."""
    time.sleep(seconds)
    play.house.begin_anew()
    # The new lane describes all streams anew.
    play.goes_on(30)
    time.sleep(3)
    play.feeder.stop()
    play.house.begin_anew()
    play.proxy.reset()
    play.judge("23 before")
    read = [entry["key"] for entry in play.proxy.log() if entry["kind"] == "get" and entry["status"] in (200, 206)]
    needed = sorted({key for key in read if "/objects/" in key})
    check(len(needed) > 3, f"only {len(needed)} objects were read")
    # The oldest: what describes all streams is in the youngest ones.
    victim = needed[0]
    play.world.client.delete(victim)
    play.house.begin_anew()
    verdict = read_and_judge(play.house.address, play.feeder.sent, play.feeder.ledger)
    check(not verdict.wrong, f"without {victim}: {verdict.wrong[:3]}")
    check(verdict.refused, f"{victim} is gone, and everything is served")
    play.expect_alive("without an object")
    with Wire(play.house.address, 10) as wire:
        error, _ = wire.produce(TOPIC, PROBED, [(b"x", b"y")])
    check(error == 0, f"produce gets error {error}")
    play.said(victim.rsplit("/", 1)[1])
    return verdict.outcome()


def gone(how):
    def body(play, seconds):
        time.sleep(1)
        play.proxy.outage(how)
        time.sleep(1)
        acked = play.acked_meanwhile(seconds)
        check(acked == 0, f"{acked} records were acknowledged that no store has")
        play.proxy.outage("")
        took = play.goes_on()
        play.watched.flat(f"24 {how}")
        play.whole(f"24 {how}")
        return f"goes on {took:.1f} s after the return; {play.watched.most():.0f} MiB at most"
    return body


def cached(play, seconds):
    """22, the other half: what is in the cache is served while the store is away."""
    play.feeder.stop()
    play.proxy.outage("refuse")
    youngest = play.feeder.ledger[-1]
    try:
        with Wire(play.house.address, 10) as wire:
            error, _, batches = wire.fetch(TOPIC, youngest["partition"], youngest["offset"])
    except Silent as silent:
        check(False, f"a fetch of what is cached: {silent}")
    finally:
        play.proxy.outage("")
    check(error == 0 and batches, f"a fetch of what is cached: error {error}, {len(batches)} bytes")
    play.feeder.start()
    play.goes_on()
    play.whole("22 cached")
    return "the youngest records are served without a store"


CASES = {
    "14 one in ten is told SlowDown": refused_in_part(slow_down(0.1), "14"),
    "14 one in ten is told 429": refused_in_part({"fault": "answer", "status": 429, "code": "TooManyRequests", "p": 0.1}, "14"),
    "14 all are told SlowDown": refused_wholly(slow_down(), "14"),
    "15 500 and connections reset, before and after": unheard,
    "15 all are told 500": refused_wholly(INTERNAL, "15"),
    "5, 6 outcomes unknown, conflicts, late arrivals": outcome_unknown,
    "16 ten times slower, with a tail of 5 s": slow,
    "17 uploads cut half-way": cut_uploads,
    "18 not found right after the put": weak_reads,
    "19 lists that forget everything": lists_lie,
    "20 bytes flipped, cut, another object's": wrong_bytes,
    "21 the token is expired": refused_wholly(expired_token(), "21", ("expired", "token", "credential"), True),
    "21 the clock is skewed": refused_wholly({"fault": "answer", "status": 403, "code": "RequestTimeTooSkewed"}, "21",
                                             ("skew", "clock"), True),
    "22 access denied": refused_wholly({"fault": "answer", "status": 403, "code": "AccessDenied"}, "22",
                                        ("accessdenied", "denied", "not allowed"), True),
    "22 the bucket is gone": no_such_bucket,
    "22 what is cached is served": cached,
    "23 an object is deleted from outside": object_gone,
    "24 the store is away": gone("refuse"),
    "24 the store takes all and answers nothing": gone("hang"),
}


def refuses_to_start(world, folder, objects, environment, words, what):
    """One sentence, soon, and no secret in it."""
    house = StoreHouse(world, folder, "probe")
    house.settings["paceline.objects"] = objects
    house.environment = environment
    house.launch()
    try:
        status = house.child.wait(30)
    except subprocess.TimeoutExpired:
        house.kill()
        check(False, f"{what}: it runs")
    house.child = None
    said = house.said()
    check(status not in (0, None) and status > 0, f"{what}: it ended with {status}")
    check(all(word.lower() in said.lower() for word in words), f"{what}: it said {said.strip()[-300:]}")
    check(environment["AWS_SECRET_ACCESS_KEY"] not in said, f"{what}: it told the secret")
    return said.strip().split("\n")[-1][:160]


def starts(world, folder, objects, environment):
    house = StoreHouse(world, folder, f"good-{time.monotonic_ns()}")
    house.settings["paceline.objects"] = objects
    house.environment = environment
    house.start(30)
    house.stop()


def careless_stores(world, folder):
    """25: a store without the condition, or without ranges, or without the right to write; a good one is taken."""
    told = []
    for flaw, words in (((), ()), (("ignores-if-none-match",), ("If-None-Match",)), (("ignores-range",), ("range",)),
                        (("read-only",), ("not allowed",))):
        with Careless(*flaw) as store:
            url, environment = store.url("careless"), store.environment()
            if flaw:
                told.append(refuses_to_start(world, os.path.join(folder, flaw[0]), url, environment, words, flaw[0]))
            else:
                starts(world, os.path.join(folder, "good"), url, environment)
    return "; ".join(told)


def strangers(world, folder):
    """21, 22 at the start: wrong credentials, no bucket."""
    wrong = {**world.environment(), "AWS_SECRET_ACCESS_KEY": "not-the-secret-at-all"}
    told = [refuses_to_start(world, os.path.join(folder, "secret"), world.store.url("x"), wrong, ("does not accept",), "secret"),
            refuses_to_start(world, os.path.join(folder, "bucket"), world.store.url("x", bucket="nobody"), world.environment(),
                             ("no bucket",), "bucket")]
    check(world.client.call("GET", "", {"list-type": "2"}, bucket="nobody").status == 404, "it made the bucket")
    return "; ".join(told)


# Only where the store keeps the condition when parts are put together: Ceph does not.
KEEPS_CONDITION = ("versity",)
IN_PARTS = "15 bodies in parts, unheard"


def play_in_parts(world, folder, seed, seconds):
    url = world.store.url("in-parts", port=world.proxy.port) + "&partsFrom=5242880"
    settings = {"paceline.upload.bytes": "12000000", "paceline.upload.age.ms": "5000", "paceline.objects": url}
    with Play(world, os.path.join(folder, "broker"), IN_PARTS, seed, settings, value_bytes=20000) as play:
        return in_parts(play, seconds)


STARTS = {"25 stores that no broker may run on": careless_stores, "21, 22 strangers and no bucket": strangers}


def main():
    parser = argparse.ArgumentParser(description="what a store can do to a broker")
    parser.add_argument("--long", action="store_true", help="each fault for a minute")
    parser.add_argument("--only", default="", help="cases whose title contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=STORES, default="ceph")
    options = parser.parse_args()
    began, table, seconds = time.monotonic(), Table("faults of the store"), 60 if options.long else 5
    print(f"faults of the store: {binary()}, seed {options.seed}", flush=True)
    with World(options.store) as world:
        for title, body in CASES.items():
            if options.only not in title:
                continue
            folder = scratch("faults")

            def play(title=title, body=body, folder=folder):
                with Play(world, os.path.join(folder, "broker"), title, options.seed) as one:
                    return body(one, seconds)
            table.case(title, play)
            shutil.rmtree(folder, ignore_errors=True)
        if options.store in KEEPS_CONDITION and options.only in IN_PARTS:
            folder = scratch("faults")
            table.case(IN_PARTS, lambda folder=folder: play_in_parts(world, folder, options.seed, seconds))
            shutil.rmtree(folder, ignore_errors=True)
        for title, body in STARTS.items():
            if options.only not in title:
                continue
            folder = scratch("faults")
            table.case(title, lambda body=body, folder=folder: body(world, folder))
            shutil.rmtree(folder, ignore_errors=True)
    return table.finish(began)


if __name__ == "__main__":
    sys.exit(main())
