"""A broker without a disk: against plain requests to the same store in the same round, and what its data costs.

The store is a Ceph RGW in memory behind the fault proxy, which counts. Both contenders go through the proxy.
"""
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time

import servers
from rounds import interleave
from servers import Failed, broker, create_topic, finish, free_port, load, metric, remove, start_json, start_load, tool

from rigs import started  # noqa: E402
from world import World  # noqa: E402  (rigs has said where it is)

_MIB, _GIB = 1 << 20, 1 << 30
_LIVE_PER_S = 5_000  # the producers beside a catch-up: records of 1 KiB a second
_RANGE = 8 * _MIB
_CONNECTIONS = 4
_SOON = "paceline.upload.age.ms=500"  # while data is made


@contextlib.contextmanager
def world():
    """etcd, store and proxy."""
    with started(World(), lambda here: (here.store, here.etcd, here.proxy)) as here:
        os.environ.update(here.environment())
        yield here


class House:
    """A broker on the world; its folder is removed whenever it ends."""

    def __init__(self, here, folder, prefix, *options):
        self.world, self.folder, self.prefix = here, folder, prefix
        self.admin = f"127.0.0.1:{free_port()}"
        self.options = [f"{key}={value}" for key, value in here.settings(prefix).items()]
        self.options += [f"paceline.admin.listen={self.admin}", *options]
        self.server = None

    def start(self):
        remove(self.folder)
        self.server = broker(self.folder, *self.options)
        return self.server

    def kill(self):
        self.server.stop(signal.SIGKILL)

    def settle(self, seconds=60):
        """Until everything is uploaded."""
        end = time.monotonic() + seconds
        while metric(self.admin, "paceline_unuploaded_bytes") > 0:
            if time.monotonic() > end:
                raise Failed("not everything was uploaded")
            time.sleep(0.2)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.server.stop()


def _start_put(here, size, count, connections, per_second=None):
    """Plain PUTs, of keys that are given once."""
    command = [tool("store"), "put", here.proxy.port, "paceline", "plain", size, count, connections]
    return start_json(command + ([per_second] if per_second else []))


def _finish_put(here, process):
    """Its figures; the store, which is memory, is rid of what all have put that ended before."""
    done, client = finish(process), here.store.client()
    keys = client.keys("plain/")
    for at in range(0, len(keys), 1000):
        client.delete_many(keys[at:at + 1000])
    return done


def _put(here, *what):
    return _finish_put(here, _start_put(here, *what))


