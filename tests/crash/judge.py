"""Judges what clients saw of a broker that was killed again and again.

Every record has a key of its own, "PARTITION-NUMBER", numbers counting up per partition in the
order in which the producer sent them; so a key names a record, and the sum of its value proves
its bytes. The judge knows no broker and no client: it is fed with lists.
"""
from collections import defaultdict

ANOMALIES = {
    "lost": "acknowledged, but not read at the end",
    "duplicated": "one record at two offsets",
    "reordered": "records of one partition not in the order in which they were sent",
    "inconsistent": "one offset held two different records",
    "corrupt": "a record whose bytes nobody sent",
    "vanished": "read by the group, but not there at the end",
    "skipped": "acknowledged, but never given to the group",
    "committed_back": "a committed offset of the group went back",
}


def judge(history):
    """History: a dict of lists of dicts.

      sent     partition, key, sha256            before it was handed to the client
      acked    partition, key, sha256, offset    the ledger
      read     partition, key, sha256, offset    by members of the group, in any order
      final    partition, key, sha256, offset    read back at the end, in the order of reading
      commits  partition, offset, begin, end     a commit that succeeded; times of one clock
      looks    partition, offset, begin, end     a committed offset that was asked for, -1 for none

    Gives name of the anomaly -> list of sentences, for all names."""
    found = {name: [] for name in ANOMALIES}
    final_at = {}
    offsets_of = defaultdict(set)
    for record in history["final"]:
        final_at[record["partition"], record["offset"]] = record
    judge_offsets(history, offsets_of, found)
    judge_bytes(history, found)
    judge_presence(history, final_at, offsets_of, found)
    judge_order(history, found)
    judge_commits(history, found)
    return found


def judge_offsets(history, offsets_of, found):
    key_at = {}
    for source in ("acked", "read", "final"):
        for record in history[source]:
            place = record["partition"], record["offset"]
            first = key_at.setdefault(place, (record["key"], source))
            if first[0] != record["key"]:
                found["inconsistent"].append(
                    f"{place}: {first[0]} ({first[1]}) and {record['key']} ({source})")
            offsets_of[record["key"]].add(place)
    for record in history["final"]:
        places = offsets_of[record["key"]]
        if len(places) > 1:
            found["duplicated"].append(f"{record['key']} at {sorted(places)}")
    seen = set()
    for record in history["final"]:
        place = record["partition"], record["offset"]
        if place in seen:
            found["duplicated"].append(f"{record['key']}: {place} was read twice")
        seen.add(place)


def judge_bytes(history, found):
    sums = {record["key"]: record["sha256"] for record in history["sent"]}
    for source in ("acked", "read", "final"):
        for record in history[source]:
            if sums.get(record["key"]) != record["sha256"]:
                found["corrupt"].append(f"{record['key']} in {source}, offset {record['offset']}")


def judge_presence(history, final_at, offsets_of, found):
    final_keys = {record["key"] for record in history["final"]}
    read_keys = {record["key"] for record in history["read"]}
    for record in history["acked"]:
        if record["key"] not in final_keys:
            found["lost"].append(f"{record['key']} at offset {record['offset']}")
        if record["key"] not in read_keys:
            found["skipped"].append(f"{record['key']} at offset {record['offset']}")
    for record in history["read"]:
        if (record["partition"], record["offset"]) not in final_at:
            found["vanished"].append(f"{record['key']} at offset {record['offset']}")


def judge_order(history, found):
    last = {}
    for record in history["final"]:
        number = int(record["key"].split("-")[1])
        before = last.get(record["partition"], (-1, -1))
        if number < before[0] or record["offset"] < before[1]:
            found["reordered"].append(f"{record['key']} at offset {record['offset']} comes after "
                                      f"number {before[0]} at offset {before[1]}")
        last[record["partition"]] = (number, record["offset"])


