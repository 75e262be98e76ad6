"""What a failover costs beside time: requests and bytes at the store, and writes to etcd."""
import contextlib
import json
import os
import re
import statistics
import time
import urllib.request

from brokers import now_ms
from fault_proxy import Proxy
from harness import check
from probes import quantile

_LANE = r"([0-9a-f]{8})\.([0-9a-f]{16})"
_LOG = re.compile(rf"(?:^|/)wal/[^/]+/{_LANE}/([0-9a-f]{{16}}|end)$")
_OBJECT = re.compile(rf"(?:^|/)objects/{_LANE}/[0-9a-f]{{16}}$")
_OBJECT_HEADER = 96
_PUTS = ("put", "put_if_absent", "multipart", "part")
_KEPT = 20_000  # requests that a proxy remembers
_REST_S = 5
_MEASURED_BYTES = 128 << 20  # of plain requests of one size, at most
TAIL, SEAL, DIRECTORY, HISTORY, REST, OWN = "log of the dead", "seals", "directories", "history", "rest", "the survivors' own"


def _lane(match):
    return f"{int(match[1], 16)}.{int(match[2], 16)}"


def _p50_max(values, form):
    return f"p50 {statistics.median(values):{form}}  max {max(values):{form}}"


class Counted:
    """A store with a fault proxy before it for each broker: the proxy tells who asks, the key and the size what for. Counts stand by
    purpose: TAIL, SEAL (seals of the dead lanes and where they end), DIRECTORY, HISTORY (anything else that is read of an object),
    OWN (what a survivor puts into its own lane's log and objects: the load's, not the failover's), REST (what is not found, which is
    how an end is looked for, lists, removals)."""

    def __init__(self, store, numbers):
        self._store = store
        self._proxies = {number: Proxy(store) for number in numbers}
        self._client = store.client()  # past the proxies
        self._began = {}  # of each proxy's clock, in milliseconds of the wall clock
        self._slots = {}  # lane, number -> bytes, of all that were put
        self._directories = {}  # key of an object -> sizes of header, index and directory
        self._sizes = {TAIL: [], SEAL: [], DIRECTORY: []}
        self._rounds = []

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for proxy in self._proxies.values():
                stack.enter_context(proxy)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused):
        self._stack.close()

    def url(self, number, prefix):
        return self._store.url(prefix, port=self._proxies[number].port)

    def begin(self):
        """A round: what was asked before is forgotten, but the sizes of slots."""
        for number, proxy in self._proxies.items():
            self._log(number)
            proxy.reset()
            before = now_ms()
            self._store.client(port=proxy.port).head("clock")
            self._began[number] = (before + now_ms()) / 2 - proxy.log()[-1]["ms"]

    def _log(self, number):
        log = self._proxies[number].log()
        check(len(log) < _KEPT, "more requests than a proxy remembers")
        for entry in log:
            slot = _LOG.search(entry["key"])
            if slot and entry["kind"] == "put_if_absent" and slot[3] != "end":
                at = _lane(slot), int(slot[3], 16)
                self._slots[at] = max(self._slots.get(at, 0), entry["bytes_in"])
        return log

    def note(self, survivors, lanes, sealed, since, served):
        """Between two moments of the wall clock in ms. `lanes`: the survivors' own; `sealed`: their events of that name."""
        logs = {number: self._log(number) for number in self._proxies}
        ends = {event["lane"]: (event["figures"]["uploaded_position"], event["figures"]["end_position"]) for event in sealed}
        missing = [(lane, slot) for lane, (first, end) in ends.items() for slot in range(first, end) if (lane, slot) not in self._slots]
        check(not missing, f"nobody has seen these slots put: {missing[:3]}")
        tail = sum(self._slots[lane, slot] for lane, (first, end) in ends.items() for slot in range(first, end))
        asked = {number: {} for number in survivors}
        for number in survivors:
            for entry in logs[number]:
                if since <= self._began[number] + entry["ms"] <= served:
                    count = asked[number].setdefault(self._purpose(entry, lanes[number]), [0, 0])
                    count[0] += 1
                    count[1] += entry["bytes_in"] + entry["bytes_out"]
        self._rounds.append((tail, asked))
        return self._words(tail, asked)

    def _purpose(self, entry, own):
        key, kind = entry["key"], entry["kind"]
        log, body = _LOG.search(key), _OBJECT.search(key)
        found = log or body
        if found and kind in _PUTS and _lane(found) == own:
            return OWN
        if log and kind in _PUTS:
            self._sizes[SEAL].append(entry["bytes_in"])
            return SEAL
        if not found or kind != "get" or not 200 <= entry["status"] < 300:
            return REST
        if log:
            self._sizes[TAIL].append(entry["bytes_out"])
            return TAIL
        if entry["bytes_out"] not in self._describing(key):
            return HISTORY
        self._sizes[DIRECTORY].append(entry["bytes_out"])
        return DIRECTORY

    def _describing(self, key):
        """How many bytes of an object are no data: its header says it (docs/format/object.md)."""
        if key not in self._directories:
            header = self._client.get(key, 0, _OBJECT_HEADER).body
            self._directories[key] = (_OBJECT_HEADER, int.from_bytes(header[64:68], "big"), int.from_bytes(header[76:80], "big"))
        return self._directories[key]

    @staticmethod
    def _sum(asked, purposes):
        return sum(asked.get(purpose, (0, 0))[1] for purpose in purposes)

    _FAILOVER = TAIL, SEAL, DIRECTORY, HISTORY, REST

    def _words(self, tail, asked):
        each = [self._sum(one, self._FAILOVER) for one in asked.values()]
        parts = []
        for purpose in (*self._FAILOVER, OWN):
            count = [one[purpose] for one in asked.values() if purpose in one]
            parts.append(f"{purpose} {sum(size for _, size in count):,} B in {sum(number for number, _ in count)}")
        return (f"           store: tail {tail:,} B; {'; '.join(parts)}; of the tail {sum(each) / max(1, tail):.3f}, a survivor "
                + " ".join(f"{one / max(1, tail):.3f}" for one in each))

    def print_summary(self):
        print("store, counted at its proxies from the kill until all is served:")
        print(f"  tail not uploaded  {_p50_max([tail / 2**20 for tail, _ in self._rounds], '.2f')} MiB")
        whole = [sum(self._sum(one, self._FAILOVER) for one in asked.values()) / max(1, tail) for tail, asked in self._rounds]
        each = [self._sum(one, self._FAILOVER) / max(1, tail) for tail, asked in self._rounds for one in asked.values()]
        print(f"  bytes / tail       {_p50_max(whole, '.3f')}; a survivor {_p50_max(each, '.3f')}")
        for purpose in (*self._FAILOVER, OWN):
            counts = [[one.get(purpose, (0, 0)) for one in asked.values()] for _, asked in self._rounds]
            print(f"  {purpose:18} {_p50_max([sum(size for _, size in one) for one in counts], ',.0f')} bytes"
                  f"   {_p50_max([sum(number for number, _ in one) for one in counts], '.0f')} requests")

    def print_store_itself(self):
        """Plain requests of the sizes that were asked, one at a time, through a proxy, when the brokers have come to rest."""
        time.sleep(_REST_S)
        client = self._store.client(port=next(iter(self._proxies.values())).port)
        heads, bodies = _split(self._sizes[TAIL])
        print("the store itself, one plain request at a time through a proxy, from Python:")
        for what, verbs, sizes in (("seal", ("PUT",), self._sizes[SEAL]), ("header of a slot", ("GET",), heads),
                                   ("slot", ("GET", "PUT"), bodies), ("directory", ("GET",), self._sizes[DIRECTORY])):
            if not sizes:
                continue
            size = round(statistics.median(sizes))
            took = _plain(client, size)
            print("\n".join(f"  {verb} of {size:,} bytes ({what}): p50 {statistics.median(took[verb]):.2f}  p99 "
                            f"{quantile(took[verb], 0.99):.2f}  max {max(took[verb]):.2f} ms ({len(took[verb])} samples)"
                            for verb in verbs))


