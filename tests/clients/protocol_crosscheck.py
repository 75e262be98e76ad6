#!/usr/bin/python3
"""Messages written by kafka-python's own structs (Debian's python3-kafka), read by our codec.

  protocol_crosscheck.py DUMP        DUMP is build/<preset>/paceline-dump

Every version that both know must decode to the values it was made of and encode to the same bytes
again. Ends with one line "crosscheck: ..."; status 1 if anything differs.
"""
import importlib
import json
import pkgutil
import subprocess
import sys

import kafka.protocol
from kafka.protocol.api import Request, Response
from kafka.protocol.types import Array, Boolean, Bytes, Int8, Int16, Int32, Int64, Schema, String

# Where kafka-python 2.0.2 contradicts Kafka's own description (which messages.py compares ours
# with). One that agrees after all fails the run, so that this list cannot outlive its reasons.
WRONG = {
    "DescribeGroupsResponse_v3": "authorized_operations stands outside of the group",
    "GroupCoordinatorResponse_v1": "throttle_time_ms is missing",
    "OffsetRequest_v4": "current_leader_epoch is 64 bits wide",
    "OffsetRequest_v5": "current_leader_epoch is 64 bits wide",
    "ProduceResponse_v8": "record_errors and error_message stand outside of the partition",
}
BITS = {Int8: 8, Int16: 16, Int32: 32, Int64: 64}


class Unusable(Exception):
    """kafka-python itself cannot write the struct: it names a type where an object must stand."""


class Values:
    """Values that are all different, so that two fields in the wrong order are found."""

    def __init__(self, elements):
        self.elements = elements
        self.count = 0

    def make(self, kind):
        self.count += 1
        if isinstance(kind, Schema):
            return tuple(self.make(field) for field in kind.fields)
        if isinstance(kind, Array):
            return [self.make(kind.array_of) for _ in range(self.elements)]
        if isinstance(kind, String):
            return f"text \u00e9 {self.count}"
        if kind is String:
            raise Unusable
        if kind is Bytes:
            return f"bytes {self.count}".encode()
        if kind is Boolean:
            return self.count % 2 == 0
        top = 1 << (BITS[kind] - 1)
        return self.count * 2654435761 % (2 * top) - top


def flat(value):
    """The values in wire order. The dump program writes bytes, also of text, as Latin-1."""
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, bytes):
        yield value.decode("latin-1")
    elif isinstance(value, str):
        yield value
    elif hasattr(value, "__iter__"):
        for one in value:
            yield from flat(one)
    else:
        yield value


def classes():
    seen = set()
    for module in pkgutil.iter_modules(kafka.protocol.__path__):
        members = vars(importlib.import_module(f"kafka.protocol.{module.name}"))
        for name, kind in sorted(members.items()):
            if not isinstance(kind, type) or "_v" not in name or kind in seen:
                continue
            if issubclass(kind, (Request, Response)):
                seen.add(kind)
                # The name holds the version; ListGroupsRequest_v2 calls itself version 1.
                yield name, kind, int(name.rsplit("_v", 1)[1])


def main():
    vectors, unusable = [], set()
    for name, kind, version in classes():
        direction = "request" if issubclass(kind, Request) else "response"
        for elements in (0, 1, 3):
            try:
                values = Values(elements).make(kind.SCHEMA)
                wire = kind.SCHEMA.encode(values).hex()
            except Unusable:
                unusable.add(name)
                continue
            vectors.append((name, values, wire, f"{kind.API_KEY} {version} {direction}"))
    lines = "".join(f"{line} {wire}\n" for _, _, wire, line in vectors)
    answers = subprocess.run([sys.argv[1]], input=lines.encode(), stdout=subprocess.PIPE,
                             check=True).stdout.decode().splitlines()
    assert len(answers) == len(vectors), "one answer a line"
    compared, unknown, different, wrong = 0, set(), 0, set()
    for (name, values, wire, _), answer in zip(vectors, answers):
        if answer.startswith("error no API ") or " has no version " in answer:
            unknown.add(name)
            continue
        status, _, rest = answer.partition(" ")
        text, _, again = rest.rpartition(" ")
        expected = [v.encode().decode("latin-1") if isinstance(v, str) else v
                    for v in flat(plain(values))]
        equal = status == "ok" and list(flat(json.loads(text))) == expected and again == wire
        if not equal and name in WRONG:
            wrong.add(name)
            continue
        compared += 1
        if not equal:
            different += 1
            print(f"{name}: {answer}\n  made of {values}\n  as {wire}")
    for name in sorted(wrong):
        print(f"left out, wrong in kafka-python: {name}: {WRONG[name]}")
    for name in sorted(set(WRONG) - wrong):
        print(f"{name} agrees: take it off the list of what kafka-python has wrong")
        different += 1
    print(f"kafka-python cannot write: {', '.join(sorted(unusable)) or 'nothing'}")
    print(f"crosscheck: {compared} messages compared, {different} differ, "
          f"{len(unknown)} struct versions are not ours")
    return 1 if different or not compared else 0


def plain(value):
    """Bytes as text whose UTF-8 they are: both are compared as bytes."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
