"""Latency: one record in flight beside the disk; and an open loop at 30 % of the greatest rate."""
import glob
import os
import threading
import time

from rounds import Watch, interleave
from servers import broker, finish, json_of, load, start_load, tool


def _one_in_flight(bench):
    what = ("t", 100, bench.scaled(2000))
    with bench.scratch() as folder, broker(os.path.join(folder, "ours")) as ours:
        rounds = interleave(bench.rounds, ours=lambda: load(ours, "latency", *what),
                            disk=lambda: json_of([tool("floor"), "append", folder, 4096]))
    for key in ("p50_us", "p99_us"):
        bench.table.compare(f"one record in flight, {key[:3]}, against 4 KiB append + fdatasync", "us", rounds, key, "disk",
                            most=2)


class RunQueue:
    """Samples how long the threads of some processes have waited for a core: /proc/PID/task/*/schedstat."""

    def __init__(self, *pids):
        self._pids = pids
        self._samples = []  # (time, {(pid, thread): seconds waited so far})
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._ended.is_set():
            waited = {}
            for pid in self._pids:
                for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                    try:
                        with open(path, encoding="ascii") as file:
                            waited[pid, path] = int(file.read().split()[1]) / 1e9
                    except (OSError, IndexError):
                        pass  # the thread has ended
            self._samples.append((time.monotonic(), waited))
            self._ended.wait(0.05)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *unused):
        self._ended.set()
        self._thread.join()

    def between(self, start, end):
        """The sum over the processes of what their most delayed thread waited around [start, end)."""
        before = max((s for s in self._samples if s[0] <= start), key=lambda s: s[0], default=self._samples[0])[1]
        after = min((s for s in self._samples if s[0] >= end), key=lambda s: s[0], default=self._samples[-1])[1]
        worst = {}
        for key, waited in after.items():
            worst[key[0]] = max(worst.get(key[0], 0.0), waited - before.get(key, 0.0))
        return sum(worst.values())


def _open_loop(bench):
    seconds = 5 if bench.quick else 600 if bench.long else 60
    # What is old goes, or ten minutes would fill the disk.
    with bench.scratch() as folder, broker(os.path.join(folder, "ours"), "log.retention.bytes=67108864",
                                           "log.retention.check.interval.ms=5000") as ours:
        greatest = max(load(ours, "produce", "t", 16, 1024, 64 << 10, bench.scaled(400_000), 1)["records_per_s"]
                       for _ in range(3))
        rate = round(0.3 * greatest)
        with Watch() as watch:
            client = start_load(ours, "paced", "t", 16, 1024, 64 << 10, rate, seconds)
            with RunQueue(ours.pid, client.pid) as queue:
                done = finish(client, seconds + 120)
    disturbed = {"foreign": [watch.foreign], "steal": [watch.steal]}
    name = f"open loop, 30 % of {greatest * 1024 / 1e6:.0f} MB/s, {seconds} s"
    bench.table.add(f"{name}: p99 against p50", "us", done["p99_us"], "<= 5", done["p99_us"] <= 5 * done["p50_us"],
                    done["p50_us"], ratio=done["p99_us"] / done["p50_us"], ratio_min=done["p99_us"] / done["p50_us"],
                    ratio_max=done["p99_us"] / done["p50_us"], note=f"reached {done['records_per_s']:.0f} of {rate}/s; "
                    f"client linger 1 ms", **disturbed)
    bench.table.add(f"{name}: p99.9", "us", done["p999_us"], note=f"max {done['max_us'] / 1000:.1f} ms")
    beyond = [end - start - queue.between(start, end) for start, end in done["pauses"]]
    ours_alone = sum(1 for one in beyond if one > 0.05)
    bench.table.add(f"{name}: pauses > 50 ms", "pauses", ours_alone, "<= 0", ours_alone == 0, pauses=done["pauses"],
                    beyond_run_queue_s=beyond, note=f"{len(beyond)} with the wait for a core")


ROWS = [("one record in flight", _one_in_flight), ("open loop at 30 %", _open_loop)]
