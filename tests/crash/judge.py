"""Histories of single records, as lists, for paceline-judge. Records have keys "PARTITION-NUMBER",
numbers counting up per partition in the order of sending, and the sum of their value."""
import re
from collections import defaultdict

from bad_histories import ANOMALIES, GOOD, judge_events

# What those who call this know an anomaly as.
NAMES = {"lost-write": "lost", "inconsistent-offsets": "inconsistent"}
# Of this order of sends nothing is known but the numbers; times are of no use.
AT = {"invoked": 0, "told": 0}


def judge(history):
    """History: a dict of lists of dicts.

      sent     partition, key, sha256            before it was handed to the client
      acked    partition, key, sha256, offset    the ledger
      read, final    partition, key, sha256, offset    in the order of reading

    Gives name of the anomaly -> list of sentences."""
    found = defaultdict(list)
    sums = {record["key"]: record["sha256"] for record in history["sent"]}
    bases = {record["key"]: record["offset"] for record in history["acked"]}
    events = []
    # A record that was acknowledged was sent, whatever its client noted.
    places = {record["key"]: record["partition"] for record in history["sent"] + history["acked"]}
    for key, partition in places.items():
        number = int(key.split("-")[1])
        event = {"event": "send", "producer": 1, "key": partition, "first": number, "count": 1,
                 "order": number, "outcome": "unknown", **AT}
        if key in bases:
            event.update(outcome="ok", base=bases[key])
        events.append(event)
    for partition in set(places.values()):
        events.append(poll_of(partition, [], True))
    for source in ("acked", "read", "final"):
        for record in history[source]:
            if sums.get(record["key"]) != record["sha256"]:
                found["corrupt"].append(f"{record['key']} in {source}, offset {record['offset']}")
                if source != "acked":
                    continue
            # A second acknowledgement of one record is a place of it as well.
            if source != "acked" or record["offset"] != bases[record["key"]]:
                number = int(record["key"].split("-")[1])
                events.append(poll_of(record["partition"], [[record["offset"], number, 1]], source == "final"))
    if not places:
        return found
    status, said = judge_events(events)
    if status not in (GOOD, ANOMALIES):
        found["not judged"].append(said.strip())
    for name, sentence in re.findall(r"^([a-z-]+) in (key \d+: .*)$", said, re.M):
        found[NAMES.get(name, name)].append(sentence)
    return found


def poll_of(partition, runs, last):
    return {"event": "poll", "reader": 1, "key": partition, "from": runs[0][0] if runs else 0, "runs": runs,
            "last": last, **AT}