def _split(sizes):
    """A slot's header is asked for by itself, and all have one size: the smallest."""
    return [size for size in sizes if size == min(sizes)], [size for size in sizes if size > min(sizes)]


def _plain(client, size):
    """Milliseconds of PUTs of new keys, if they are absent, and of GETs of them."""
    keys = [f"plain/{size}/{number}" for number in range(max(10, min(200, _MEASURED_BYTES // size)))]
    body, took = os.urandom(size), {"PUT": [], "GET": []}
    for verb, asking in (("PUT", lambda key: client.put_if_absent(key, body)), ("GET", lambda key: client.get(key, 0, size))):
        for key in keys:
            began = time.monotonic()
            answer = asking(key)
            took[verb].append(1000 * (time.monotonic() - began))
            check(answer.status < 300, f"{verb}: {answer}")
    client.delete_many(keys)
    return took


def _ask(etcd, **fields):
    """All keys, or those that the fields leave."""
    body = json.dumps({"key": "AA==", "range_end": "AA==", **fields}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{etcd.clients[0]}/v3/kv/range", body, timeout=10) as answer:
        return json.load(answer)


def revision_of(etcd):
    return int(_ask(etcd, limit=1)["header"]["revision"])


class Writes:
    """What is written to etcd: each transaction that changes something is one revision."""

    def __init__(self, etcd):
        self._etcd, self._rounds = etcd, []

    def note(self, before, fenced, served):
        """`before`: the revision before the kill; `fenced`: the events of that name; `served`: the revision when all was."""
        revisions = [event["figures"]["revision"] for event in fenced]
        self._rounds.append((len(set(revisions)), [self._changed(one) for one in revisions],
                             [event["figures"].get("attempts", 1) for event in fenced], max(revisions) - before, served - before))

    def _changed(self, revision):
        """How many keys it put or removed."""
        now = _ask(self._etcd, revision=revision, min_mod_revision=revision, max_mod_revision=revision, keys_only=True)
        put = now.get("kvs", [])
        made = sum(one["create_revision"] == one["mod_revision"] for one in put)
        removed = int(_ask(self._etcd, revision=revision - 1, limit=1)["count"]) + made - int(now["count"])
        return len(put) + removed

    def print_summary(self):
        writes, keys, attempts, until_fence, until_served = zip(*self._rounds)
        print(f"etcd: writes that fence {_p50_max(writes, '.0f')}, keys in one {_p50_max(sum(keys, []), '.0f')}, attempts "
              f"{_p50_max(sum(attempts, []), '.0f')}; all writes from the kill to the fence {_p50_max(until_fence, '.0f')}, until all is "
              f"served {_p50_max(until_served, '.0f')}")
