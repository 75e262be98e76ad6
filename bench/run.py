#!/usr/bin/env python3
"""Measures the broker beside a null broker and the machine's own floors, in one run.

Rounds alternate (ours, null, ours, null ...), the median of the ratios per round counts, and every
figure is written to build/bench.json as well. Load goes to 127.0.0.1 only and is bounded.
"""
import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build", "release")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, process, seconds=30):
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if process.poll() is not None:
            raise SystemExit(f"a server ended with {process.returncode} before it was ready")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return time.monotonic() - start
        except OSError:
            time.sleep(0.001)
    raise SystemExit("a server was not ready in time")


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    def __init__(self, command, port, banner=False):
        self.port = port
        started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE if banner else subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, text=True)
        if banner:  # the port is bound before recovery; the banner comes after it
            while not (line := self.process.stdout.readline()).startswith("Try:"):
                if not line:
                    raise SystemExit("the broker ended before it was ready")
            self.ready_s = time.monotonic() - started
        else:
            self.ready_s = wait_port(port, self.process)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def broker(folder, port, *more):
    command = [os.path.join(BUILD, "paceline"), "serve", "--data", folder, "--listen", f"127.0.0.1:{port}",
               "-o", "paceline.admin.listen=none", "-o", "num.partitions=64"]
    for option in more:
        command += ["-o", option]
    return Server(command, port, banner=True)


def null_broker(port, file=None):
    return Server([os.path.join(BUILD, "bench/bench-null-broker"), str(port), "64"] + ([file] if file else []), port)


def load(port, topic, partitions, record, batch, records, latency=False):
    command = [os.path.join(BUILD, "bench/bench-load"), f"127.0.0.1:{port}", topic, str(partitions), str(record),
               str(batch), str(records)] + (["latency"] if latency else [])
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise SystemExit(f"load failed: {done.stdout} {done.stderr[-500:]}")
    return json.loads(done.stdout)


def measured_load(server, *what, **how):
    """One load, with the server's CPU-seconds for each GB of records."""
    before = cpu_seconds(server.process.pid)
    done = load(server.port, *what, **how)
    done["cpu_per_gb"] = (cpu_seconds(server.process.pid) - before) / (done["mb_per_s"] * done["seconds"] / 1e3)
    return done


def disk_rate(folder):
    """The disk by itself: appends of 1 MiB to a written file, each with fdatasync, one after the other."""
    done = subprocess.run([os.path.join(BUILD, "bench/bench-floor"), folder, "disk"], capture_output=True, text=True,
                          check=True, timeout=120)
    return json.loads(done.stdout)


def rounds_of(rounds, **contenders):
    """Runs the contenders in turns. A list of results each."""
    results = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            results[name].append(run())
    return results


def compare(results, key, other):
    """Medians of ours, of the other, and of the ratios round by round."""
    mine = [one[key] for one in results["ours"]]
    theirs = [one[key] for one in results[other]]
    ratios = [a / b if b else 0 for a, b in zip(mine, theirs)]
    return {"ours": statistics.median(mine), other: statistics.median(theirs), "ratio": statistics.median(ratios),
            "ratio_min": min(ratios), "ratio_max": max(ratios), "rounds": len(ratios)}


def produce_row(name, results):
    """Throughput beside the null broker and beside the disk: the lower of the two is what binds."""
    null = compare(results, "mb_per_s", "null")
    disk = compare(results, "mb_per_s", "disk")
    binds = "null" if null["null"] <= disk["disk"] else "disk"
    cpu = compare(results, "cpu_per_gb", "null")
    row = {"scenario": name, "measure": "mb_per_s", **null, "disk": disk["disk"], "ratio_disk": disk["ratio"],
           "binds": binds, "cpu_per_gb": cpu["ours"], "cpu_per_gb_null": cpu["null"]}
    print(f"{name:<44} {row['ours']:>7.0f} {row['null']:>7.0f} {row['disk']:>7.0f} {row['ratio']:>9.2f}"
          f" ({row['ratio_min']:.2f}..{row['ratio_max']:.2f}) {row['ratio_disk']:>9.2f}   {binds:<5}"
          f" {row['cpu_per_gb']:>9.2f} {row['cpu_per_gb_null']:>6.2f}", flush=True)
    return row


