"""All that a broker without a disk stands on: etcd, a store, and the fault proxy between the broker and the store."""
import copy
import os
import shutil

from ceph import Ceph
from etcd import Etcd
from fault_proxy import Proxy, slow_down
from others import Versity

STORES = {"ceph": Ceph, "versity": Versity}

# A store on a bad day, for whole runs: what the broker is told is late, lost, refused, or nothing at all.
BAD_DAY = (slow_down(0.02),
           {"fault": "answer", "status": 500, "code": "InternalError", "p": 0.01},
           {"fault": "answer", "status": 409, "code": "ConditionalRequestConflict", "kind": "put_if_absent", "p": 0.01},
           {"fault": "lose", "kind": "put_if_absent", "p": 0.01},
           {"fault": "lose", "kind": "delete_many", "p": 0.02},
           {"fault": "late", "kind": "put_if_absent", "ms": 300, "p": 0.005},
           {"fault": "reset", "p": 0.01},
           {"fault": "cut", "kind": "put_if_absent", "p": 0.005},
           # Not of the probe: a store that fails that one is refused, and should be.
           *({"fault": damage, "kind": "get", "key": key, "p": 0.01} for damage in ("flip", "truncate", "swap")
             for key in ("wal/", "objects/")),
           {"fault": "forget", "kind": "list", "share": 0.3},
           {"fault": "delay", "ms": 400, "p": 0.02})


class World:
    """`with World() as world:`; brokers with different prefixes know nothing of each other."""

    def __init__(self, store="ceph", members=3):
        kind = STORES[store]
        if hasattr(kind, "install"):
            kind.install()
        self.store, self.etcd = kind(), Etcd(members)
        self.proxy = Proxy(self.store)
        self.client = None

    def start(self):
        try:
            for one in (self.store, self.etcd, self.proxy):
                one.start()
        except BaseException:
            self.close()
            raise
        self.client = self.store.client()  # past the proxy
        return self

    def settings(self, prefix):
        """What makes a broker one without a disk."""
        return {"paceline.metadata": self.etcd.url(prefix), "paceline.objects": self.store.url(prefix, port=self.proxy.port),
                "paceline.wal": "objects:"}

    def with_etcd(self, etcd):
        """The same store and proxy, and metadata elsewhere."""
        other = copy.copy(self)
        other.etcd = etcd
        return other

    def environment(self):
        return self.store.environment()

    def put_before(self, broker, prefix):
        """The broker, not yet started, will stand on this."""
        broker.settings.update(self.settings(prefix))
        broker.environment = self.environment()
        return broker

    def close(self):
        for one in (self.proxy, self.etcd, self.store):
            one.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.close()


def lose_disk(broker):
    """Everything that the broker has ever written beside the store. It must not run."""
    assert broker.child is None
    shutil.rmtree(os.path.join(broker.folder, "data"), ignore_errors=True)
