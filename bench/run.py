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


def ratio_rows(name, ours, null, rounds, key, higher_is_better=True):
    ratios, mine, theirs = [], [], []
    for _ in range(rounds):
        a, b = ours(), null()
        mine.append(a[key])
        theirs.append(b[key])
        ratios.append(a[key] / b[key] if b[key] else 0)
    row = {"scenario": name, "measure": key, "ours": statistics.median(mine), "null": statistics.median(theirs),
           "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios), "rounds": rounds}
    print(f"{name:<46} {key:<14} {row['ours']:>10.1f} {row['null']:>10.1f} {row['ratio']:>7.2f}"
          f"  ({row['ratio_min']:.2f}..{row['ratio_max']:.2f})", flush=True)
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
        print(f"{'scenario':<46} {'measure':<14} {'ours':>10} {'null':>10} {'ratio':>7}")
        for batch, name in ((16 << 10, "16 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB")):
            for partitions in (1, 64):
                records = 400_000 // scale
                rows.append(ratio_rows(
                    f"produce 1 KiB, {name} batches, {partitions} partitions",
                    lambda: load(empty.port, f"t{partitions}", partitions, 1024, batch, records),
                    lambda: load(durable.port, f"t{partitions}", partitions, 1024, batch, records), rounds, "mb_per_s"))
        rows.append(ratio_rows("one-record requests, latency of one in flight",
                               lambda: load(empty.port, "lat", 1, 100, 1000, 2000 // scale, True),
                               lambda: load(durable.port, "lat", 1, 100, 1000, 2000 // scale, True), rounds, "p50_us"))
        before = cpu_seconds(empty.process.pid)
        one = load(empty.port, "cpu", 1, 1024, 1 << 20, 400_000 // scale)
        gb = one["acked"] * 1024 / 1e9
        print(f"broker CPU-seconds per GB produced {(cpu_seconds(empty.process.pid) - before) / gb:.2f}")
        rows.append({"scenario": "broker CPU-seconds per GB produced", "value": (cpu_seconds(empty.process.pid) - before) / gb})
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
