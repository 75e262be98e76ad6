#!/usr/bin/env python3
"""Compares src/protocol/schema, field by field and version by version, with the message
descriptions inside Apache Kafka's published jars.

  messages.py [CACHE_DIR]      default .cache; the jars are fetched there by maven if missing

Ends with one line "messages: ..." and status 0 if nothing differs, 1 if something does, 2 if the
jars cannot be had.
"""
import json
import os
import re
import subprocess
import sys
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "src", "protocol"))
import generate  # noqa: E402

# The newest description of a message that still has the version is the one compared with: Kafka 4
# dropped what it no longer serves, so its last 3.x release speaks for the oldest versions.
JARS = (("kafka-clients", "4.1.0"), ("kafka-clients", "3.9.1"),
        ("kafka-group-coordinator", "4.1.0"))
TYPES = {"int8": "i8", "int16": "i16", "uint16": "u16", "int32": "i32", "uint32": "u32",
         "int64": "i64", "float64": "f64", "string": "str", "bytes": "bytes", "uuid": "uuid",
         "records": "rec", "bool": "bool"}
ENTITIES = {"topicName": "topic", "groupId": "group", "transactionalId": "txn",
            "producerId": "producer", "brokerId": "broker"}
PRIVATE_KEYS = 500  # from here on Kafka has nothing to say
# Data messages: ours by version prefix, Kafka's by name. A key record's prefix says which kind of
# record it is, and Kafka gives each kind a description of its own with the version 0.
DATA = {"ConsumerSubscription": lambda version: ("ConsumerProtocolSubscription", version),
        "ConsumerAssignment": lambda version: ("ConsumerProtocolAssignment", version),
        "OffsetCommitKey": lambda version: (
            ("LegacyOffsetCommitKey", "OffsetCommitKey")[version], 0),
        "OffsetCommitValue": lambda version: ("OffsetCommitValue", version),
        "GroupMetadataKey": lambda version: ("GroupMetadataKey", 0),
        "GroupMetadataValue": lambda version: ("GroupMetadataValue", version)}


def fetch(cache):
    """name -> list of descriptions, the newest first."""
    found = {}
    os.makedirs(cache, exist_ok=True)
    for artifact, version in JARS:
        jar = os.path.join(cache, f"{artifact}-{version}.jar")
        if not os.path.exists(jar):
            command = ["mvn", "-q", "-ntp", "-B", "dependency:copy",
                       f"-Dartifact=org.apache.kafka:{artifact}:{version}",
                       f"-DoutputDirectory={os.path.abspath(cache)}"]
            try:
                subprocess.run(command, check=True, cwd=cache)
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"messages: cannot fetch {artifact} {version}: {error}")
                sys.exit(2)
        with zipfile.ZipFile(jar) as archive:
            for name in archive.namelist():
                if name.startswith("common/message/") and name.endswith(".json"):
                    text = re.sub(r"^\s*//.*$", "", archive.read(name).decode(), flags=re.M)
                    message = json.loads(text)
                    found.setdefault(message["name"], []).append(message)
    return found


def within(text, version):
    if text in (None, "none"):
        return False
    match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
    last = float("inf") if match[2] else int(match[3] or match[1])
    return int(match[1]) <= version <= last


def snake(name):
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def plain_default(value):
    """One spelling for every way to say the same default."""
    text = str(value if value is not None else "").lower()
    if text == "none":
        text = "null"
    if text.startswith("0x"):
        text = str(int(text, 16))
    return "" if text in ("", "0", "false") else text


