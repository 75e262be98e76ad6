#!/usr/bin/python3
"""Flips one byte in each kind of stored file, and looks at what `check` and a broker make of it.

  damage.py [--quick] [--seed N] [--only TEXT] [--keep FOLDER]
  damage.py --self-test    the judgement must find each wrong answer in hand-made readings

For each place, on a copy of one folder with a known ledger: `paceline check` must report the
damage; a broker must refuse to start with one sentence, or serve every acknowledged record
exactly, or refuse the partitions that it cannot serve. It must not crash, hang, deliver other
bytes, end a partition below what was acknowledged, or give an acknowledged offset away again, and
not in the life after that either. Places that nothing refers to must change nothing.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import time

from rig import (PARTITIONS, TOPIC, Failed, Feeder, House, Table, check, crash_in, create_topic, error_name,
                 read_and_judge, run_check, scratch)
from where import Place, lane_file_places, object_places, places_anywhere, reserved_bytes, sqlite_places, wal_places

# What is damaged is to be of the topic that is judged.
QUIET = {"paceline.events": "log"}
UPLOADING = {**QUIET, "paceline.upload.bytes": "25000", "paceline.upload.age.ms": "200"}
# A life that leaves everything in its log.
LOGGING = {**QUIET, "paceline.upload.bytes": "1000000000", "paceline.upload.age.ms": "600000"}
# So many topics bring SQLite's log over its bound, so that there are pages in the file itself.
FILLERS = 220
SEALED, LAST = "1.2", "1.3"
CHECK_DAMAGE = (4,)
QUICK_PER_KIND = 1
# A supervisor starts again what ended; so often until two lives have served.
LIVES_MAX = 5
ANYWHERE = 60


def copy_tree(source, target):
    subprocess.run(["cp", "-a", "--sparse=auto", source, target], check=True)


class Base:
    """A data folder of three lives: objects of the first, a sealed log of the second, an open log of
    the third."""

    def __init__(self, folder, seed, fillers=FILLERS):
        self.house = House(os.path.join(folder, "base"), LOGGING)
        self.stale = os.path.join(folder, "stale")
        house = self.house
        house.settings.update(UPLOADING)
        house.start()
        create_topic(house.address)
        self.create_fillers(fillers)
        self.feeder = Feeder(house.address, seed, in_flight=60)
        self.feed(900)
        end = time.monotonic() + 20
        while len(self.objects()) < 6 and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)
        house.kill()
        os.makedirs(self.stale)
        for name in ("metadata.sqlite", "metadata.sqlite-wal"):
            shutil.copy2(os.path.join(house.data, name), self.stale)
        house.settings.update(LOGGING)
        for _ in range(2):
            house.start()
            self.feed(250)
            self.wait_for_release()
            house.kill()
        # Reserved space becomes holes, so that copies cost what is written.
        for path, _, names in os.walk(os.path.join(house.data, "wal")):
            for name in names:
                if name.endswith(".wal"):
                    subprocess.run(["fallocate", "--dig-holes", os.path.join(path, name)], check=True)

    def objects(self):
        return [name for _, _, names in os.walk(os.path.join(self.house.data, "objects")) for name in names]

    def wait_for_release(self):
        """What a sealed lane had reserved is given back when there is time."""
        end = time.monotonic() + 20
        lanes = os.path.join(self.house.data, "wal")
        while any(reserved_bytes(os.path.join(lanes, lane)) for lane in os.listdir(lanes)):
            check(time.monotonic() < end, "a sealed lane keeps reserved space")
            time.sleep(0.05)

    def create_fillers(self, count):
        from confluent_kafka.admin import AdminClient, NewTopic
        admin = AdminClient({"bootstrap.servers": self.house.address, "log_level": 0})
        topics = [NewTopic(f"filler-{number:04d}", 1, 1) for number in range(count)]
        for one in admin.create_topics(topics, request_timeout=60).values():
            one.result(60)

    def feed(self, count):
        feeder = self.feeder
        feeder.address = self.house.address
        feeder.start()
        feeder.wait_for(count, 60, "the base")
        feeder.stop()
        for _ in range(6):  # commits of their own
            check(feeder.probe() == 0, "a probe of the base was refused")


def other_places(base, foreign):
    """Damage that is no flip: stale and foreign files (rows 32 and 42 of the fault table)."""
    def stale_metadata(path):
        for name in ("metadata.sqlite", "metadata.sqlite-wal"):
            shutil.copy2(os.path.join(base.stale, name), os.path.join(os.path.dirname(path), name))

    def foreign_log(path):
        shutil.copy2(os.path.join(foreign.house.data, f"wal/{SEALED}/0000000000000001.wal"), path)

    def foreign_metadata(path):
        for name in ("metadata.sqlite", "metadata.sqlite-wal"):
            shutil.copy2(os.path.join(foreign.house.data, name), os.path.join(os.path.dirname(path), name))
    log = f"wal/{SEALED}/0000000000000001.wal"
    return [Place("stale or foreign", "metadata of two lives before", "metadata.sqlite", None, "damage",
                  stale_metadata),
            Place("stale or foreign", "log of another cluster", log, None, "damage", foreign_log),
            Place("stale or foreign", "metadata of another cluster", "metadata.sqlite", None, "damage",
                  foreign_metadata),
            Place("SQLite file", "gone", "metadata.sqlite", None, "damage", os.remove),
            Place("SQLite log", "gone", "metadata.sqlite-wal", None, "damage", os.remove),
            Place("for people", "events.jsonl", "events.jsonl", 17, "unused"),
            Place("for people", "LOCK with a byte in it", "LOCK", None, "unused",
                  lambda path: open(path, "w").write("x"))]


class Case:
    def __init__(self, place, base, folder):
        self.place, self.base, self.folder = place, base, folder
        self.feeder = base.feeder
        self.found = False  # by check
        self.wrong = []
        self.limits = []

    def run(self, noise):
        """(result, place, what check says, what the broker does)"""
        checked = os.path.join(self.folder, "checked")
        served = os.path.join(self.folder, "served")
        os.makedirs(served)
        copy_tree(self.base.house.data, checked)
        where = self.place.apply(checked, noise)
        copy_tree(checked, os.path.join(served, "data"))
        said = self.check(checked)
        did = self.serve(House(served, LOGGING))
        result = "FAIL" if self.wrong else "limit" if self.limits else "ok"
        for folder in (os.path.join(served, "data"), checked):
            said, did = (text.replace(folder + "/", "") for text in (said, did))
            self.wrong = [sentence.replace(folder + "/", "") for sentence in self.wrong]
        return result, where, said, did

    def check(self, data):
        ledger = os.path.join(self.folder, "ledger.jsonl")
        self.feeder.write_ledger(ledger)
        status, sentences, said = run_check(data)
        crash = crash_in(status, said)
        if status is None or crash:
            self.wrong.append(f"check: {crash or said}")
        found = status in CHECK_DAMAGE
        if found and not sentences:
            self.wrong.append(f"check ends with {status} without a sentence")
        if not found and status not in (0, None):
            self.wrong.append(f"check ends with {status}: {said[-200:]}")
        if self.place.expected == "damage" and not found:
            self.wrong.append("check does not report the damage")
        if self.place.expected == "limit" and not found:
            self.limits.append("check sees nothing")
        self.found = found
        if not found:
            self.check_with_ledger(data, ledger)
        return f"{status}: {sentences[0] if sentences else 'nothing found'}"

    def check_with_ledger(self, data, ledger):
        status, _, said = run_check(data, ledger)
        if self.place.expected == "unused" and status != 0:
            self.wrong.append(f"check --ledger ends with {status}: {said[-200:]}")
        if self.place.expected == "limit" and self.place.may_miss and status == 0:
            self.wrong.append("check --ledger does not miss the last commit")

    def serve(self, house):
        """Lives until two have served; the first of them also takes new records."""
        texts = []
        extra = Feeder(house.address, 0)
        extra.numbers = list(self.feeder.numbers)
        extra.sent, extra.ledger = list(self.feeder.sent), list(self.feeder.ledger)
        served = 0
        for life in range(1, LIVES_MAX + 1):
            house.launch()
            text = self.await_start(house, life)
            if text is None:
                served += 1
                text = self.judge_life(house, extra, f"life {life}", served == 1)
            ending = house.ending()
            if ending is not None:
                self.wrong.append(f"life {life}: the broker ended: {ending}")
            house.kill()
            crash = crash_in(None, house.said())
            if crash:
                self.wrong.append(f"life {life}: {crash}")
            if text not in texts:
                texts.append(text)
            if served == 2 or text == "hangs":
                break
        if self.place.expected == "unused" and not all(text.startswith("intact") for text in texts):
            self.wrong.append("a byte that nothing refers to changed something")
        if self.place.expected == "any" and not self.found:
            if any("refuse" in text for text in texts):
                self.wrong.append("check is content, and a broker is not")
            elif any(not text.startswith("intact") for text in texts):
                self.limits.append("the last commit")
        return "; then ".join(texts)

    def judge_life(self, house, extra, life, writing):
        verdict = read_and_judge(house.address, extra.sent, extra.ledger, self.place.may_miss)
        self.wrong += [f"{life}: {sentence}" for sentence in verdict.wrong]
        text = verdict.outcome()
        if self.place.may_refuse is not None and set(verdict.refused) - self.place.may_refuse:
            self.wrong.append(f"{life}: partitions {sorted(set(verdict.refused) - self.place.may_refuse)} refuse, "
                              "and none of their records was damaged")
        if writing:
            self.write(extra)
        if verdict.refused:
            reasons = [line for line in house.said().split("\n") if " warning " in line or " error " in line]
            if reasons:
                text += f" ({' '.join(reasons[0].split(' ')[1:])})"
            else:
                self.wrong.append(f"{life}: partitions refuse, and the broker's log does not say why")
        return text

    def await_start(self, house, life):
        """None when it serves; else how it ended, in one sentence."""
        try:
            house.wait_ready(15)
            return None
        except Failed:
            pass
        if house.child is not None:
            self.wrong.append(f"life {life}: it neither serves nor ends within 15 s: "
                              + (house.said().strip().split("\n") or ["(silent)"])[-1])
            return "hangs"
        said = house.said()
        sentences = [line for line in said.split("\n") if line.startswith("paceline: ")]
        if len(sentences) != 1 or crash_in(None, said):
            self.wrong.append(f"life {life}: it ended without one sentence: {said[-300:]}")
        return f"refuses to start: {sentences[0][10:] if sentences else said[-100:]}"

    def write(self, extra):
        """New records of every partition: an acknowledged offset must never be given again."""
        last = {}
        for record in self.feeder.ledger:
            last[record["partition"]] = max(last.get(record["partition"], -1), record["offset"])
        for partition in range(PARTITIONS + 1):
            before = len(extra.ledger)
            error = extra.probe(partition, 3, timeout=5)
            if error is None:
                self.wrong.append(f"partition {partition}: a produce request hangs")
            if error != 0:
                continue
            first = extra.ledger[before]["offset"]
            if first <= last.get(partition, -1):
                if (partition, first) in self.place.may_miss:
                    self.limits.append("offsets of the cut commit are given again")
                    # From here on the new ones are the truth.
                    extra.ledger[:] = [record for record in extra.ledger[:before] if record["partition"] != partition
                                       or record["offset"] < first] + extra.ledger[before:]
                else:
                    self.wrong.append(f"partition {partition}: offset {first} is given again")


def second_process(base, folder):
    copy_tree(base.house.data, os.path.join(folder, "data"))
    first, second = House(folder, LOGGING), House(folder, LOGGING)
    second.log += ".second"
    first.start()
    began = time.monotonic()
    try:
        second.start(10)
        raise Failed("a second broker serves from the same folder")
    except Failed as failed:
        check("ended with status 1" in str(failed), f"a second broker: {failed}")
    finally:
        second.kill()
    verdict = read_and_judge(first.address, base.feeder.sent, base.feeder.ledger)
    status, sentences, _ = run_check(first.data)
    first.kill()
    check(not verdict.wrong and not verdict.refused, f"the first broker suffers: {verdict.wrong}")
    check(status == 6 and sentences, f"check beside a broker ends with {status}")
    return f"refused within {time.monotonic() - began:.1f} s, check too (6: {sentences[0]})"


def choose(places, options, noise):
    if options.only:
        return [place for place in places if options.only in f"{place.kind}: {place.name}"]
    if not options.quick:
        return places
    kinds = {}
    for place in places:
        kinds.setdefault((place.kind, place.expected), []).append(place)
    return [place for (_, expected), group in kinds.items()
            for place in noise.sample(group, min(len(group), QUICK_PER_KIND if expected == "damage" else 1))]


def self_test():
    """The judgement against a broker that is right, and ledgers that are not."""
    folder = scratch("judge")
    house = House(folder, LOGGING)
    house.start()
    create_topic(house.address)
    feeder = Feeder(house.address, 1)
    for partition in (0, 0, 0, 1, 4):
        check(feeder.probe(partition) == 0, f"a probe was refused: {error_name(1)}")
    one = feeder.ledger[1]
    bad = {"nothing": feeder.ledger,
           "lost": feeder.ledger + [{**one, "key": "0-00000009", "offset": 9}],
           "corrupt": [{**record, "sha256": "0"} if record is one else record for record in feeder.ledger],
           "inconsistent": [{**record, "key": "0-00000002"} if record is one else record
                            for record in feeder.ledger]}
    wrong = 0
    for name, ledger in bad.items():
        found = read_and_judge(house.address, feeder.sent, ledger).wrong
        good = not found if name == "nothing" else any(name in sentence for sentence in found)
        wrong += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}: {found or 'nothing found'}")
    house.kill()
    shutil.rmtree(folder)
    print(f"judgement: {len(bad)} readings, {wrong} judged wrongly")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description="one damaged byte")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="places whose 'kind: name' contains this")
    parser.add_argument("--keep", help="leave the folders of failed cases here")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    began = time.monotonic()
    folder, noise, table = scratch("damage"), random.Random(options.seed), Table("damage")
    base = Base(folder, options.seed)
    foreign = Base(os.path.join(folder, "foreign"), options.seed + 1, 1)
    data = base.house.data
    places = [Place("control", "nothing damaged", "LOCK", None, "unused", lambda path: None)]
    places += choose(wal_places(data, SEALED, LAST, noise) + lane_file_places(SEALED, LAST, noise) +
                     object_places(data, noise) + sqlite_places(data, noise) + other_places(base, foreign) +
                     places_anywhere(data, LAST, ANYWHERE, noise),
                     options, noise)
    print(f"damage: seed {options.seed}, {len(base.feeder.ledger)} records in topic {TOPIC}, {len(places)} places, "
          f"made in {time.monotonic() - began:.0f} s", flush=True)
    for number, place in enumerate(places):
        work = os.path.join(folder, f"case-{number}")
        os.makedirs(work)
        start = time.monotonic()
        case = Case(place, base, work)
        result, where, said, did = case.run(random.Random(f"{options.seed} {number}"))
        table.row(result, place.kind, f"{where} | check {said} | serve: {did}", time.monotonic() - start)
        table.explain(list(dict.fromkeys(case.wrong + case.limits)))
        if result == "FAIL" and options.keep:
            os.makedirs(options.keep, exist_ok=True)
            shutil.move(work, os.path.join(options.keep, f"case-{number}"))
        else:
            shutil.rmtree(work)
    if not options.only:
        work = os.path.join(folder, "second")
        os.makedirs(work)
        table.case("second process", lambda: second_process(base, work))
    shutil.rmtree(folder)
    return table.finish(began)


if __name__ == "__main__":
    sys.exit(main())
