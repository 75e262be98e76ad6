"""Interleaved rounds, and what of the machine somebody else used meanwhile."""
import os
import statistics
import time

import servers

FOREIGN_MAX = 0.08  # of all cores: a round above it is dropped and run again


def _machine():
    """(seconds of all processes, seconds stolen by the host, seconds of kernel threads) so far."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) / servers.TICKS for field in file.readline().split()[1:]]
    kernel = 0.0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                parts = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if parts[1] in ("0", "2") and name != "1":
            kernel += (int(parts[11]) + int(parts[12])) / servers.TICKS
    return fields[0] + fields[1] + fields[2], fields[7], kernel


class Watch:
    """Around one measurement: `foreign` and `steal` are shares of all cores."""

    def __enter__(self):
        self._before = (time.monotonic(), servers.own_cpu_seconds(), *_machine())
        return self

    def __exit__(self, *unused):
        began, own, busy, steal, kernel = self._before
        busy_now, steal_now, kernel_now = _machine()
        whole = max(0.01, (time.monotonic() - began) * os.cpu_count())
        others = (busy_now - busy) - (servers.own_cpu_seconds() - own) - (kernel_now - kernel)
        self.foreign = max(0.0, others / whole)
        self.steal = max(0.0, (steal_now - steal) / whole)

    @property
    def disturbed(self):
        return max(self.foreign, self.steal)


class Rounds:
    """`results[name]` has one result a round; `dropped` rounds were disturbed and run again;
    `noisy` of those that count were disturbed as well, because the machine was never quiet."""

    def __init__(self):
        self.results = {}
        self.dropped = 0
        self.noisy = 0
        self.foreign = []
        self.steal = []

    def values(self, name, key):
        return [result[key] for result in self.results[name]]

    def median(self, name, key):
        return statistics.median(self.values(name, key))

    def ratios(self, name, other, key, other_key=None):
        """Round by round, so that what both suffered from cancels out."""
        pairs = zip(self.values(name, key), self.values(other, other_key or key))
        return [a / b if b else float("inf") for a, b in pairs]


def interleave(count, **contenders):
    """Runs the contenders in turns until `count` rounds were quiet, at most twice as many in all."""
    ran = []
    for _ in range(2 * count):
        results, watches = {}, []
        for name, run in contenders.items():
            with Watch() as watch:
                results[name] = run()
            watches.append(watch)
        ran.append((max(w.disturbed for w in watches), results, max(w.foreign for w in watches),
                    max(w.steal for w in watches)))
        if sum(1 for one in ran if one[0] <= FOREIGN_MAX) == count:
            break
    kept = sorted(ran, key=lambda one: one[0])[:count]
    rounds = Rounds()
    rounds.results = {name: [one[1][name] for one in kept] for name in contenders}
    rounds.dropped = len(ran) - len(kept)
    rounds.noisy = sum(1 for one in kept if one[0] > FOREIGN_MAX)
    rounds.foreign = [one[2] for one in ran]
    rounds.steal = [one[3] for one in ran]
    return rounds
