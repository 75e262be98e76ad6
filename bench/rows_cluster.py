"""Several brokers on one etcd and a shared folder: what a big cluster costs in time, bytes and transactions of etcd."""
import os
import re
import time
import urllib.request

from servers import Failed, broker, rss_mib

from rigs import started  # noqa: E402
from etcd import Etcd  # noqa: E402  (rigs has said where it is)

_COUNTERS = {"transactions": "etcd_mvcc_txn_total", "puts": "etcd_mvcc_put_total", "ranges": "etcd_mvcc_range_total",
             "sent": "etcd_network_client_grpc_sent_bytes_total", "received": "etcd_network_client_grpc_received_bytes_total"}


def _counted(etcd):
    """What etcd has counted of itself so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{etcd.clients[0]}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {name: float(re.search(rf"^{counter} (\S+)$", text, re.M).group(1)) for name, counter in _COUNTERS.items()}


class Brokers:
    """All on the same etcd, objects and log."""

    def __init__(self, etcd, folder):
        self._etcd, self._folder, self.servers = etcd, folder, {}

    def start(self, number):
        self.servers[number] = broker(
            os.path.join(self._folder, str(number)), f"node.id={number}", f"paceline.metadata={self._etcd.url('bench')}",
            f"paceline.objects=file:{self._folder}/objects", f"paceline.wal=file:{self._folder}/wal")
        return self.servers[number]

    def client(self, number=1):
        from confluent_kafka.admin import AdminClient
        return AdminClient({"bootstrap.servers": self.servers[number].address, "socket.timeout.ms": 120000, "log_level": 0})

    def stop(self):
        for server in self.servers.values():
            server.process.kill()
            server.stop()


def _create(client, name, partitions):
    from confluent_kafka.admin import NewTopic
    began = time.monotonic()
    client.create_topics([NewTopic(name, partitions, 1)], request_timeout=120, operation_timeout=100)[name].result()
    return time.monotonic() - began


def _costs(etcd, what):
    """Its result, and what etcd did until a second after it."""
    before, result = _counted(etcd), what()
    time.sleep(1)
    after = _counted(etcd)
    return result, {name: after[name] - before[name] for name in after}


def _words(cost, keys=None):
    more = f"; {keys[0] / 1e6:.2f} MB in {keys[1]} keys" if keys else ""
    return (f"etcd: {cost['transactions']:.0f} transactions of {cost['puts']:.0f} puts, {cost['received'] / 1e6:.2f} MB in, "
            f"{cost['sent'] / 1e6:.2f} MB out to all brokers{more}")


def _scale(bench):
    topics, partitions = (2, 1000) if bench.quick else (10, 10_000)
    with bench.scratch() as folder, started(Etcd(1), lambda one: (one,)) as etcd:
        brokers = Brokers(etcd, folder)
        try:
            for number in (1, 2, 3):
                brokers.start(number)
            client, took = brokers.client(), []
            for i in range(topics):
                one, cost = _costs(etcd, lambda i=i: _create(client, f"big-{i}", partitions))
                took.append(one)
            bench.table.add(f"3 brokers: a topic of {partitions:,} partitions, first", "ms", took[0] * 1000)
            bench.table.add(f"3 brokers: the {topics}th such topic", "ms", took[-1] * 1000, note=_words(cost, etcd.used_bytes()))
            most = max(rss_mib(server.pid) for server in brokers.servers.values())
            bench.table.add(f"{topics * partitions:,} partitions: RSS of a broker, at most", "MiB", most)
            joined, cost = _costs(etcd, lambda: brokers.start(4))
            bench.table.add("a fourth broker joins: exec to ready", "ms", joined.ready_s * 1000, note=_words(cost))
            began = time.monotonic()
            seen = brokers.client(4).list_topics(timeout=60)
            count = sum(len(topic.partitions) for topic in seen.topics.values())
            if count != topics * partitions:
                raise Failed(f"the fourth broker tells of {count} partitions")
            bench.table.add("it tells a client of all partitions", "ms", (time.monotonic() - began) * 1000)
        finally:
            brokers.stop()


ROWS = [("big cluster", _scale)]
