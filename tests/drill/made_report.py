"""A report of a drill that never ran, as docs/format/drill.md says: two faults on so many partitions."""
import math
import random

STEPS = [("kill-1", "sigkill", "N1", False, 0.0), ("drain-2", "drain", "N1", True, 20_000.0)]
SECONDS_BEFORE, SECONDS_AFTER, BIN_MS = 30, 60, 100
# Text that no page may take for markup.
HOSTILE = "</script><script>alert('drill')</script><img src=x onerror=alert(1)> & \"quoted\" \u2028 end"


def quantiles(values):
    values = sorted(values)
    if not values:
        return {"samples": 0, "p50_ms": None, "p99_ms": None, "max_ms": None}
    enough = len(values) >= 299
    return {"samples": len(values), "p50_ms": values[len(values) // 2] if enough else None,
            "p99_ms": values[math.ceil(len(values) * 0.99) - 1] if enough else None, "max_ms": values[-1]}


class Events:
    def __init__(self):
        self.rows = []
        self.counts = {}

    def add(self, ms, source, plane, kind, text, topic=None, partition=None, cause=None, err=0.05):
        seq = self.counts[source] = self.counts.get(source, 0) + 1
        event = f"{source}-{seq}"
        self.rows.append({"event": event, "ms": round(ms, 3), "err_ms": err, "source": source, "plane": plane, "type": kind,
                          "text": text, "topic": topic, "partition": partition, "cause": cause})
        return event


def seen(ms, by, event=None, state="observed", err=0.05):
    return {"state": state, "ms": None if ms is None else round(ms, 3), "err_ms": None if ms is None else err, "event": event, "by": by}


def partition_entry(rng, events, step, number, shared, topic, detailed):
    name, fault, _, planned, zero = step
    begin = zero + rng.uniform(-9, -1)
    owned = shared["t3"] + (rng.uniform(0, 40) if planned else 0)
    serving = owned + (rng.uniform(4, 30) if planned else rng.uniform(80, 420) * (1 + (rng.random() < 0.03)))
    first = serving + rng.uniform(1, 60)
    last = first + rng.uniform(0, 220)
    lane = "paceline:1.2"
    opened = events.add(serving, lane, "control", "partition.serving", "serves all that came to it", topic, number,
                        shared["cause"], 0.4) if detailed else None
    never = not planned and number == 7
    marks = {
        "t0": seen(zero, "drill", shared["t0_event"]), "t1": seen(begin, "ledger"), "t2": seen(shared["t2"], "guardian", shared["t2_event"], err=0.4),
        "t3": seen(owned, "watcher", shared["t3_event"], "upper_bound" if planned else "observed", 0.4),
        "t4": seen(None, None, state="not_observable") if planned else seen(shared["t4"], "lane.sealed", shared["t4_event"], err=0.4),
        "t5": seen(None, None, state="not_observable") if planned else seen(shared["t5"], "lane.recovered", err=0.4),
        "t6": seen(serving, lane, opened, err=0.4), "t7": seen(serving + 3, "watcher:2", err=1.2),
        "t8": seen(first, "ledger"), "t9": seen(last, "ledger"), "t10": seen(last + 30, "ledger"),
        "t11": seen(zero + 2_900, "probe"), "t12": seen(zero + 1_800, "transfers"),
        "t13": seen(zero + 6_200, "storage.snapshot"),
    }
    if never:
        for key in ("t8", "t9", "t10"):
            marks[key] = seen(None, None, state="never")
    gap = None if never else round(first - begin, 3)
    return {"step": name, "topic": topic, "partition": number, "from": 1, "to": 2 + number % 2, "gap_ms": gap,
            "gap_last_ms": None if never else round(last - begin, 3), "milestones": marks}


def step_events(events, step):
    name, fault, _, planned, zero = step
    shared = {"cause": "1.1" if not planned else "move-orders-0@12"}
    events.add(zero - 40, "drill", "control", "fault.commanded", f"{fault} of broker 1")
    shared["t0_event"] = events.add(zero, "drill", "control", "fault.effective", f"{fault} of broker 1, observed by its pid")
    shared["t2"], shared["t3"], shared["t4"], shared["t5"] = zero + 12, zero + 64, zero + 71, zero + 140
    noticed = "move.begun" if planned else "broker.noticed"
    shared["t2_event"] = events.add(shared["t2"], "paceline:1.2", "control", noticed, "takes 1.1 for dead: told_by_guardian", cause=shared["cause"], err=0.4)
    shared["t3_event"] = events.add(shared["t3"], "paceline:1.2", "control", "broker.fenced", "has fenced 1.1", cause=shared["cause"], err=0.4)
    shared["t4_event"] = events.add(shared["t4"], "paceline:1.3", "storage", "lane.sealed", "has sealed the log of 1.1", cause=shared["cause"], err=0.4)
    events.add(shared["t5"], "paceline:1.3", "storage", "lane.recovered", "has read what 1.1 left: 8.0 MiB", cause=shared["cause"], err=0.4)
    events.add(shared["t4"] + 0.3, "watcher", "client", "leader.seen", "leader 2 in epoch 9", err=1.2)
    for at in (30, 41, 300):
        events.add(zero + at, "probe", "client", "client.error", f"error {'_TRANSPORT' if at == 41 else 'NOT_LEADER_OR_FOLLOWER'}, fatal false")
    events.add(zero + 9_000, "drill", "control", "fault.healed", "broker 1 is back")
    events.add(zero + 30_000, "drill", "control", "rollback.evaluated", "rule at 30 s: go_on")
    return shared


def series(rng, gaps):
    count = (SECONDS_BEFORE + SECONDS_AFTER) * 1000 // BIN_MS
    times = [-SECONDS_BEFORE * 1000 + index * BIN_MS for index in range(count)]

    def hurt(ms):
        return max([0.0] + [1 - abs(ms - zero - length / 2) / length for zero, length in gaps if zero <= ms <= zero + length * 1.5])

    noise = lambda base: base * rng.uniform(0.93, 1.07)
    latency = []
    for index, kind in enumerate(["producer"] * 4 + ["transfer", "bystander"]):
        name = f"{kind}-{index}"
        blank = [kind == "producer" and hurt(ms) > 0.75 for ms in times]
        rows = {"p50_ms": [noise(2.1) + 60 * hurt(ms) for ms in times], "p99_ms": [noise(7.5) + 640 * hurt(ms) for ms in times],
                "max_ms": [noise(12) + 900 * hurt(ms) for ms in times]}
        latency.append({"client": name, "kind": kind} | {key: [None if gone else round(value, 2) for value, gone in zip(values, blank)]
                                                        for key, values in rows.items()})
    return {"bin_ms": BIN_MS, "from_ms": times[0], "acks": [round(noise(80) * (1 - hurt(ms))) for ms in times],
            "errors": [round(9 * hurt(ms)) for ms in times], "rebalances": [1 if abs(ms - 1500) < 50 else 0 for ms in times],
            "latency": latency, "lag": [{"group": "readers", "records": [round(noise(20) + 1500 * hurt(ms)) for ms in times]}],
            "staleness_ms": [round(noise(40) + 1400 * hurt(ms), 1) for ms in times],
            "store": {"put": [round(noise(6) + 9 * hurt(ms)) for ms in times], "get": [round(noise(2) + 40 * hurt(ms)) for ms in times],
                      "list": [1 if index % 50 == 0 else 0 for index in range(count)],
                      "bytes": [round(noise(400_000) + 8_000_000 * hurt(ms)) for ms in times]}}


def figure(name, value, unit, green, amber, state, samples=None, events=()):
    if value is not None and samples is None:
        samples = max(1, len(events))
    return {"name": name, "value": value, "unit": unit, "green": green, "amber": amber, "state": state, "required": True, "samples": samples,
            "events": list(events), "evidence": [] if events or value is None else ["ledger.bin", "timeline.ndjson"]}


def scorecard(gap, planned, shared):
    fault = [shared["t0_event"], shared["t3_event"], shared["t4_event"]]
    return [
        {"id": "leaders", "question": "Did leaders move with no hidden client cost?", "state": "amber", "why": "The longest gap is above its green limit.", "figures": [
            figure("planned_p99_ms", planned["p99_ms"] or planned["max_ms"], "ms", "≤ 500 ms", "≤ 1,000 ms", "green", planned["samples"], fault[:1]),
            figure("unplanned_max_ms", gap["max_ms"], "ms", "≤ 500 ms", "≤ 1,000 ms", "amber", gap["samples"], fault),
            figure("errors_after_retry", 0, "", "0", None, "green", 182_400), figure("lost", 0, "records", "0", None, "green", 182_400),
            figure("duplicated", 0, "records", "0", None, "green"), figure("extra_rebalances", 1, "per group", "≤ 1", "≤ 2", "green")]},
        {"id": "storage", "question": "Did storage work stay bounded?", "state": "green", "why": "all within their limits", "figures": [
            figure("recovery_ratio", 1.04, "× un-uploaded", "≤ 2 ×", "≤ 4 ×", "green", None, fault[2:]), figure("historical_bytes_copied", 0, "bytes", "0", None, "green"),
            figure("requests_per_partition", 1.7, "", "≤ 10", None, "green"), figure("left_over_ms", 6200, "ms", "≤ 60 s", "≤ 5 min", "green"),
            figure("orphans", None, "", "0", None, "grey")]},
        {"id": "capacity", "question": "Did added capacity help soon?", "state": "grey", "why": "No broker was added in this run.", "figures": []},
        {"id": "governance", "question": "Did governance hold?", "state": "grey", "why": "The allow and deny matrix did not run.", "figures": []},
        {"id": "rollback", "question": "Was rollback decided, not improvised?", "state": "green", "why": "all within their limits", "figures": [
            figure("rule_evaluated", 1, "times", "≥ 1", None, "green"), figure("rollback_ms", 18_250, "ms", "≤ 60 s", "≤ 5 min", "green")]},
        {"id": "evidence", "question": "Is the evidence complete?", "state": "green", "why": "all within their limits", "figures": [
            figure("milestones", 14, "of 14", "14", "≥ 12", "green"), figure("clock_bound_ms", 0.4, "ms", "≤ 5 ms", None, "green")]},
        {"id": "business", "question": "Business outcome", "state": "green", "why": "all within their limits", "figures": [
            figure("ledger_sum_off_by", 0, "", "0", None, "green"), figure("staleness_p99_ms", 1435, "ms", "≤ gap + 2 s", "≤ gap + 10 s", "green", 900)]},
    ]


NEGATIVE = [("N1", "remove a broker", "amber"), ("N2", "cut a zone path", "grey"), ("N3", "slow storage", "grey"), ("N4", "client refresh storm", "green"),
            ("N5", "freeze the control plane", "grey"), ("N6", "zombie", "grey"), ("N7", "clean-up", "green"), ("N8", "sabotage self-test", "green")]
DIMENSIONS = ["compatibility", "cost", "elasticity", "governance", "fault_recovery", "migration_risk", "team_boundary"]
READINESS = ["client_behaviour", "storage_ownership", "capacity_headroom", "failure_domain_routing", "rollback", "observability"]


def run_json(partitions):
    return {
        "schema": 1, "run_id": "r-20261128-0001", "seed": 42, "began": "2026-11-28T00:01:00Z", "ended": "2026-11-28T00:03:20Z", "outcome": "completed",
        "reason": None, "tool": {"version": "0.1.0", "build": "872b5ab", "librdkafka": "2.0.2"},
        "target": {"profile": "paceline", "name": "staging-eu", "version": "0.1.0", "cluster_id": "kZ3u", "bootstrap": "127.0.0.1:9092",
                   "config_hash": "6fd1c2a94b7e", "brokers": [{"id": n, "host": "127.0.0.1", "port": 9091 + n, "rack": f"z{n}"} for n in (1, 2, 3)],
                   "observes": ["t2", "t4", "t5"], "external_only": False, "sabotage": None},
        "plan": {"name": "kill", "sha256": "ab" * 32, "baseline_s": 30, "observe_s": 60, "steps": [
            {"id": step[0], "fault": step[1], "test": step[2], "domain": "broker 1", "planned": step[3], "owner": "platform"} for step in STEPS]},
        "rollback": {"point": "before kill-1: leaders as of 00:01:31", "command": "paceline leader balance", "owner": "on-call platform", "rehearsed": "2026-11-20T10:00:00Z",
                     "rule": "roll back if clients fail for 60 s", "rehearsed_ms": 18_250},
        "limits": {}, "topics": [{"name": "orders", "id": None, "partitions": partitions, "role": "probe"}],
        "clients": [{"name": f"producer-{n}", "kind": "producer", "library": "librdkafka", "version": "2.0.2", "zone": None, "group": None, "topic": "orders",
                     "idempotent": True, "acks": "all", "transactional": False} for n in range(4)],
        "previous": "cd" * 32}


def step_json(step, entries):
    name, fault, test, planned, zero = step
    gap = quantiles([entry["gap_ms"] for entry in entries if entry["gap_ms"] is not None])
    difference = lambda a, b: quantiles([entry["milestones"][a]["ms"] - entry["milestones"][b]["ms"] for entry in entries
                                         if entry["milestones"][a]["ms"] is not None and entry["milestones"][b]["ms"] is not None])
    return {"id": name, "fault": fault, "test": test, "planned": planned, "effective_ms": zero, "healed_ms": zero + 9_000, "broker": 1, "gap": gap, "wait_elsewhere_ms": 12.5,
            "derived": {"detect_ms": difference("t2", "t0"), "own_ms": difference("t6", "t2"), "hop_ms": difference("t9", "t6"), "gap_ms": gap,
                        "gap_last_ms": difference("t9", "t1"), "settle_ms": difference("t11", "t8"), "storage_tail_ms": difference("t13", "t8")},
            "dominant": "wal", "state": "green" if planned else "amber"}


def made_report(partitions=24, seed=1):
    rng = random.Random(seed)
    events = Events()
    events.add(-30_000, "drill", "control", "run.began", "baseline")
    entries, steps, gaps, shared = [], [], [], {}
    for step in STEPS:
        shared = step_events(events, step)
        mine = [partition_entry(rng, events, step, number, shared, "orders", number < 800) for number in range(partitions)]
        entries += mine
        steps.append(step_json(step, mine))
        gaps.append((step[4], steps[-1]["gap"]["max_ms"] or 500))
    rows = sorted(events.rows, key=lambda row: row["ms"])
    rows[0]["text"] = HOSTILE
    whole = quantiles([entry["gap_ms"] for entry in entries if entry["gap_ms"] is not None])
    phase = lambda name, words, step, begin, end: {"phase": name, "name": words, "step": step, "from_ms": begin, "to_ms": end, "events": [rows[0]["event"]]}
    return {
        "api_version": "paceline/v1", "kind": "DrillReport", "run_id": "r-20261128-0001", "verdict": "amber", "exit_code": 0, "reason": None,
        "sentence": "Leaders moved without loss; the longest gap after the kill is above its green limit.", "external_only": False, "run": run_json(partitions),
        "clock": {"bound_ms": 0.4, "sources": [{"source": source, "offset_ms": 0.12, "err_ms": 0.4} for source in sorted(events.counts)],
                  "contradictions": [{"events": [rows[1]["event"]], "what": "lane.sealed before broker.fenced by 0.2 ms"}]},
        "gap": whole | {"planned": steps[1]["gap"], "unplanned": steps[0]["gap"]},
        "counts": {"sent": 182_466, "acked": 182_400, "failed": 66, "unknown": 0, "read": 182_400, "lost": 0, "duplicated": 0, "reordered": 0, "damaged": 0,
                   "never_read": 0, "errors": 211, "errors_excepted": 0, "rebalances_extra": 1},
        "anomalies": [{"name": "stale-read", "topic": "orders", "partition": 3, "seq": 1204, "offset": 90_210, "what": "read again 40 ms after it was read: " + HOSTILE,
                       "events": [rows[2]["event"]]}],
        "steps": steps, "partitions": entries,
        "recovery": {"unuploaded_bytes": 8_388_608, "bytes_read": 8_724_152, "bytes_written": 1_204_000, "requests": {"get": 31, "put": 12, "list": 2},
                     "historical_bytes_copied": 0, "left_over_ms": 6_200, "orphans": None, "usd": {"value": 0.000117, "prices": "S3 standard, us-east-1"},
                     "events": {name: [shared["t4_event"], shared["t3_event"]] for name in ("unuploaded_bytes", "bytes_read", "bytes_written", "requests_get",
                                "requests_put", "requests_list", "historical_bytes_copied", "left_over_ms", "usd")}},
        "readiness": [{"item": item, "state": "green" if index % 3 else "amber", "measured": "96.2 % of bytes idempotent", "limit": "≥ 95 %",
                       "evidence": "timeline.ndjson", "expires": "2026-12-28T00:01:00Z", "event": rows[0]["event"]} for index, item in enumerate(READINESS)],
        "dimensions": [{"name": name, "state": "green" if index in (0, 1, 4) else "grey", "findings": [
            {"text": "All client kinds carried on through both moves.", "state": "green", "events": [rows[3]["event"], rows[4]["event"]]}] if index in (0, 1, 4) else []}
            for index, name in enumerate(DIMENSIONS)],
        "scorecard": scorecard(steps[0]["gap"], steps[1]["gap"], shared),
        "negative_tests": [{"id": test, "name": name, "state": state, "measured": "did not run" if state == "grey" else "kill max 980 ms, 0 violations",
                            "green": "kill p99 ≤ 5 s, 0 violations", "red": "any violation, or > 2 ×", "events": [shared["t0_event"]]} for test, name, state in NEGATIVE],
        "dominant": {"unit": "wal", "ms": 331.0, "share": 0.44, "why": "replay took longest"},
        "next_step": {"kind": "runbook", "text": "Upload more often before a planned end: the replay of 8 MiB dominated."},
        "phases": [phase("P2", "baseline", None, -30_000, -41), phase("P3", "inject", "kill-1", -41, 0), phase("P4", "observe", "kill-1", 0, 9_000),
                   phase("P3", "inject", "drain-2", 19_960, 20_000), phase("P4", "observe", "drain-2", 20_000, 50_000), phase("P7", "read-back", None, 50_000, 60_000)],
        "events": rows[:2000], "events_left_out": max(0, len(rows) - 2000), "series": series(rng, gaps),
        "evidence": {"files": [{"name": name, "bytes": 1000 + index, "sha256": f"{index:02x}" * 32} for index, name in
                               enumerate(["hooks.log", "ledger.bin", "plan.toml", "run.json", "timeline.ndjson"])],
                     "holes": [{"source": "watcher", "missing": 2}], "damaged_lines": 0, "damaged_rows": 0, "cut": False},
        "reproduce": "paceline drill run --plan kill --bootstrap 127.0.0.1:9092 --seed 42"}
