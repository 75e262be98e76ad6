"""Reading: from the log cache, and 4 GiB of objects beside producers."""
import os
import signal
import time

from rounds import interleave
from servers import (Failed, broker, create_topic, drop_page_cache, files_under, finish, free_port, json_of, load, metric,
                     null_broker, start_load, tool)

_LIVE_PER_S = 20_000  # the producers beside the catch-up: records of 1 KiB a second


def _from_cache(consumers):
    name = f"fetch from the log cache, {consumers} consumer{'s' if consumers > 1 else ''}"

    def run(bench):
        records = bench.scaled(800_000)
        each = records if consumers == 1 else records // 4
        admin = f"127.0.0.1:{free_port()}"
        with bench.scratch() as folder, \
                broker(os.path.join(folder, "ours"), "paceline.memory.bytes=12884901888",
                       f"paceline.admin.listen={admin}") as ours, \
                null_broker("keep", 1024) as null:
            for server in (ours, null):
                load(server, "produce", "t", 1, 1024, 64 << 10, records + 1, 1)
            time.sleep(2)  # until what was produced has been uploaded
            rounds = interleave(bench.rounds, ours=lambda: load(ours, "fetch", "t", 1, each, consumers),
                                null=lambda: load(null, "fetch", "t", 1, each, consumers))
            if misses := metric(admin, "paceline_cache_misses_total"):
                raise Failed(f"{misses:.0f} reads went to the objects")
        bench.table.compare(name, "MB/s", rounds, "mb_per_s", "null", least=0.8)
        bench.table.compare(f"CPU a GB fetched, {consumers} consumer{'s' if consumers > 1 else ''}", "CPU-s/GB", rounds,
                            "cpu_per_gb", "null", most=1.5)
    return name, run


def _uploaded(objects, floor_bytes):
    """Waits until the objects hold so many bytes and no more come."""
    last = -1
    for _ in range(120):
        size = sum(os.path.getsize(path) for path in files_under(objects))
        if size >= floor_bytes and size == last:
            return size
        last = size
        time.sleep(1)
    raise Failed(f"only {last} of {floor_bytes} bytes were uploaded")


def _catch_up(bench):
    total = (4 << 30) // (40 if bench.quick else 1)
    records, partitions = total // 1024, 16
    seconds = 3 if bench.quick else 5
    kept = 50_000 if bench.quick else 900_000
    with bench.scratch() as folder:
        mine = os.path.join(folder, "ours")
        with broker(mine, "paceline.upload.age.ms=1000") as ours:
            create_topic(ours, "old", partitions)
            load(ours, "produce", "old", partitions, 1024, 64 << 10, records, 1)
            _uploaded(os.path.join(mine, "objects"), total)
        old = files_under(os.path.join(mine, "objects"))
        live = ("live", partitions, 1024, 64 << 10, _LIVE_PER_S)
        with broker(mine) as ours, null_broker("keep", 1024, partitions=partitions) as null:  # with empty caches
            load(null, "produce", "old", partitions, 1024, 64 << 10, kept, 1)
            rate = 0.0  # of the last read

            def alone():
                return load(ours, "paced", *live, seconds)

            def beside(server, *read):
                producers = start_load(ours, "paced", *live, 120)
                time.sleep(1.2)  # its warm-up
                reader = load(server, "fetch", "old", partitions, *read)
                producers.send_signal(signal.SIGTERM)
                done = finish(producers)
                return {**done, "read_mb_per_s": reader["mb_per_s"]}

            def catch_up():
                nonlocal rate
                drop_page_cache(old)
                done = beside(ours, records, 1)
                rate = done["read_mb_per_s"]
                return done

            def reader_of_null():
                return beside(null, kept * 9 // 10, 1, f"{rate:.0f}")

            def disk():
                drop_page_cache(old)
                return json_of([tool("floor"), "read", *old])

            rounds = interleave(bench.rounds, alone=alone, ours=catch_up, null=reader_of_null, disk=disk)
    bench.table.compare("catch-up of 4 GiB from objects: producers' p99 against alone", "us", rounds, "p99_us", "alone",
                        most=1.2, note=f"producers at {_LIVE_PER_S}/s")
    bench.table.compare("catch-up of 4 GiB from objects: p99 against a reader of null", "us", rounds, "p99_us", "null",
                        most=1.2, note="the same producers beside a consumer that reads as fast from a null broker")
    bench.table.compare("catch-up of 4 GiB from objects: read against a plain sequential read", "MB/s", rounds, "read_mb_per_s",
                        "disk", least=0.5, other_key="mb_per_s")


ROWS = [_from_cache(1), _from_cache(16), ("catch-up from objects", _catch_up)]
