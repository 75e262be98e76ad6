"""What a drill has left, read by somebody who has nothing in common with its reader but docs/format/drill.md."""
import collections
import glob
import hashlib
import json
import os
import struct
import xml.etree.ElementTree

from checksum import crc32c
from harness import Failed, check, check_equal

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCHEMA = os.path.join(ROOT, "docs", "drill-report.schema.json")
EVIDENCE = ("hooks.log", "ledger.bin", "plan.toml", "run.json", "timeline.ndjson")
DERIVED = ("junit.xml", "metrics.prom", "report.html", "report.json")
MANIFEST = "MANIFEST.sha256"
ROW = struct.Struct("<BBHHHiiiiQqqqqII")
SENT, ACKED, NOT_THERE, UNKNOWN, READ, READ_BACK = range(1, 7)
DAMAGED = 2
STATES = ("green", "amber", "grey", "red")
REFUSED_CODE = 6
CODES = {"green": 0, "amber": 0, "red": 4, "grey": 7}
EVERY_PLAN = ("leaders", "storage", "rollback", "evidence", "business")

Row = collections.namedtuple("Row", "kind flags client reader topic partition epoch broker error seq offset intended at amount key crc")


def check_report_schema(report):
    import jsonschema
    with open(SCHEMA, encoding="utf-8") as file:
        schema = json.load(file)
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    wrong = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in kind(schema).iter_errors(report)]
    check(not wrong, f"report.json does not fit its schema: {wrong[:3]}")


