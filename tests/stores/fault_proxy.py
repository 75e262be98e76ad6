"""The fault proxy (proxy/), as tests use it:

    with Ceph() as store, Proxy(store) as proxy:
        url = store.url("prefix", port=proxy.port)
        proxy.rules({"fault": "answer", "kind": "put_if_absent", "key": "wal/", "p": 0.1})
        proxy.counters()["classes"]["wal/"]["put_if_absent"]["requests"]

Its counts, and not the broker's, are the truth for what a request costs. README.md has the table of faults.
"""
import contextlib
import http.client
import json
import os

from processes import ROOT, Failed, Processes, free_port

CLASSES = ("wal/", "objects/")


def slow_down(p=1.0, **more):
    return {"fault": "answer", "status": 503, "code": "SlowDown", "p": p, **more}


def expired_token(**more):
    return {"fault": "answer", "status": 403, "code": "ExpiredToken", **more}


class Proxy:
    def __init__(self, store, classes=CLASSES):
        """`store` has a port; its requests have the bucket first in their path."""
        self.store_port = store if isinstance(store, int) else store.port
        self.port, self.admin = free_port(), free_port()
        self.classes = classes
        self.processes = Processes()

    def start(self):
        binary = os.environ.get("PACELINE_STORE_PROXY", os.path.join(ROOT, "build", "release", "store-proxy"))
        if not os.access(binary, os.X_OK):
            raise Failed(f"there is no {binary}; ./dev build release store-proxy")
        self.processes.start("proxy", [binary, str(self.port), str(self.admin), str(self.store_port), *self.classes])
        self.processes.wait_for(lambda: "ready" in self.processes.tail("proxy"), "the proxy listens", 10)
        return self

    def rules(self, *rules, seed=1):
        """These and no others from now on; without any all goes through as it comes."""
        self._set(rules=list(rules), seed=seed)

    @contextlib.contextmanager
    def under(self, *rules, seed=1):
        self.rules(*rules, seed=seed)
        try:
            yield
        finally:
            self.rules()

    def outage(self, how):
        """"refuse": nobody listens, and who is connected is reset. "hang": all is taken, nothing is answered. "": over."""
        self._set(outage=how)

    def bandwidth(self, to_store=0, from_store=0):
        """Bytes a second; 0: as many as there are."""
        self._set(to_store_bytes_per_s=to_store, from_store_bytes_per_s=from_store)

    def counters(self):
        return self._call("GET", "/counters")

    def fired(self):
        """How often each of the rules in force has done what it says."""
        return [rule["fired"] for rule in self._call("GET", "/rules")]

    def log(self):
        """The last 20,000 requests, in the order of their ends."""
        return self._call("GET", "/log")

    def reset(self):
        self._call("POST", "/reset")

    def total(self, field, classes=None, kinds=None):
        """A sum over classes of keys and kinds of requests."""
        return sum(count[field] for name, by_kind in self.counters()["classes"].items() if classes is None or name in classes
                   for kind, count in by_kind.items() if kinds is None or kind in kinds)

    def rss_mib(self):
        return self.processes.rss_mib()

    def _set(self, **settings):
        self._call("PUT", "/settings", settings)

    def _call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=20)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            told = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise Failed(f"the proxy: {told}")
        return told

    def close(self):
        self.processes.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.close()
