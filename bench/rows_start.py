"""Starts, and memory of what is idle."""
import os
import shutil
import signal
import time

from rounds import interleave
from servers import broker, create_topic, files_under, load, remove, rss_mib

_TAIL = 64 << 20
_NO_UPLOAD = ("paceline.upload.bytes=1073741824", "paceline.upload.age.ms=3600000")
_OBJECT = 64 << 10
_OBJECTS = 48  # the 1x of the row of retained data


def _empty(bench):
    with bench.scratch() as folder:
        count = iter(range(1000))

        def run():
            with broker(os.path.join(folder, str(next(count)))) as ours:
                time.sleep(0.3)
                return {"ms": ours.ready_s * 1000, "mib": rss_mib(ours.pid)}
        rounds = interleave(bench.rounds, ours=run)
    bench.table.bound("exec to ready, empty", "ms", rounds, "ms", 100)
    bench.table.bound("RSS idle", "MiB", rounds, "mib", 40)


def _partitions(bench):
    count = 500 if bench.quick else 10_000
    with bench.scratch() as folder:
        with broker(folder) as ours:
            time.sleep(0.3)
            idle = rss_mib(ours.pid)
            create_topic(ours, "many", count)
            time.sleep(1)
            each = (rss_mib(ours.pid) - idle) * 1024 / count
            ours.stop(signal.SIGKILL)

        def again():
            with broker(folder) as server:
                server.stop(signal.SIGKILL)
                return {"ms": server.ready_s * 1000}
        rounds = interleave(bench.rounds, ours=again)
    bench.table.bound(f"exec to ready, {count:,} partitions, after kill -9", "ms", rounds, "ms", 1000)
    bench.table.add(f"RSS of an idle partition, {count:,} of them", "KiB", each, "<= 4", each <= 4)


def _starts_of_copies(bench, folder, copy):
    """Starts on a fresh copy of the data each time, so that each finds the same tail."""
    def run():
        remove(copy)
        shutil.copytree(folder, copy)
        with broker(copy, *_NO_UPLOAD) as server:
            server.stop(signal.SIGKILL)
            return {"ms": server.ready_s * 1000}
    return run


def _leave_tail(bench, folder):
    with broker(folder, *_NO_UPLOAD) as ours:
        load(ours, "produce", "tail", 16, 1024, 64 << 10, bench.scaled(_TAIL // 1024), 1)
        ours.stop(signal.SIGKILL)


def _tail(bench):
    with bench.scratch() as folder:
        data = os.path.join(folder, "ours")
        _leave_tail(bench, data)
        rounds = interleave(bench.rounds, ours=_starts_of_copies(bench, data, os.path.join(folder, "copy")))
    bench.table.bound("exec to ready after kill -9 with a tail of 64 MiB", "ms", rounds, "ms", 1500)


def _retained(bench):
    """Many small objects rather than many bytes: a start reads what describes them, never what they hold."""
    factors = (1, 10) if bench.quick else (1, 10, 100)
    with bench.scratch() as folder:
        contenders, told = {}, []
        for factor in factors:
            data = os.path.join(folder, f"x{factor}")
            grown = factor * _OBJECTS
            with broker(data, f"paceline.upload.bytes={_OBJECT}") as ours:
                create_topic(ours, "old", 16)
                while len(files_under(os.path.join(data, "objects"))) < grown:
                    # Slowly enough that an upload finds little more than it asks for.
                    load(ours, "paced", "old", 16, 1024, 16 << 10, min(10_000, 2_200 * factor), 0.5)
            told.append(f"x{factor}: {len(files_under(os.path.join(data, 'objects')))}")
            _leave_tail(bench, data)
            contenders[f"x{factor}"] = _starts_of_copies(bench, data, os.path.join(folder, f"copy{factor}"))
        rounds = interleave(bench.rounds, **contenders)
    for factor in factors[1:]:
        rounds.results["ours"] = rounds.results[f"x{factor}"]
        bench.table.compare(f"the same start with {factor}x retained objects against 1x", "ms", rounds, "ms", "x1", most=1.1,
                            note=f"objects {', '.join(told)}")


ROWS = [("exec to ready, empty", _empty), ("10,000 partitions", _partitions), ("tail of 64 MiB", _tail),
        ("retained data", _retained)]