class Evidence:
    """The folder of one run."""

    def __init__(self, folder):
        self.folder = folder
        self.run = json.loads(self.text("run.json"))
        self.report = json.loads(self.text("report.json")) if os.path.exists(self.path("report.json")) else None

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def bytes(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def events(self, kind=None, **figures):
        lines = [json.loads(line) for line in self.text("timeline.ndjson").splitlines() if line]
        return [one for one in lines if kind in (None, one["type"])
                and all(one["figures"].get(name) == value for name, value in figures.items())]

    def rows(self):
        text = self.bytes("ledger.bin")
        check(text[:8] == b"PLDRILL1" and struct.unpack("<II", text[8:16]) == (1, 0), f"{self.folder}/ledger.bin begins otherwise")
        whole = (len(text) - 16) // ROW.size
        return [Row(*fields) for fields in ROW.iter_unpack(text[16:16 + whole * ROW.size])]

    # What there is to ask of a report.

    @property
    def verdict(self):
        return self.report["verdict"]

    def state_of(self, row):
        """Of a row of the scorecard, or of a negative test."""
        found = [one["state"] for one in self.report["scorecard"] + self.report["negative_tests"] if one["id"] == row]
        check(len(found) == 1, f"the report has {len(found)} rows '{row}'")
        return found[0]

    def why(self, row):
        return next(one["why"] for one in self.report["scorecard"] if one["id"] == row)

    def table(self):
        """The scorecard in one line."""
        return ", ".join(f"{one['id']} {one['state']}" for one in self.report["scorecard"])

    def expect(self, *verdicts):
        check(self.verdict in verdicts, f"the verdict is {self.verdict}: {self.report['sentence']}; {self.reasons()}")

    def reasons(self):
        """Whatever is not green, and why."""
        rows = [f"{one['id']} {one['state']}: {one['why']}" for one in self.report["scorecard"] if one["state"] in ("amber", "red")]
        tests = [f"{one['id']} {one['state']}: {one['measured']}" for one in self.report["negative_tests"]
                 if one["state"] in ("amber", "red")]
        return "; ".join(rows + tests)

    # What must hold of any run that was judged.

    def sound(self):
        """All files are there, fit each other, and the report says what the evidence does."""
        self.check_files()
        check_report_schema(self.report)
        self.check_verdict()
        self.check_timeline()
        self.check_ledger()
        self.check_figures()
        self.check_others()
        return self

    def check_files(self):
        names = sorted(name for name in os.listdir(self.folder))
        missing = set(EVIDENCE + DERIVED + (MANIFEST,)) - set(names)
        check(not missing, f"missing in {self.folder}: {sorted(missing)}")
        listed = [line.split("  ", 1) for line in self.text(MANIFEST).splitlines()]
        check_equal([name for _, name in listed if name != "previous"], sorted(set(names) - {MANIFEST}), "what the manifest lists")
        for digest, name in listed:
            if name == "previous":
                check(digest in self.others(), "the manifest names a run before that is not there")
                check_equal(digest, self.run["previous"], "`previous` of run.json")
            else:
                check_equal(digest, hashlib.sha256(self.bytes(name)).hexdigest(), f"the hash of {name}")

    def others(self):
        """Hashes of the manifests of all runs in the same folder."""
        found = []
        for path in glob.glob(os.path.join(os.path.dirname(self.folder), "*", MANIFEST)):
            with open(path, "rb") as file:
                found.append(hashlib.sha256(file.read()).hexdigest())
        return found

    def check_verdict(self):
        """The worst row: not better, and worse only for a reason. Grey counts where a plan requires the row, anything else everywhere."""
        report = self.report
        required = self.run["plan"]["requires"] or EVERY_PLAN
        moved = not report["steps"] or any(mark["state"] != "not_concerned" for one in report["partitions"] for mark in one["milestones"].values())
        if not self.run["plan"]["requires"] and not moved:
            required = tuple(row for row in required if row != "storage")
        states = [one["state"] for one in report["scorecard"] if one["state"] != "grey" or one["id"] in required]
        states += [one["state"] for one in report["negative_tests"] if one["measured"] != "did not run" and one["id"] != "N8"]
        worst, verdict = max(states, key=STATES.index), report["verdict"]
        told = f"{report['sentence']}; {self.table()}; {self.reasons()}"
        if self.run["outcome"] != "refused":
            check(STATES.index(verdict) >= STATES.index(worst), f"the verdict is {verdict}, and something is {worst}: {told}")
        if self.run["outcome"] == "completed" and verdict != worst:
            check(verdict == "red" and (self.state_of("N8") == "red" or any(one["state"] == "red" for one in report["steps"])),
                  f"the verdict is {verdict}, and nothing is worse than {worst}: {told}")
        check_equal(report["exit_code"], REFUSED_CODE if self.run["outcome"] == "refused" else CODES[verdict], "the code in the report")
        check_equal(report["run"], self.run, "`run` of the report")

    def check_timeline(self):
        """No source of ours has a hole, ids are given once, and phases end."""
        numbers, ids, open_phases = collections.defaultdict(list), set(), set()
        for event in self.events():
            check_equal(event["run_id"], self.run["run_id"], f"the run of {event['event_id']}")
            check(event["event_id"] not in ids, f"{event['event_id']} is there twice")
            ids.add(event["event_id"])
            numbers[event["source"]].append(event["source_seq"])
            place = (event["figures"].get("phase"), event["figures"].get("step"))
            if event["type"] == "phase.began":
                open_phases.add(place)
            elif event["type"] == "phase.ended":
                check(place in open_phases, f"phase {place} ends and has not begun")
                open_phases.remove(place)
        check(not open_phases, f"phases that do not end: {open_phases}")
        for source, seen in numbers.items():
            if not source.startswith("paceline:"):
                check_equal(seen, list(range(1, len(seen) + 1)), f"the numbers of {source}")

    def check_ledger(self):
        """Counted by hand."""
        rows, counts = self.rows(), self.report["counts"]
        for row in rows[::97]:
            check_equal(crc32c(ROW.pack(*row)[:-4]), row.crc, "the checksum of a row of the ledger")
        kinds = collections.Counter(row.kind for row in rows)
        check_equal(counts["sent"], kinds[SENT], "`sent`")
        check_equal(counts["acked"], kinds[ACKED], "`acked`")
        if not self.run["ended"] or not kinds[READ_BACK]:
            return
        acked = {(row.client, row.topic, row.partition, row.seq) for row in rows if row.kind == ACKED}
        back = collections.Counter((row.client, row.topic, row.partition, row.seq) for row in rows
                                   if row.kind == READ_BACK and not row.flags & DAMAGED)
        lost = len(acked - set(back))
        twice = sum(1 for times in back.values() if times > 1)
        check_equal((counts["lost"] > 0, counts["duplicated"] > 0), (lost > 0, twice > 0),
                    f"lost and duplicated (the report: {counts['lost']}, {counts['duplicated']}; by hand {lost}, {twice})")

    def check_figures(self):
        """Each says of how many it is, and what it is made of."""
        ids = {one["event_id"] for one in self.events()}
        for row in self.report["scorecard"]:
            for one in row["figures"]:
                what = f"{row['id']}: {one['name']}"
                if one["value"] is not None:
                    check(one["samples"] is not None, f"{what} has no N")
                    check(one["events"] or one["evidence"], f"{what} does not say what it is made of")
                check(ids.issuperset(one["events"]) and set(EVIDENCE).issuperset(one["evidence"]), f"{what} names what is not there")
                check(one["samples"] is None or one["samples"] >= 299 or "p99" not in one["name"] or one["value"] is None,
                      f"{what} is a p99 of {one['samples']}")
        recovery = self.report["recovery"]
        told = {**recovery, **{f"requests_{name}": value for name, value in recovery["requests"].items()}, "usd": recovery["usd"]["value"]}
        for name, value in told.items():
            if name not in ("requests", "events") and value is not None:
                check(recovery["events"].get(name), f"nobody has told the recovery's {name}")
        for one in self.report["readiness"]:
            for name in (one["evidence"] or "").split(", "):
                check(os.path.exists(self.path(name)), f"the evidence of {one['item']} is '{name}', which is no file of the run")

    def check_others(self):
        suite = xml.etree.ElementTree.fromstring(self.text("junit.xml"))
        failed = sorted(case.get("name").split()[0].rstrip(":") for case in suite.iter("testcase") if case.find("failure") is not None)
        red = [one["id"] for one in self.report["scorecard"] + self.report["negative_tests"] if one["state"] == "red"]
        unready = [one["item"] for one in self.report["readiness"] if one["state"] == "red"]
        check_equal(failed, sorted(red + unready), "the failures of junit.xml")
        check(self.verdict == "red" or self.run["outcome"] == "refused" or not red, f"{red} are red, and the verdict is {self.verdict}: {self.table()}")
        check("drill_check_status{" in self.text("metrics.prom"), "metrics.prom has no drill_check_status")
        page = self.text("report.html")
        check(page.lstrip().lower().startswith("<!doctype html") and self.run["run_id"] in page, "report.html is not of this run")
        for line in self.text("hooks.log").splitlines():
            json.loads(line)


def planned_part(evidence):
    """What a seed and a plan decide, wherever and whenever it runs."""
    run = evidence.run
    phases = [(one["figures"]["phase"], one["figures"].get("step")) for one in evidence.events("phase.began")]
    faults = [tuple(one["figures"].get(name) for name in ("step", "fault", "domain", "planned"))
              for one in evidence.events("fault.commanded")]
    rollback = {**(run["rollback"] or {}), "rehearsed": None, "rehearsed_ms": None}
    return {"seed": run["seed"], "plan": run["plan"], "rollback": rollback, "limits": run["limits"], "phases": phases,
            "faults": faults, "topics": [(one["role"], one["partitions"]) for one in run["topics"]],
            "clients": [(one["name"], one["kind"], one["acks"], one["idempotent"]) for one in run["clients"]]}


def load_of(evidence):
    """Each record that was to be sent: what it says."""
    return {(row.client, row.topic, row.partition, row.seq): (row.key, row.amount) for row in evidence.rows() if row.kind == SENT}


def expect_same_load(one, other):
    """Of what both have sent, how much there was."""
    both = one.keys() & other.keys()
    check(len(both) > min(len(one), len(other)) // 2, f"two runs have only {len(both)} records in common, of {len(one)} and {len(other)}")
    differ = [record for record in both if one[record] != other[record]]
    if differ:
        raise Failed(f"{len(differ)} of {len(both)} records differ, e.g. {differ[0]}: {one[differ[0]]} and {other[differ[0]]}")
    return len(both)
