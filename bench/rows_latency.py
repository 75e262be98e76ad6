"""Latency: one record in flight beside the disk; and an open loop at 30 % of the greatest rate."""
import glob
import mmap
import os
import time

from rigs import harness
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


class RunQueue(harness.Beside):
    """Samples how long the threads of some processes have waited for a core: /proc/PID/task/*/schedstat."""

    def __init__(self, *pids):
        super().__init__()
        self._pids = pids
        self._samples = []  # (time, {(pid, thread): seconds waited so far})

    def run(self):
        while not self.ended.is_set():
            waited = {}
            for pid in self._pids:
                for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                    try:
                        with open(path, encoding="ascii") as file:
                            waited[pid, path] = int(file.read().split()[1]) / 1e9
                    except (OSError, IndexError):
                        pass  # the thread has ended
            self._samples.append((time.monotonic(), waited))
            self.ended.wait(0.05)

    def between(self, start, end):
        """The sum over the processes of what their most delayed thread waited around [start, end)."""
        before = max((s for s in self._samples if s[0] <= start), key=lambda s: s[0], default=self._samples[0])[1]
        after = min((s for s in self._samples if s[0] >= end), key=lambda s: s[0], default=self._samples[-1])[1]
        worst = {}
        for key, waited in after.items():
            worst[key[0]] = max(worst.get(key[0], 0.0), waited - before.get(key, 0.0))
        return sum(worst.values())


class DiskProbe(harness.Beside):
    """Overwrites and syncs a block of a file of its own every 20 ms: how long the disk takes for it, whoever
    keeps it busy. Neither the file's size nor its extents change, so no journal is waited for."""

    BLOCK = 4096

    def __init__(self, folder):
        super().__init__()
        self._path = os.path.join(folder, "probe")
        self._syncs = []  # (begun, ended)

    def run(self):
        block = mmap.mmap(-1, self.BLOCK)  # aligned, as O_DIRECT wants it
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
        try:
            os.pwritev(file, [block], 0)
            os.fsync(file)
            while not self.ended.is_set():
                begun = time.monotonic()
                os.pwritev(file, [block], 0)
                os.fdatasync(file)
                self._syncs.append((begun, time.monotonic()))
                self.ended.wait(0.02)
        finally:
            os.close(file)

    def between(self, start, end):
        """How long the slowest sync took of those that were under way in [start, end)."""
        return max((ended - begun for begun, ended in self._syncs if begun < end and ended > start), default=0.0)

    def quantile_us(self, share):
        took = sorted(ended - begun for begun, ended in self._syncs)
        return 1e6 * took[min(len(took) - 1, int(share * len(took)))] if took else 0.0


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
            with RunQueue(ours.pid, client.pid) as queue, DiskProbe(folder) as disk:
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
    slow_disk = [disk.between(start, end) for start, end in done["pauses"]]
    note = f"{len(beyond)} with the wait for a core"
    if beyond:
        note += "; a sync of another file meanwhile: " + ", ".join(f"{1000 * one:.0f}" for one in slow_disk) + \
            f" ms (p50 {disk.quantile_us(0.5) / 1000:.2f}, p99.9 {disk.quantile_us(0.999) / 1000:.1f})"
    bench.table.add(f"{name}: pauses > 50 ms", "pauses", ours_alone, "<= 0", ours_alone == 0, pauses=done["pauses"],
                    beyond_run_queue_s=beyond, disk_s=slow_disk, note=note)


ROWS = [("one record in flight", _one_in_flight), ("open loop at 30 %", _open_loop)]