def _get(here, keys):
    """Plain ranged GETs of (key, bytes)."""
    process = servers.start([tool("store"), "get", str(here.proxy.port), "paceline", str(_RANGE), str(_CONNECTIONS)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write("".join(f"{key} {size}\n" for key, size in keys))
    process.stdin.close()
    process.stdin = None  # communicate() must not write to it
    return finish(process)


def _objects(here, prefix):
    """(key, bytes) of the objects, past the proxy."""
    client, found, after = here.store.client(), [], None
    while True:
        page = client.list(f"{prefix}/objects/", after)
        if page.status != 200:
            raise Failed(f"list: {page}")
        keys = page.texts("Key")
        found += zip(keys, map(int, page.texts("Size")))
        if page.texts("IsTruncated") != ["true"]:
            return found
        after = keys[-1]


def _put_once(here, kind):
    """(how many, bytes of one on average) of the PUTs of that kind."""
    puts = here.proxy.total("requests", [kind], ["put_if_absent"])
    if not puts:
        raise Failed(f"nothing was put into {kind}")
    return puts, round(here.proxy.total("bytes_in", [kind], ["put_if_absent"]) / puts)


def _wal_put_bytes(here):
    return _put_once(here, "wal/")[1]


def _produce(bench):
    what = ("t", 64, 1024, 64 << 10, bench.scaled(400_000), 1)
    with bench.scratch() as folder, world() as here, House(here, os.path.join(folder, "ours"), "produce") as ours:
        def produce():
            here.proxy.reset()
            done = load(ours, "produce", *what)
            done["put_mb"] = here.proxy.total("bytes_in") / 1e6
            done["wal_put_bytes"] = _wal_put_bytes(here)
            return done
        size = max(_MIB, produce()["wal_put_bytes"])  # warms up as well
        rounds = interleave(bench.rounds, ours=produce,
                            plain=lambda: _put(here, size, max(8, bench.scaled(400 * _MIB // size)), _CONNECTIONS))
    stored = statistics.median(one["put_mb"] / (one["bytes"] / 1e6) for one in rounds.results["ours"])
    bench.table.compare("produce through the WAL on objects against plain PUTs", "MB/s", rounds, "mb_per_s", "plain",
                        note=f"PUTs of {size / _MIB:.1f} MiB x {_CONNECTIONS}; {stored:.2f} bytes put a byte produced meanwhile")


def _idle(bench):
    count = bench.scaled(1500)
    with bench.scratch() as folder, world() as here, House(here, os.path.join(folder, "ours"), "idle") as ours:
        load(ours, "latency", "t", 4096, 100)
        here.proxy.reset()
        load(ours, "latency", "t", 4096, 100)
        size = _wal_put_bytes(here)
        rounds = interleave(bench.rounds, ours=lambda: load(ours, "latency", "t", 4096, count),
                            put=lambda: _put(here, size, count, 1))
    bench.table.compare("one record in flight, p50, against one PUT of the same size", "us", rounds, "p50_us", "put", most=1.25,
                        note=f"PUT of {size} bytes")
    bench.table.compare("one record in flight, p99, against one PUT of the same size", "us", rounds, "p99_us", "put")


def _half(bench):
    seconds = 4 if bench.quick else 10
    with bench.scratch() as folder, world() as here, House(here, os.path.join(folder, "ours"), "half") as ours:
        greatest = max(load(ours, "produce", "t", 16, 1024, 64 << 10, bench.scaled(300_000), 1)["records_per_s"] for _ in range(2))
        rate = round(greatest / 2)
        shape = {}

        def paced():
            here.proxy.reset()
            began = time.monotonic()
            done = load(ours, "paced", "t", 16, 1024, 64 << 10, rate, seconds)
            took = time.monotonic() - began
            for name, kind in (("log", "wal/"), ("objects", "objects/")):
                puts, size = _put_once(here, kind)
                shape[name] = size, puts / took
            return done

        def log_puts():
            size, per_s = shape["log"]
            return size, max(20, round(per_s * seconds)), 16, per_s

        def both():
            """What the store does for us: the uploads' PUTs as well, a mebibyte each at most, so that they come evenly."""
            size, per_s = shape["objects"]
            pieces = max(1, round(size / _MIB))
            uploads = _start_put(here, size // pieces, max(1, round(per_s * pieces * seconds)), 4, per_s * pieces)
            log = _start_put(here, *log_puts())
            done = finish(log)
            _finish_put(here, uploads)
            return done
        paced()
        rounds = interleave(bench.rounds, ours=paced, put=lambda: _put(here, *log_puts()), both=both)
    what = f"latency at 50 % of {greatest * 1024 / 1e6:.0f} MB/s"
    for key, most in (("p50_us", 1.5), ("p99_us", None)):
        name = key[:3]
        bench.table.compare(f"{what}, {name}, against the log's PUTs alone", "us", rounds, key, "put", most=most,
                            note=f"{shape['log'][1]:.0f}/s of {shape['log'][0] / 1024:.0f} KiB; client linger 1 ms")
        bench.table.compare(f"{what}, {name}, against the log's PUTs beside as many bytes of uploads", "us", rounds, key, "both",
                            note=f"{shape['objects'][1] * shape['objects'][0] / 1e6:.0f} MB/s of uploads")


def _catch_up(bench):
    total = round(bench.gib * _GIB) // (40 if bench.quick else 1)
    records, partitions, seconds = total // 1024, 16, 3 if bench.quick else 8
    with bench.scratch() as folder, world() as here:
        house = House(here, os.path.join(folder, "ours"), "catch-up", _SOON)
        with house as ours:
            create_topic(ours, "old", partitions)
            for _ in range(16):  # in steps, so that the store can let go of the log that is trimmed
                load(ours, "produce", "old", partitions, 1024, 64 << 10, records // 16, 1)
                house.settle(120)
            house.kill()
            house.options.remove(_SOON)
            server = house.start()  # with empty caches
            live = ("live", partitions, 1024, 64 << 10, _LIVE_PER_S)

            def beside(other):
                """The producers' figures, and those of what runs beside them."""
                producers = start_load(server, "paced", *live, 300)
                time.sleep(1.2)  # its warm-up
                done = other()
                producers.send_signal(signal.SIGTERM)
                return {**finish(producers), "beside_mb_per_s": done["mb_per_s"], "beside_cpu": done.get("cpu_per_gb")}

            def read():
                return load(server, "fetch", "old", partitions, records // 16 * 16, 1)

            def get():
                # What compaction has replaced goes meanwhile: they are listed anew each time.
                return _get(here, _objects(here, house.prefix))

            rounds = interleave(bench.rounds, alone=lambda: load(server, "paced", *live, seconds), ours=lambda: beside(read),
                                plain=lambda: beside(get), get=get)
            left = len(_objects(here, house.prefix))
    told = f"{total / _GIB:.1f} GiB"
    bench.table.compare(f"catch-up of {told} from the store: read against plain ranged GETs", "MB/s", rounds, "beside_mb_per_s", "get",
                        least=0.8, other_key="mb_per_s", note=f"{left} objects; GETs of {_RANGE // _MIB} MiB x {_CONNECTIONS}; "
                        f"{rounds.median('ours', 'beside_cpu'):.2f} CPU-s a GB read")
    bench.table.compare(f"catch-up of {told} from the store: read against those GETs beside the producers", "MB/s", rounds,
                        "beside_mb_per_s", "plain")
    bench.table.compare(f"catch-up of {told} from the store: producers' p99 against alone", "us", rounds, "p99_us", "alone", most=1.2,
                        note=f"producers at {_LIVE_PER_S}/s")
    bench.table.compare(f"catch-up of {told} from the store: producers' p99 against beside plain GETs", "us", rounds, "p99_us", "plain")


def _puts(here, classes=None):
    return here.proxy.total("requests", classes, ("put", "put_if_absent", "part", "multipart"))


def _quiet(here, seconds, patience):
    """Until nothing has been put for so long."""
    last, since, end = -1, time.monotonic(), time.monotonic() + patience
    while time.monotonic() - since < seconds and time.monotonic() < end:
        if (now := here.proxy.total("bytes_in")) != last:
            last, since = now, time.monotonic()
        time.sleep(0.5)


def _cost(mib_per_s):
    name = f"cost at {mib_per_s} MiB/s"

    def run(bench):
        seconds = (6 if bench.quick else 120) if mib_per_s == 1 else (4 if bench.quick else 40)
        # What an age of upload rounds up is told by the rate of 1 MiB/s, as by default.
        with bench.scratch() as folder, world() as here:
            house = House(here, os.path.join(folder, "ours"), "cost")
            with house as ours:
                create_topic(ours, "t", 64)
                before = here.etcd.used_bytes("/cost/")
                here.proxy.reset()
                done = load(ours, "paced", "t", 64, 1024, 64 << 10, mib_per_s * 1024, seconds)
                # The first second is a warm-up that is not counted, but was produced.
                gib = mib_per_s * _MIB * (seconds + 1) / _GIB
                house.settle()
                # Compaction goes on meanwhile; the proxy cannot tell its objects from others.
                compacted = metric(house.admin, 'paceline_objects_bytes_total{purpose="compaction",direction="out"}')
                early = (_puts(here), _puts(here, ["wal/"]), here.proxy.total("bytes_in") - compacted)
                if early[2] < gib * _GIB:
                    raise Failed(f"{early[2]} bytes were put, and {gib * _GIB:.0f} produced")
                _quiet(here, 5 if bench.quick else 30, 20 if bench.quick else 180)
                late = (_puts(here), here.proxy.total("bytes_in"), here.proxy.total("requests"))
                after = here.etcd.used_bytes("/cost/")
        told = f"{mib_per_s} MiB/s for {seconds} s"
        bench.table.add(f"{name}: bytes put a byte produced, when all is uploaded", "x", early[2] / gib / _GIB, "<= 2.2",
                        early[2] / gib / _GIB <= 2.2, note=f"{told}, 64 partitions; p50 {done['p50_us'] / 1000:.1f} ms; "
                        f"{compacted / _MIB:.1f} MiB of compaction meanwhile are not in it")
        bench.table.add(f"{name}: bytes put a byte produced, when compaction is quiet", "x", late[1] / gib / _GIB, "<= 3.3",
                        late[1] / gib / _GIB <= 3.3)
        bench.table.add(f"{name}: PUTs a GiB produced, when all is uploaded", "count", early[0] / gib, note=f"{early[1] / gib:.0f} of the log")
        bench.table.add(f"{name}: PUTs a GiB produced, when compaction is quiet", "count", late[0] / gib,
                        note=f"{late[2] / gib:.0f} requests of all kinds")
        bench.table.add(f"{name}: metadata a GiB retained", "KiB", (after[0] - before[0]) / 1024 / gib,
                        note=f"{after[1] - before[1]} keys; {after[0]} bytes of keys and values in all")
    return name, run


def _restart(bench):
    """A start reads what describes the objects, never what they hold. No data folder survives."""
    base = 8 * _MIB
    factors = (1, 10) if bench.quick else (1, 10, 100)
    with bench.scratch() as folder, world() as here:
        contenders, told = {}, []
        for factor in factors:
            house = House(here, os.path.join(folder, f"x{factor}"), f"x{factor}", "paceline.upload.bytes=262144", _SOON)
            with house as ours:
                create_topic(ours, "old", 16)
                load(ours, "produce", "old", 16, 1024, 64 << 10, factor * base // 1024, 1)
                house.settle(300)
                _quiet(here, 3, 120)
                house.kill()
            objects = _objects(here, house.prefix)
            told.append(f"x{factor}: {len(objects)} objects, {sum(size for _, size in objects) / _MIB:.0f} MiB")

            def start(house=house):
                server = house.start()
                time.sleep(1.5)  # its first upload, so that the next start finds no more than this one
                house.kill()
                return {"ms": server.ready_s * 1000}
            contenders[f"x{factor}"] = start
        rounds = interleave(bench.rounds, **contenders)
    for factor in factors[1:]:
        rounds.results["ours"] = rounds.results[f"x{factor}"]
        bench.table.compare(f"exec to ready without a disk, {factor}x retained data against 1x", "ms", rounds, "ms", "x1", most=1.1,
                            note="; ".join(told))


ROWS = [("produce through the WAL on objects", _produce), ("latency over one PUT, idle", _idle),
        ("latency over one PUT, at 50 %", _half), ("catch-up from the store", _catch_up), _cost(1), _cost(50),
        ("restart without a disk", _restart)]
