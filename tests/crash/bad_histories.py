"""Runs paceline-judge, and proves that it finds what it is there for: one bad history an anomaly."""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "clients"))

from harness import binary  # noqa: E402

GOOD, ANOMALIES, NOT_JUDGED = 0, 4, 7


def judge_files(files):
    """paceline-judge's status and what it said. It lies beside the broker under test."""
    judge = os.path.join(os.path.dirname(binary()), "paceline-judge")
    done = subprocess.run([judge, *files], capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def lines_of(events):
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in [{"paceline-history": 1}, *events])


def judge_events(events):
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson", prefix="paceline-history-") as file:
        file.write(lines_of(events))
        file.flush()
        return judge_files([file.name])


def good_history():
    """Two partitions with ten records each, read by a member and at the end."""
    events = []
    for key in (0, 1):
        for part in (0, 5):
            events.append({"event": "send", "producer": 1, "key": key, "first": part, "count": 5, "order": part,
                           "outcome": "ok", "base": part, "invoked": 10 + part, "told": 12 + part})
        for last in (False, True):
            event = {"event": "poll", "reader": 2 + last, "key": key, "from": 0, "runs": [[0, 0, 10]],
                     "invoked": 90 if last else 30, "told": 91 if last else 31}
            events.append({**event, "last": True} if last else {**event, "group": 1})
        events.append({"event": "commit", "group": 1, "key": key, "offset": 10, "outcome": "ok",
                       "invoked": 40, "told": 41})
    return events


def sends(events):
    return [event for event in events if event["event"] == "send" and event["key"] == 0]


def polls(events, last):
    return [event for event in events if event["event"] == "poll" and event["key"] == 0
            and event.get("last", False) == last]


def break_lost(events):
    polls(events, True)[0]["runs"] = [[0, 0, 5]]
    polls(events, False)[0]["runs"] = [[0, 0, 5]]


def break_duplicated(events):
    polls(events, True)[0]["runs"] = [[0, 0, 10], [10, 9, 1]]


def break_reordered(events):
    one, two = sends(events)
    one["base"], two["base"] = 5, 0
    for event in polls(events, True) + polls(events, False):
        event["runs"] = [[0, 5, 5], [5, 0, 5]]


def break_inconsistent(events):
    polls(events, False)[0]["runs"] = [[0, 0, 6], [6, 7, 3]]


def break_wrong_base(events):
    sends(events)[0]["repeats"] = [3]


def break_unsent(events):
    polls(events, True)[0]["runs"] = [[0, 0, 10], [10, 77, 1]]


def break_vanished(events):
    sends(events)[1]["outcome"] = "unknown"
    del sends(events)[1]["base"]
    polls(events, True)[0]["runs"] = [[0, 0, 5]]


def break_skipped(events):
    polls(events, False)[0]["runs"] = [[0, 0, 4], [5, 5, 5]]


def break_group(events):
    polls(events, False)[0]["runs"] = [[0, 0, 5]]


def break_committed_back(events):
    events.append({"event": "committed", "group": 1, "key": 0, "offset": 4, "invoked": 50, "told": 51})


def break_committed_lost(events):
    events.append({"event": "committed", "group": 1, "key": 0, "offset": -1, "invoked": 50, "told": 51})


def break_epoch(events):
    for epoch, at in ((3, 50), (2, 60)):
        events.append({"event": "epoch", "key": 0, "epoch": epoch, "invoked": at, "told": at + 1})


def break_watermark(events):
    polls(events, False)[0]["high_watermark"] = 10
    polls(events, True)[0]["high_watermark"] = 9


def break_bytes(events):
    events.append({"event": "violation", "key": 0, "what": "a checksum", "invoked": 5, "told": 6})


def break_final(events):
    events.remove(polls(events, True)[0])


def break_twice(events):
    events.append({**sends(events)[0], "producer": 9})


def allow_unanswered(events):
    """Sent, not answered, and there or not: both are right."""
    sends(events)[1]["outcome"] = "unknown"
    del sends(events)[1]["base"]
    events.append({"event": "send", "producer": 1, "key": 0, "first": 10, "count": 3, "order": 10,
                   "outcome": "unknown", "invoked": 20, "told": 21})


def allow_concurrent_look(events):
    """Asked before the commit was answered: either offset is right."""
    events.append({"event": "committed", "group": 1, "key": 0, "offset": -1, "invoked": 39, "told": 42})


CASES = [(None, lambda events: None), (None, allow_unanswered), (None, allow_concurrent_look),
         ("lost-write", break_lost), ("duplicate", break_duplicated), ("nonmonotonic-send", break_reordered),
         ("inconsistent-offsets", break_inconsistent), ("wrong-base", break_wrong_base),
         ("phantom-read", break_unsent), ("read-beyond-durable", break_vanished), ("poll-skip", break_skipped),
         ("group-skip", break_group), ("commit-regress", break_committed_back),
         ("commit-regress", break_committed_lost), ("epoch-regress", break_epoch),
         ("offset-regress", break_watermark), ("violation", break_bytes),
         ("not judged", break_final), ("not judged", break_twice)]


def self_test():
    """Prints one line per history; the number of those judged wrongly."""
    wrong = 0
    for expected, change in CASES:
        events = good_history()
        change(events)
        status, said = judge_events(events)
        if expected is None:
            good = status == GOOD
        else:
            good = status == (NOT_JUDGED if expected == "not judged" else ANOMALIES) and \
                any(line.startswith(expected) for line in said.split("\n"))
        wrong += not good
        print(f"{'ok  ' if good else 'FAIL'} {change.__name__}: expected {expected or 'nothing'}, "
              f"status {status}, {said.strip().splitlines()[0]}")
    print(f"judge: {len(CASES)} histories, {wrong} judged wrongly")
    return wrong
