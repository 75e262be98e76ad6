"""The rows: printed as they come, kept for bench.json."""
import statistics

_UNITS = {"MB/s": "{:,.0f} MB/s", "1/s": "{:,.0f}/s", "us": "{:,.0f} us", "ms": "{:,.1f} ms", "MiB": "{:,.1f} MiB",
          "KiB": "{:,.2f} KiB", "CPU-s/GB": "{:.2f} s/GB", "pauses": "{:.0f}", "x": "{:.2f} x", "count": "{:,.0f}"}


def told(value, unit):
    return "-" if value is None else _UNITS[unit].format(value)


class Table:
    def __init__(self):
        self.rows = []
        self._headed = False

    def _print(self, row):
        if not self._headed:
            print(f"{'scenario':<58} {'ours':>13} {'against':>13} {'ratio (min..max)':>20} {'target':>9} {'':<6}  "
                  f"CPU-s/GB ours/against; foreign CPU, steal of each round", flush=True)
            self._headed = True
        ratio = ""
        if row.get("ratio") is not None:
            ratio = f"{row['ratio']:.2f} ({row['ratio_min']:.2f}..{row['ratio_max']:.2f})"
        verdict = {True: "met", False: "MISSED", None: ""}[row["met"]]
        more = []
        if "cpu_per_gb" in row:
            more.append(f"CPU {row['cpu_per_gb']:.2f}/{row['cpu_per_gb_against']:.2f}")
        if row.get("foreign"):
            more.append("foreign " + " ".join(f"{100 * one:.0f}%" for one in row["foreign"])
                        + ", steal " + " ".join(f"{100 * one:.0f}%" for one in row["steal"]))
        if row.get("dropped"):
            more.append(f"{row['dropped']} dropped")
        if row.get("noisy"):
            more.append(f"{row['noisy']} of {row['rounds']} NOISY")
        if row.get("note"):
            more.append(row["note"])
        print(f"{row['scenario']:<58} {told(row['ours'], row['unit']):>13} {told(row['against'], row['unit']):>13} "
              f"{ratio:>20} {row['target']:>9} {verdict:<6}  {'; '.join(more)}", flush=True)

    def add(self, scenario, unit, ours, target="", met=None, against=None, **more):
        row = {"scenario": scenario, "unit": unit, "ours": ours, "against": against, "target": target, "met": met, **more}
        self.rows.append(row)
        self._print(row)

    def failed(self, scenario, reason):
        self.rows.append({"scenario": scenario, "failed": str(reason), "met": False})
        print(f"{scenario:<58} FAILED: {reason}", flush=True)

    def compare(self, scenario, unit, rounds, key, other, least=None, most=None, other_key=None, **more):
        """Ours beside `other`: the median of the ratios must be at least `least` or at most `most`."""
        ratios = rounds.ratios("ours", other, key, other_key)
        ratio = statistics.median(ratios)
        target, met = "", None
        if least is not None:
            target, met = f">= {least:g}", ratio >= least
        if most is not None:
            target, met = f"<= {most:g}", ratio <= most
        if key == "mb_per_s" and "cpu_per_gb" in rounds.results["ours"][0] and "cpu_per_gb" in rounds.results[other][0]:
            more["cpu_per_gb"] = rounds.median("ours", "cpu_per_gb")
            more["cpu_per_gb_against"] = rounds.median(other, "cpu_per_gb")
        self.add(scenario, unit, rounds.median("ours", key), target, met, rounds.median(other, other_key or key),
                 ratio=ratio, ratio_min=min(ratios), ratio_max=max(ratios), rounds=len(ratios), against_what=other,
                 dropped=rounds.dropped, noisy=rounds.noisy, foreign=rounds.foreign, steal=rounds.steal, **more)

    def bound(self, scenario, unit, rounds, key, most):
        """Ours alone: the median must be at most `most`."""
        values = rounds.values("ours", key)
        median = statistics.median(values)
        self.add(scenario, unit, median, f"<= {most:g}", median <= most, rounds=len(values),
                 note=f"{min(values):.1f}..{max(values):.1f}", dropped=rounds.dropped, noisy=rounds.noisy,
                 foreign=rounds.foreign, steal=rounds.steal)
