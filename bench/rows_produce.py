"""Throughput: batches of each size, on disk and in memory; one record a request; small records; many partitions."""
import os

from rounds import interleave
from servers import broker, load, null_broker

SIZES = ((16 << 10, "16 KiB"), (64 << 10, "64 KiB"), (1 << 20, "1 MiB"))


def _wal_in(memory, data):
    """A data folder whose WAL lies in memory; its objects go to the disk as ever."""
    os.makedirs(data)
    os.symlink(memory, os.path.join(data, "wal"))
    return data


def _batches(bench, name, data, null_mode, batch, partitions, durable):
    records = bench.scaled(400_000 if durable else 256_000)
    what = ("t", partitions, 1024, batch, records, 1)
    with broker(data) as ours, null_broker(*null_mode) as null:
        rounds = interleave(bench.rounds, ours=lambda: load(ours, "produce", *what),
                            null=lambda: load(null, "produce", *what))
    bench.table.compare(name, "MB/s", rounds, "mb_per_s", "null", least=0.75 if durable else 0.7)
    if durable and batch == 64 << 10:
        bench.table.compare(f"CPU a GB produced, 64 KiB batches, {_told(partitions)}", "CPU-s/GB", rounds,
                            "cpu_per_gb", "null", most=1.6)


def _told(count):
    return f"{count} partition{'s' if count > 1 else ''}"


def _batch_row(name, batch, partitions, durable):
    def run(bench):
        with bench.scratch() as folder, bench.scratch(memory=not durable) as wal:
            data = os.path.join(folder, "ours")
            null = ("file", os.path.join(folder, "null.dat")) if durable else ()
            _batches(bench, name, data if durable else _wal_in(wal, data), null, batch, partitions, durable)
    return name, run


def _one_record(name, connections):
    def run(bench):
        what = ("t", 64, 100, 0, bench.scaled(60_000), connections)
        with bench.scratch() as folder, broker(os.path.join(folder, "ours")) as ours, \
                null_broker("file", os.path.join(folder, "null.dat")) as null:
            rounds = interleave(bench.rounds, ours=lambda: load(ours, "produce", *what),
                                null=lambda: load(null, "produce", *what))
        bench.table.compare(name, "1/s", rounds, "records_per_s", "null", least=0.6)
    return name, run


def _small_records(bench):
    what = ("t", 64, 100, 64 << 10, bench.scaled(2_000_000), 1)
    with bench.scratch() as folder, broker(os.path.join(folder, "ours")) as ours, \
            null_broker("file", os.path.join(folder, "null.dat")) as null:
        rounds = interleave(bench.rounds, ours=lambda: load(ours, "produce", *what),
                            null=lambda: load(null, "produce", *what))
    bench.table.compare("produce, 100 B records, 64 KiB batches, 64 partitions", "MB/s", rounds, "mb_per_s", "null",
                        least=0.7)


def _many_partitions(bench):
    records = bench.scaled(400_000)
    with bench.scratch() as folder, broker(os.path.join(folder, "many"), "num.partitions=1000") as many, \
            broker(os.path.join(folder, "one")) as one:
        rounds = interleave(bench.rounds, ours=lambda: load(many, "produce", "t", 1000, 1024, 64 << 10, records, 1),
                            one=lambda: load(one, "produce", "t", 1, 1024, 64 << 10, records, 1))
    bench.table.compare("produce, 64 KiB batches, 1,000 partitions against 1", "MB/s", rounds, "mb_per_s", "one", least=0.8)


ROWS = [_batch_row(f"produce, {told} batches, {_told(partitions)}", size, partitions, True)
        for size, told in SIZES for partitions in (1, 64)]
ROWS += [_batch_row(f"produce in memory, {told} batches, {_told(partitions)}", size, partitions, False)
         for size, told in SIZES for partitions in (1, 64)]
ROWS += [_one_record("one-record requests, 1 connection", 1), _one_record("one-record requests, 64 connections", 64),
         ("produce, 100 B records", _small_records), ("produce, 1,000 partitions", _many_partitions)]
