"""The table of results, tests/conformance/librdkafka.md."""
import os
import re
from dataclasses import dataclass

from plan import EXCLUDED, GATES, Case, cases

VERSION = "librdkafka 2.15.1"
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "librdkafka.md")
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


def read_table(path=TABLE):
    """(name, mode) -> (gate, result) of the checked-in table."""
    if not os.path.exists(path):
        return {}
    known = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 4 and re.match(r"\d{4}", cells[0]):
                known[cells[0], cells[2]] = (cells[1], cells[3])
    return known


def write_table(known, path=TABLE):
    """`known` as read_table gives it; all or nothing."""
    planned = {case.key: case for case in cases()}
    lines = [f"# librdkafka's own tests ({VERSION})", "",
             "Written by `tests/conformance/librdkafka.py`; see there what a pass demands. Excluded tests are not",
             "passed ones. Mode `idempotent`: every producer is idempotent (-P). Mode `delayed`: a first rebalance",
             "waits 3 s for members, Kafka's own default; elsewhere it does not wait.", ""]
    results = [known.get(key, ("", "not run"))[1] for key in planned]
    count = {kind: sum(result.startswith(kind) for result in results)
             for kind in ("passed", "passed (", "failed", "not run")}
    lines += [f"{count['passed']} passed ({count['passed (']} of them not in their first run), "
              f"{count['failed']} failed, {count['not run']} not run.", ""]
    lines += ["| gate | what |", "|---|---|"] + [f"| {gate} | {what} |" for gate, what in GATES.items()] + [""]
    lines += ["| test | gate | mode | result |", "|---|---|---|---|"]
    for key, case in planned.items():
        result = known.get(key, ("", "not run"))[1]
        lines.append(f"| {case.name} | {case.gate} | {key[1]} | {result} |")
    lines += ["", "| excluded | gate | why |", "|---|---|---|"]
    lines += [f"| {names} | {gate} | {why} |" for names, gate, why in EXCLUDED]
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    os.replace(path + ".part", path)