def judge_commits(history, found):
    """Who asks after a commit was answered must not be told less."""
    moments = defaultdict(list)
    for commit in history["commits"]:
        moments[commit["partition"]].append((commit["end"], 0, commit["offset"]))
    for look in history["looks"] + history["commits"]:
        moments[look["partition"]].append((look["begin"], 1, look["offset"]))
    for partition, events in moments.items():
        highest = -1
        for _, is_look, offset in sorted(events):
            if not is_look:
                highest = max(highest, offset)
            elif offset < highest:
                found["committed_back"].append(f"partition {partition}: {offset} after {highest}")


# One bad history per anomaly: what is changed in a good one, and what must be found.

def good_history():
    records = [{"partition": partition, "key": f"{partition}-{number:08d}", "offset": number,
                "sha256": f"sum {partition} {number}"} for partition in (0, 1) for number in range(10)]
    copy = [[dict(record) for record in records] for _ in range(4)]
    commits = [{"partition": 0, "offset": 3 * step, "begin": step, "end": step + 0.5} for step in range(1, 4)]
    looks = [{"partition": 0, "offset": 6, "begin": 2.7, "end": 2.8}]
    return {"sent": copy[0], "acked": copy[1], "read": copy[2], "final": copy[3],
            "commits": commits, "looks": looks}


def break_lost(history):
    del history["final"][4], history["read"][4]


def break_duplicated(history):
    history["final"].insert(10, {**history["final"][9], "offset": 10})


def break_reordered(history):
    one, two = history["final"][3], history["final"][4]
    one["key"], one["sha256"], two["key"], two["sha256"] = two["key"], two["sha256"], one["key"], one["sha256"]
    for name in ("acked", "read"):
        history[name] = [record for record in history[name] if record["key"] not in (one["key"], two["key"])]


def break_inconsistent(history):
    history["read"].append({**history["sent"][5], "offset": 6})
    history["final"][5] = {**history["final"][5], "offset": 5}


def break_corrupt(history):
    history["final"][12]["sha256"] = "sum of other bytes"


def break_vanished(history):
    ghost = {"partition": 0, "key": "0-00000010", "sha256": "sum 0 10"}
    history["sent"].append(ghost)
    history["read"].append({**ghost, "offset": 10})


def break_skipped(history):
    del history["read"][7]


def break_committed_back(history):
    history["looks"].append({"partition": 0, "offset": 8, "begin": 9.0, "end": 9.1})


def break_committed_lost(history):
    history["looks"].append({"partition": 0, "offset": -1, "begin": 9.0, "end": 9.1})


def allow_unacknowledged(history):
    """Sent, not answered, and yet there: allowed."""
    del history["acked"][9]
    extra = {"partition": 1, "key": "1-00000010", "sha256": "sum 1 10"}
    history["sent"].append(extra)  # sent, not answered, not there: allowed


def allow_concurrent_look(history):
    """Asked before the commit was answered: either offset is right."""
    history["looks"].append({"partition": 0, "offset": 6, "begin": 3.2, "end": 3.9})


def self_test():
    """Prints one line per history; the number of those judged wrongly."""
    wrong = 0
    cases = [("nothing", None, lambda history: None), ("nothing", "unacknowledged", allow_unacknowledged),
             ("nothing", "a concurrent look", allow_concurrent_look), ("lost", None, break_lost),
             ("duplicated", None, break_duplicated), ("reordered", None, break_reordered),
             ("inconsistent", None, break_inconsistent), ("corrupt", None, break_corrupt),
             ("vanished", None, break_vanished), ("skipped", None, break_skipped),
             ("committed_back", None, break_committed_back),
             ("committed_back", "a lost commit", break_committed_lost)]
    for expected, title, change in cases:
        history = good_history()
        change(history)
        found = {name for name, sentences in judge(history).items() if sentences}
        good = not found if expected == "nothing" else expected in found
        wrong += not good
        print(f"{'ok  ' if good else 'FAIL'} {title or expected}: expected {expected}, "
              f"found {', '.join(sorted(found)) or 'nothing'}")
    untested = set(ANOMALIES) - {expected for expected, _, _ in cases}
    for name in untested:
        print(f"FAIL {name}: no bad history")
    wrong += len(untested)
    print(f"judge: {len(cases)} histories, {wrong} judged wrongly")
    return wrong
