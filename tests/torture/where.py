"""What lies where in a data folder (docs/format/*.md): finds the places that damage.py damages.

A Place says what damage there has to lead to:

  damage   something refers to the byte: `check` must report it
  unused   padding, reserved space, what nobody reads: everything must stay intact
  limit    the formats say that it cannot be told from a torn write: the very last commit of an
           unsealed log, the very last transaction of the metadata
  any      nothing is known of the byte: if `check` is content, everything must be intact

`may_refuse`: if given, all other partitions have to be served, because the log tells commit by commit
whose records were in it.
"""
import os
import struct

PAGE = 4096
FRAME = 24 + PAGE


class Place:
    def __init__(self, kind, name, path, at=None, expected="damage", change=None, may_miss=frozenset(),
                 may_refuse=None):
        self.kind, self.name, self.path, self.at = kind, name, path, at
        self.expected, self.may_miss, self.may_refuse = expected, may_miss, may_refuse
        self.change = change  # instead of a flip: change(path)

    def apply(self, data, noise):
        path = os.path.join(data, self.path)
        if self.change:
            self.change(path)
            return self.name
        bit = 1 << noise.randrange(8)
        with open(path, "r+b") as file:
            file.seek(self.at)
            old = file.read(1)[0]
            file.seek(self.at)
            file.write(bytes([old ^ bit]))
        return f"{self.name}, byte {self.at} {old:02x}->{old ^ bit:02x}"


def append_byte(path):
    with open(path, "ab") as file:
        file.write(b"x")


