#!/usr/bin/env python3
"""Measures the broker beside a null broker and the machine's own floors, in one run.

README.md says what each row is. Load goes to 127.0.0.1 only and is bounded. As root everything runs
in a network namespace of its own, where the loopback has a congestion control that does not pace.
"""
import argparse
import contextlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rows_fetch  # noqa: E402
import rows_latency  # noqa: E402
import rows_produce  # noqa: E402
import rows_start  # noqa: E402
import servers  # noqa: E402
from table import Table  # noqa: E402

CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"
ROWS = rows_produce.ROWS + rows_latency.ROWS + rows_fetch.ROWS + rows_start.ROWS


class Bench:
    """What a row needs to know: how much to do, where, and where to put the result."""

    def __init__(self, args):
        self.quick, self.long, self.gib = args.quick, args.long, args.gib
        self.rounds = 1 if args.quick else args.rounds
        self.table = Table()

    def scaled(self, count):
        return count // 20 if self.quick else count

    @contextlib.contextmanager
    def scratch(self, memory=False):
        """A folder on the disk, or on a memory file system; removed at the end."""
        folder = tempfile.mkdtemp(prefix="paceline-bench-", dir="/dev/shm" if memory else os.path.join(servers.ROOT, "build"))
        try:
            yield folder
        finally:
            servers.remove(folder)


def enter_own_network():
    """Runs this program again in a network namespace without bbr, which paces what needs no pacing on
    a loopback. Cubic may be kept from a namespace; reno is as good where nothing is ever lost."""
    if "PACELINE_BENCH_NETWORK" in os.environ:
        return
    if subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        return
    # librdkafka looks for an IPv4 address that is not 127.0.0.1 before it resolves even that.
    script = (f"ip link set lo up && ip address add 192.0.2.1/32 dev lo; echo cubic 2>/dev/null >{CONGESTION} || echo reno >{CONGESTION}; "
              "exec \"$0\" \"$@\"")
    os.environ["PACELINE_BENCH_NETWORK"] = "own"
    os.execvp("unshare", ["unshare", "-n", "sh", "-c", script, sys.executable, *sys.argv])


def machine_line():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
    with open(CONGESTION, encoding="ascii") as file:
        congestion = file.read().strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    client = servers.json_of([servers.tool("load"), "version"])["librdkafka"]
    return (f"{os.cpu_count()} x {cpu}, {memory:.0f} GiB, Linux {platform.release()}, loopback with {congestion}, "
            f"librdkafka {client}, {time.strftime('%Y-%m-%d')}")


def floors(folder):
    append, loopback = [servers.tool("floor"), "append", folder], [servers.tool("floor"), "loopback"]
    small, big = servers.json_of([*append, 4096]), servers.json_of([*append, 1 << 20])
    rate = servers.json_of(loopback)["mb_per_s"]
    print(f"floor: loopback {rate} MB/s; append + fdatasync of 4 KiB p50 {small['p50_us']} us p99 {small['p99_us']} us, "
          f"of 1 MiB {big['mb_per_s']} MB/s")
    return {"loopback_mb_per_s": rate, "append_4k": small, "append_1m": big}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one small round of everything: does it run at all")
    parser.add_argument("--long", action="store_true", help="ten minutes of the open loop instead of one")
    parser.add_argument("--stores", action="store_true", help="a broker without a disk beside a real store instead")
    parser.add_argument("--cluster", action="store_true", help="several brokers on one etcd and a shared folder instead")
    parser.add_argument("--gib", type=float, default=4, help="what --stores reads when it catches up")
    parser.add_argument("--only", default="", metavar="PATTERN", help="the rows whose name the expression finds")
    parser.add_argument("--list", action="store_true", help="the names of the rows")
    parser.add_argument("--peer", choices=["kafka"], help="Apache Kafka and ours side by side instead")
    args = parser.parse_args()
    rows = ROWS
    if args.stores:
        import rows_stores
        rows = rows_stores.ROWS
    if args.cluster:
        import rows_cluster
        rows = rows_cluster.ROWS
    if args.list:
        print("\n".join(name for name, _ in rows))
        return 0
    if args.peer:
        import peer
        peer.kafka_jars.broker()  # before there is no network but our own
    enter_own_network()
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit("ended by a signal"))  # the servers end as well
    bench = Bench(args)
    began = time.monotonic()
    result = {"machine": machine_line(), "peer": args.peer}
    print("machine:", result["machine"], flush=True)
    try:
        if args.peer:
            result["rows"] = peer.run(bench)
        else:
            with bench.scratch() as folder:
                result["floor"] = floors(folder)
            for name, run in rows:
                if not re.search(args.only, name):
                    continue
                try:
                    run(bench)
                except (servers.Failed, subprocess.SubprocessError, OSError) as error:
                    bench.table.failed(name, error)
                    servers.stop_all()
            result["rows"] = bench.table.rows
    finally:
        servers.stop_all()
    missed = [row["scenario"] for row in bench.table.rows if row["met"] is False]
    if bench.table.rows:
        print(f"{len(bench.table.rows)} rows, {len(missed)} missed, {time.monotonic() - began:.0f} s"
              + "".join(f"\n  missed: {one}" for one in missed))
    name = next((f"bench-{kind}.json" for kind, asked in (("kafka", args.peer), ("stores", args.stores), ("cluster", args.cluster))
                 if asked), "bench.json")
    with open(os.path.join(servers.ROOT, "build", name), "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    return 1 if any("failed" in row for row in bench.table.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