def theirs(fields, version, flexible, common):
    rows = []
    for f in fields:
        if not within(f.get("versions") or f.get("taggedVersions"), version):
            continue
        tagged = within(f.get("taggedVersions"), version)
        kind = f["type"].removeprefix("[]")
        struct = kind[0].isupper()
        below = f.get("fields") or (common.get(kind) if struct else None) or []
        rows.append({"name": snake(f["name"]), "array": f["type"].startswith("[]"),
                     "type": "struct" if struct else TYPES[kind],
                     "null": within(f.get("nullableVersions"), version),
                     "tag": int(f["tag"]) if tagged else None,
                     "default": plain_default(f.get("default")),
                     "ignorable": str(f.get("ignorable", False)).lower() == "true",
                     "key": bool(f.get("mapKey")), "entity": ENTITIES.get(f.get("entityType")),
                     "compact": flexible and not (
                         "flexibleVersions" in f and not within(f["flexibleVersions"], version)),
                     "fields": theirs(below, version, flexible, common)})
    return rows


def ours(fields, version, flexible):
    rows = []
    for f in fields:
        if not f.versions[0] <= version <= f.versions[1]:
            continue
        rows.append({"name": f.name, "array": f.array, "type": "struct" if f.is_struct else f.type,
                     "null": bool(f.nulls and f.nulls[0] <= version <= f.nulls[1]), "tag": f.tag,
                     "default": plain_default(f.default), "ignorable": f.ignorable, "key": f.key,
                     "entity": f.entity, "compact": flexible,
                     "fields": ours(f.fields, version, flexible)})
    return rows


def compare(mine, other, place, newest):
    """Differences of two lists of fields, as sentences. Some words hold for a field in all versions
    at once; for those only Kafka's newest description counts."""
    if [f["name"] for f in mine] != [f["name"] for f in other]:
        yield (f"{place}: fields {[f['name'] for f in mine]}, "
               f"Kafka has {[f['name'] for f in other]}")
        return
    for left, right in zip(mine, other):
        for word in left:
            if word == "fields" or not newest and word in ("ignorable", "key", "entity"):
                continue
            if left[word] != right[word]:
                yield (f"{place}.{left['name']}: {word} is {left[word]!r}, "
                       f"Kafka has {right[word]!r}")
        yield from compare(left["fields"], right["fields"], f"{place}.{left['name']}", newest)


def check(message, found):
    """(compared fields, differences) over all versions of one message of ours."""
    count, differences = 0, []
    for version in range(message.versions[0], message.versions[1] + 1):
        name, number = message.name, version
        if message.api is None:
            name, number = DATA[message.name](version)
        place = f"{message.name} version {version}"
        described = next((m for m in found.get(name, ()) if within(m["validVersions"], number)),
                         None)
        if described is None:
            differences.append(f"{place}: Kafka has no description")
            continue
        if message.api is not None and described.get("apiKey") != message.api:
            differences.append(f"{place}: key {message.api}, Kafka has {described.get('apiKey')}")
        flexible = within(described["flexibleVersions"], number)
        if flexible != (version >= message.flex):
            differences.append(f"{place}: flexible {version >= message.flex}, Kafka has {flexible}")
        common = {s["name"]: s["fields"] for s in described.get("commonStructs", ())}
        # A struct described once may be used again by its name.
        collect(described["fields"], common)
        mine = ours(message.fields, version, version >= message.flex)
        other = theirs(described["fields"], number, flexible, common)
        differences += compare(mine, other, place, described is found[name][0])
        count += fields_in(mine)
    return count, differences


def collect(fields, common):
    for f in fields:
        if f.get("fields"):
            common.setdefault(f["type"].removeprefix("[]"), f["fields"])
            collect(f["fields"], common)


def fields_in(rows):
    return sum(1 + fields_in(f["fields"]) for f in rows)


def main():
    found = fetch(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, ".cache"))
    folder = os.path.join(ROOT, "src", "protocol", "schema")
    messages = versions = fields = 0
    differences = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".txt"):
            continue
        for message in generate.parse_file(os.path.join(folder, name)).messages:
            if message.api is not None and message.api >= PRIVATE_KEYS:
                continue
            count, found_here = check(message, found)
            messages += 1
            versions += message.versions[1] - message.versions[0] + 1
            fields += count
            differences += found_here
    for line in differences:
        print(line)
    print(f"messages: {messages} messages, {versions} versions, {fields} fields compared, "
          f"{len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