def latency_row(name, results, key):
    row = {"scenario": name, "measure": key, **compare(results, key, "null")}
    print(f"{name}, {key}: ours {row['ours']:.0f}, null {row['null']:.0f}, ratio {row['ratio']:.2f}"
          f" ({row['ratio_min']:.2f}..{row['ratio_max']:.2f})", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one small round: does it run at all")
    parser.add_argument("--partitions", type=int, default=10_000, help="for the row of idle partitions")
    args = parser.parse_args()
    rounds = 1 if args.quick else args.rounds
    scale = 20 if args.quick else 1
    folder = tempfile.mkdtemp(prefix="bench-", dir=os.path.join(ROOT, "build"))
    rows = []
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="ascii", errors="replace")
                if line.startswith("model name")), "?")
    machine = f"{os.cpu_count()} x {cpu}, {platform.release()}, {time.strftime('%Y-%m-%d')}"
    print("machine:", machine)
    servers = []
    try:
        floor = json.loads(subprocess.run([os.path.join(BUILD, "bench/bench-floor"), folder], capture_output=True,
                                          text=True, check=True, timeout=120).stdout)
        print(f"floor: loopback {floor['loopback_mb_per_s']} MB/s, 4 KiB append + fdatasync p50 {floor['sync_4k_p50_us']} us "
              f"p99 {floor['sync_4k_p99_us']} us, 1 MiB {floor['sync_1m_mb_per_s']} MB/s")
        empty = broker(os.path.join(folder, "ours"), free_port())
        servers.append(empty)
        time.sleep(0.5)
        print(f"exec -> ready (empty) {empty.ready_s * 1000:.0f} ms, RSS idle {rss_mib(empty.process.pid):.0f} MiB")
        rows.append({"scenario": "exec to ready, empty", "ms": empty.ready_s * 1000})
        rows.append({"scenario": "RSS idle", "mib": rss_mib(empty.process.pid)})
        durable = null_broker(free_port(), os.path.join(folder, "null.dat"))
        servers.append(durable)
        dropping = null_broker(free_port())
        servers.append(dropping)
        null_rate = load(dropping.port, "warm", 1, 1024, 1 << 20, 400_000 // scale)
        share = null_rate["mb_per_s"] / floor["loopback_mb_per_s"]
        print(f"null broker (drops) {null_rate['mb_per_s']:.0f} MB/s = {share:.2f} of loopback (must not be below 0.30)")
        rows.append({"scenario": "null broker of loopback", "ratio": share})
        print("MB/s of 1 KiB records; null = the durable null broker, disk = 1 MiB append + fdatasync; CPU-seconds a GB")
        print(f"{'scenario':<44} {'ours':>7} {'null':>7} {'disk':>7} {'to null':>9} {'(min..max)':<12} {'to disk':>9}"
              f"   {'binds':<5} {'CPU ours':>9} {'null':>6}")
        records = 400_000 // scale
        for batch, name in ((16 << 10, "16 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB")):
            for partitions in (1, 64):
                what = (f"t{partitions}", partitions, 1024, batch, records)
                results = rounds_of(rounds, ours=lambda: measured_load(empty, *what),
                                    null=lambda: measured_load(durable, *what), disk=lambda: disk_rate(folder))
                rows.append(produce_row(f"produce, {name} batches, {partitions} partitions", results))
        what = ("lat", 1, 100, 1000, 2000 // scale)
        results = rounds_of(rounds, ours=lambda: load(empty.port, *what, latency=True),
                            null=lambda: load(durable.port, *what, latency=True))
        for key in ("p50_us", "p99_us"):
            rows.append(latency_row("one-record requests, one in flight", results, key))
        if not args.quick:
            many = broker(os.path.join(folder, "many"), free_port())
            servers.append(many)
            idle = rss_mib(many.process.pid)
            subprocess.run([os.path.join(BUILD, "paceline"), "topic", "create", "many", "-p", str(args.partitions), "-b",
                            f"127.0.0.1:{many.port}"], check=True, stdout=subprocess.DEVNULL, timeout=120)
            full = rss_mib(many.process.pid)
            print(f"{args.partitions} idle partitions: RSS {full:.0f} MiB, {(full - idle) * 1024 / args.partitions:.1f} KiB each")
            many.stop(signal.SIGKILL)
            again = broker(os.path.join(folder, "many"), many.port)
            servers.append(again)
            print(f"exec -> ready with {args.partitions} partitions after kill -9: {again.ready_s * 1000:.0f} ms")
            rows.append({"scenario": f"{args.partitions} partitions", "rss_mib": full, "ready_ms": again.ready_s * 1000})
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    with open(os.path.join(ROOT, "build", "bench.json"), "w", encoding="utf-8") as file:
        json.dump({"machine": machine, "floor": floor, "rows": rows}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