def cut_half(path):
    os.truncate(path, os.path.getsize(path) // 2)


class Group:
    def __init__(self, at, data):
        self.at = at
        (self.sequence, self.position, self.durable_before, self.entries, self.body_bytes) = struct.unpack_from(
            ">QQQII", data, 20)
        self.bytes = -(-(64 + self.body_bytes) // PAGE) * PAGE
        self.offsets = set()  # (partition, offset)

    def read_entries(self, body):
        at = 0
        for _ in range(self.entries):
            partition, = struct.unpack_from(">I", body, at + 16)
            base, count = struct.unpack_from(">qI", body, at + 28)
            size, = struct.unpack_from(">I", body, at + 64)
            if body[at + 20] == 1:
                self.offsets |= {(partition, base + index) for index in range(count)}
            at += 68 + size
        assert at == self.body_bytes


def groups_of(path):
    groups, at = [], PAGE
    with open(path, "rb") as file:
        while True:
            file.seek(at)
            head = file.read(64)
            if len(head) < 64 or head[:4] != b"PLWG":
                return groups
            group = Group(at, head)
            group.read_entries(file.read(group.body_bytes))
            groups.append(group)
            at += group.bytes


def reserved_bytes(lane):
    """Of the folder of a sealed lane: how much of its first segment is behind its end; 0 without END."""
    decided, segment = os.path.join(lane, "END"), os.path.join(lane, "0000000000000001.wal")
    if not os.path.exists(decided) or not os.path.exists(segment):
        return 0
    with open(decided, "rb") as file:
        file.seek(END_FIELDS["end"][0])
        end, = struct.unpack(">Q", file.read(8))
    with open(segment, "rb") as file:
        file.seek(HEADER_FIELDS["position"][0])
        first, = struct.unpack(">Q", file.read(8))
    return os.path.getsize(segment) - PAGE - (end - first)


HEADER_FIELDS = {"magic": (0, 4), "checksum": (4, 8), "version": (8, 12), "cluster": (12, 28), "lane": (28, 40),
                 "number": (40, 48), "position": (48, 56), "sequence": (56, 64)}
GROUP_FIELDS = {"magic": (0, 4), "checksum": (4, 8), "lane": (8, 20), "sequence": (20, 28), "position": (28, 36),
                "durable before": (36, 44), "entries": (44, 48), "body bytes": (48, 52), "body checksum": (52, 56),
                "zeros": (56, 64)}
END_FIELDS = {"magic": (0, 4), "checksum": (4, 8), "version": (8, 12), "cluster": (12, 28), "lane": (28, 40),
              "end": (40, 48), "zeros": (48, 64)}


def in_fields(fields, noise, base=0):
    """One byte of each field: (name, position)."""
    return [(name, base + noise.randrange(*bounds)) for name, bounds in fields.items()]


def wal_places(data, sealed, last, noise):
    """`sealed`: a lane with END above what is in objects; `last`: the lane of the last life."""
    places = []
    for lane, what in ((sealed, "sealed lane"), (last, "open lane")):
        path = f"wal/{lane}/0000000000000001.wal"
        groups = groups_of(os.path.join(data, path))
        assert len(groups) > 6, f"{path} has only {len(groups)} groups"
        commits = [group.durable_before for group in groups]
        tail = [group for group in groups if group.durable_before == commits[-1]]
        middle = noise.sample([group for group in groups if group.durable_before != commits[-1]][1:], 3)
        for name, at in in_fields(HEADER_FIELDS, noise):
            places.append(Place("WAL segment header", f"{what}, {name}", path, at, may_refuse=frozenset()))
        places.append(Place("WAL segment header", f"{what}, unused rest", path, noise.randrange(64, PAGE), "unused"))
        for name, at in in_fields(GROUP_FIELDS, noise, middle[0].at):
            places.append(Place("WAL middle", f"{what}, group header, {name}", path, at,
                                may_refuse=partitions_of(groups, middle[0])))
        for group in middle + groups[:1]:
            name = "first group" if group is groups[0] else "group"
            body = group.at + 64 + noise.randrange(group.body_bytes)
            places.append(Place("WAL middle", f"{what}, {name}, body", path, body,
                                may_refuse=partitions_of(groups, group)))
        add_padding(places, "WAL middle", f"{what}, padding", path, middle, noise)
        expected = "damage" if lane == sealed else "limit"
        may_miss = frozenset() if lane == sealed else frozenset(set().union(*(group.offsets for group in tail)))
        for name, at in in_fields(GROUP_FIELDS, noise, tail[-1].at):
            places.append(Place("WAL tail", f"{what}, group header, {name}", path, at, expected, None, may_miss,
                                partitions_of(groups, tail[-1])))
        body = tail[-1].at + 64 + noise.randrange(tail[-1].body_bytes)
        places.append(Place("WAL tail", f"{what}, body", path, body, expected, None, may_miss,
                            partitions_of(groups, tail[-1])))
        add_padding(places, "WAL tail", f"{what}, padding", path, tail[-1:], noise)
        behind = groups[-1].at + groups[-1].bytes
        if lane != sealed:
            places.append(Place("WAL tail", f"{what}, reserved space", path, behind + noise.randrange(8 * PAGE),
                                "unused"))
        spare = f"wal/{lane}/0000000000000002.wal"
        if os.path.exists(os.path.join(data, spare)):
            places.append(Place("WAL tail", f"{what}, next segment", spare, noise.randrange(2 * PAGE), "unused"))
        if lane == sealed:
            places.append(Place("WAL tail", f"{what}, segment cut", path, None, "damage",
                                lambda file, at=tail[-1].at: os.truncate(file, at)))
            places.append(Place("WAL middle", f"{what}, segment gone", path, None, "damage", os.remove))
    return places


def partitions_of(groups, damaged):
    """Those with records in the commit of a group."""
    return frozenset(partition for group in groups if group.durable_before == damaged.durable_before
                     for partition, _ in group.offsets)


def add_padding(places, kind, name, path, groups, noise):
    for group in groups:
        if group.bytes > 64 + group.body_bytes:
            at = noise.randrange(group.at + 64 + group.body_bytes, group.at + group.bytes)
            places.append(Place(kind, name, path, at, "unused"))
            return


def lane_file_places(sealed, last, noise):
    places = []
    for name in ("LANE", "SEAL"):
        path = f"wal/{sealed}/{name}"
        places.append(Place("lane files", f"{name} with a byte in it", path, None, "unused", append_byte))
        places.append(Place("lane files", f"{name} gone, END there", path, None, "unused", os.remove))
    for name, at in in_fields(END_FIELDS, noise):
        places.append(Place("lane files", f"END, {name}", f"wal/{sealed}/END", at))
    places.append(Place("lane files", "END one byte longer", f"wal/{sealed}/END", None, "damage", append_byte))
    places.append(Place("lane files", "END cut", f"wal/{sealed}/END", None, "damage", cut_half))
    places.append(Place("lane files", "END gone: sealed anew", f"wal/{sealed}/END", None, "unused", os.remove))
    places.append(Place("lane files", "LANE of the open lane with a byte in it", f"wal/{last}/LANE", None, "unused",
                        append_byte))
    return places


OBJECT_FIELDS = {"magic": (0, 8), "version": (8, 10), "reserved": (10, 12), "cluster": (12, 28), "id": (28, 48),
                 "nonce": (48, 56), "index place": (56, 68), "directory place": (68, 80), "bytes": (80, 88),
                 "reserved 2": (88, 92), "checksum": (92, 96)}


class Object:
    def __init__(self, data, path):
        self.path = path
        with open(os.path.join(data, path), "rb") as file:
            body = file.read()
        self.index_at, self.index_bytes, self.directory_at, self.directory_bytes, self.bytes = struct.unpack_from(
            ">QIQIQ", body, 56)
        assert body[:8] == b"PCLNOBJ1" and self.bytes == len(body)
        self.checkpoint = body[self.directory_at + 26] == 1
        self.blocks = []  # (position, bytes, batches)
        count, = struct.unpack_from(">I", body, self.index_at + 26)
        for row in range(count):
            at = self.index_at + 30 + 72 * row
            position, size = struct.unpack_from(">QI", body, at + 36)
            batches, = struct.unpack_from(">I", body, at + 68)
            self.blocks.append((position, size, batches))
        self.index_fields = {"magic": (0, 4), "version": (4, 6), "id": (6, 26), "count": (26, 30),
                             "a row": (30, 30 + 72 * count), "checksum": (30 + 72 * count, 34 + 72 * count)}
        self.directory_fields = {"magic": (0, 4), "version": (4, 6), "id": (6, 26), "kind": (26, 27),
                                 "table": (31, 35), "records": (35, self.directory_bytes - 4),
                                 "checksum": (self.directory_bytes - 4, self.directory_bytes)}


def objects_of(data):
    root = os.path.join(data, "objects", "objects")
    return [Object(data, os.path.join("objects/objects", lane, name))
            for lane in sorted(os.listdir(root)) for name in sorted(os.listdir(os.path.join(root, lane)))
            if not name.startswith(".")]


def object_places(data, noise):
    objects = objects_of(data)
    checkpoints = [index for index, one in enumerate(objects) if one.checkpoint]
    newest = objects[checkpoints[-1]]
    deltas = objects[checkpoints[-1] + 1:]
    assert deltas, "no object behind the newest checkpoint"
    full = [one for one in objects if one.blocks]
    places = []
    for name, at in in_fields(OBJECT_FIELDS, noise):
        places.append(Place("object header", name, noise.choice(full).path, at))
    for _ in range(3):
        one = noise.choice(full)
        position, size, batches = noise.choice(one.blocks)
        places.append(Place("object block", "table", one.path, position + noise.randrange(44 * batches)))
        places.append(Place("object block", "batches", one.path, position + noise.randrange(44 * batches, size)))
    one = noise.choice(full)
    for name, at in in_fields(one.index_fields, noise, one.index_at):
        places.append(Place("object index", name, one.path, at))
    delta = noise.choice(deltas)
    for what, one in (("checkpoint", newest), ("delta", delta)):
        for name, at in in_fields(one.directory_fields, noise, one.directory_at):
            places.append(Place("object directory", f"{what}, {name}", one.path, at))
    one = noise.choice(full)
    places.append(Place("object footer", "magic", one.path, one.bytes - 12 + noise.randrange(8)))
    places.append(Place("object footer", "checksum", one.path, one.bytes - 4 + noise.randrange(4)))
    places.append(Place("object", "gone", noise.choice(full).path, None, "damage", os.remove))
    places.append(Place("object", "cut", noise.choice(full).path, None, "damage", cut_half))
    places.append(Place("object", "newest checkpoint gone", newest.path, None, "damage", os.remove))
    one, other = noise.sample(full, 2)

    def swap(path, data_path=other.path):
        root = path[:-len(one.path)]
        with open(os.path.join(root, data_path), "rb") as source:
            body = source.read()
        with open(path, "wb") as target:
            target.write(body)
    places.append(Place("object", "body of another one", one.path, None, "damage", swap))
    return places


class SqliteLog:
    """The frames of metadata.sqlite-wal and where its whole transactions end."""

    def __init__(self, path):
        with open(path, "rb") as file:
            body = file.read()
        self.frames = []   # (position, page number, ends a transaction)
        self.stale_at = len(body)
        for at in range(32, len(body) - FRAME + 1, FRAME):
            page, size = struct.unpack_from(">II", body, at)
            if body[at + 8:at + 16] != body[16:24]:
                self.stale_at = at
                break
            self.frames.append((at, page, size != 0))
        while self.frames and not self.frames[-1][2]:
            self.stale_at = self.frames.pop()[0]
        self.bytes = len(body)
        self.pages = {page: body[at + 24:at + FRAME] for at, page, _ in self.frames}
        self.ends = [index for index, frame in enumerate(self.frames) if frame[2]]


LOG_FIELDS = {"magic": (0, 4), "format": (4, 8), "page size": (8, 12), "round": (12, 16), "salt 1": (16, 20),
              "salt 2": (20, 24), "checksum": (24, 32)}
FRAME_FIELDS = {"page number": (0, 4), "salt 1": (8, 12), "salt 2": (12, 16), "checksum": (16, 24),
                "page": (24, FRAME)}


def sqlite_places(data, noise):
    name = "metadata.sqlite"
    log = SqliteLog(os.path.join(data, name + "-wal"))
    places = []
    kind = "SQLite log"
    for field, at in in_fields(LOG_FIELDS, noise):
        places.append(Place(kind, f"header, {field}", name + "-wal", at))
    last = log.ends[-2] + 1 if len(log.ends) > 1 else 0
    middle = noise.randrange(0, log.ends[-3]) if len(log.ends) > 3 else 0
    for field, at in in_fields(FRAME_FIELDS, noise, log.frames[middle][0]):
        places.append(Place(kind, f"middle frame, {field}", name + "-wal", at))
    if len(log.ends) > 2:
        at = log.frames[log.ends[-2]][0]
        places.append(Place(kind, "last transaction but one, commit frame, salt", name + "-wal", at + 9))
        places.append(Place(kind, "last transaction but one, commit frame, page", name + "-wal",
                            at + 24 + noise.randrange(PAGE)))
    for field, at in in_fields(FRAME_FIELDS, noise, log.frames[noise.randrange(last, len(log.frames))][0]):
        places.append(Place(kind, f"last transaction, {field}", name + "-wal", at, "limit"))
    if log.stale_at < log.bytes:
        places.append(Place(kind, "behind the last transaction", name + "-wal",
                            noise.randrange(log.stale_at, log.bytes), "unused"))
    return places + database_places(data, name, log, noise)


def database_places(data, name, log, noise):
    with open(os.path.join(data, name), "rb") as file:
        body = file.read()

    def page(number):
        return log.pages.get(number) or body[PAGE * (number - 1):PAGE * number]
    free, trunk = set(), struct.unpack_from(">I", page(1), 32)[0]
    while trunk:
        following, count = struct.unpack_from(">II", page(trunk), 0)
        free |= set(struct.unpack_from(f">{count}I", page(trunk), 8))
        trunk = following
    by_type = {}
    for number in range(1, len(body) // PAGE + 1):
        own = body[PAGE * (number - 1):PAGE * number]
        if number in log.pages:
            what = "page that is newer in the log"
        elif number in free:
            what = "free page"
        elif number == 1:
            what = "first page"
        else:
            what = {2: "inner page of an index", 10: "leaf of an index", 5: "inner page of a table",
                    13: "leaf of a table"}.get(own[0], "other page")
        by_type.setdefault(what, []).append(number)
    places = []
    for what, numbers in by_type.items():
        unused = what in ("page that is newer in the log", "free page")
        for number in noise.sample(numbers, min(len(numbers), 1 if unused else 3)):
            at = PAGE * (number - 1) + noise.randrange(PAGE)
            places.append(Place("SQLite file", f"{what} ({number})", name, at, "unused" if unused else "damage"))
    return places


def places_anywhere(data, last, count, noise):
    """Any byte of any file that has some; of a log, up to a little behind its last group."""
    files = {}
    for folder, _, names in os.walk(data):
        for path in (os.path.join(folder, name) for name in names):
            written = os.path.getsize(path)
            if path.endswith(".wal"):
                groups = groups_of(path)
                written = min(written, groups[-1].at + groups[-1].bytes + PAGE if groups else PAGE)
            if written and "events" not in path:
                name = os.path.relpath(path, data)
                files.setdefault(name.split("/")[0], []).append((name, written))
    groups = groups_of(os.path.join(data, f"wal/{last}/0000000000000001.wal"))
    may_miss = frozenset(set().union(*(group.offsets for group in groups
                                       if group.durable_before == groups[-1].durable_before)))
    places = []
    parts = sorted(files.values())  # so that many objects do not hide the one database
    for path, written in (noise.choice(noise.choice(parts)) for _ in range(count)):
        own = may_miss if path.startswith(f"wal/{last}/") else frozenset()
        places.append(Place("anywhere", path, path, noise.randrange(written), "any", None, own))
    return places
