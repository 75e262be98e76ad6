"""The table of results, tests/conformance/librdkafka.md."""
import os
import re
from dataclasses import dataclass

from plan import EXCLUDED, EXCLUDED_ON, GATES, ONE, THREE, Case, cases

VERSION = "librdkafka 2.15.1"
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "librdkafka.md")
NOT_RUN = "not run"
ORDINALS = {2: "second", 3: "third", 4: "fourth"}


def ordinal(count):
    return ORDINALS.get(count, str(count))


@dataclass
class Outcome:
    case: Case
    reason: str | None   # of the last run; None: it passed
    seconds: float
    runs: int = 1
    first: str = ""      # why the first run failed, when there was a second one

    def result(self):
        """What the table says of it."""
        if self.reason is None:
            said = "passed" if self.runs == 1 else f"passed ({ordinal(self.runs)} run); first: {self.first}"
        else:
            said = f"failed: {self.reason}" if self.runs == 1 else f"failed {self.runs} times: {self.reason}"
        return said.replace("|", "/").replace("\n", " ")


def read_table(setup=ONE, path=TABLE):
    """(name, mode) -> result of the checked-in table."""
    return {key: cells[setup] for key, cells in _read(path)[0].items()}


def _read(path):
    """(name, mode) -> setup -> result, and setup -> what is noted of its last full run."""
    known, notes = {}, {}
    if not os.path.exists(path):
        return known, notes
    with open(path, encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 5 and re.match(r"\d{4}", cells[0]):
                known[cells[0], cells[2]] = {ONE: cells[3], THREE: cells[4]}
            elif len(cells) == 4 and cells[0] in (ONE, THREE):
                notes[cells[0]] = cells[3]
    return known, notes


def write_table(known, setup=ONE, note=None, path=TABLE):
    """`known` as read_table gives it, for one setup; the other's results stay. All or nothing."""
    before, notes = _read(path)
    if note is not None:
        notes[setup] = note
    rows = {}
    for case in cases():
        rows[case.key] = {one: before.get(case.key, {}).get(one, NOT_RUN) for one in (ONE, THREE)}
        rows[case.key][setup] = known.get(case.key, NOT_RUN)
        for one in (ONE, THREE):
            why = EXCLUDED_ON[one].get(case.key)
            if why:
                rows[case.key][one] = f"excluded: {why}"
    lines = [f"# librdkafka's own tests ({VERSION})", "",
             "Written by `tests/conformance/librdkafka.py`; see there what a pass demands. Excluded tests are not",
             "passed ones. Mode `idempotent`: every producer is idempotent (-P). Mode `delayed`: a first rebalance",
             "waits 3 s for members, Kafka's own default; elsewhere it does not wait.", "",
             "On three brokers (`--cluster`), each of a rack of its own on one etcd, the leader of a random partition moves",
             "every 2 s, and the topics of a test are deleted after it, so that moves meet those that run. Where a group's",
             "coordinator moves, a rebalance that has begun is forgotten and sessions begin anew, as in Kafka: a test whose",
             "time-outs do not allow for that fails now and then, and passes in its second run (`--retry 1`).", "",
             "| against | passed (not in their first run) | failed, not run, excluded | the last full run |", "|---|---|---|---|"]
    for one in (ONE, THREE):
        results = [row[one] for row in rows.values()]
        count = {kind: sum(result.startswith(kind) for result in results)
                 for kind in ("passed", "passed (", "failed", NOT_RUN, "excluded")}
        lines.append(f"| {one} | {count['passed']} ({count['passed (']}) | {count['failed']}, {count[NOT_RUN]}, "
                     f"{count['excluded']} | {notes.get(one, '')} |")
    lines += ["", "| gate | what |", "|---|---|"] + [f"| {gate} | {what} |" for gate, what in GATES.items()] + [""]
    lines += [f"| test | gate | mode | {ONE} | {THREE} |", "|---|---|---|---|---|"]
    lines += [f"| {case.name} | {case.gate} | {case.key[1]} | {rows[case.key][ONE]} | {rows[case.key][THREE]} |"
              for case in cases()]
    lines += ["", "| excluded from both | gate | why |", "|---|---|---|"]
    lines += [f"| {names} | {gate} | {why} |" for names, gate, why in EXCLUDED]
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    os.replace(path + ".part", path)
