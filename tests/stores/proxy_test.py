#!/usr/bin/python3
"""The fault proxy does each of its faults, and nothing where there is none; and it is fast.

  proxy_test.py [WORD...]

Behind it is careless.py without a flaw, or a server here that answers in unusual ways.
"""
import http.client
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fault_proxy import Proxy, expired_token, slow_down  # noqa: E402
from others import Careless  # noqa: E402
from processes import check  # noqa: E402
from store_test import Counted  # noqa: E402
from world import BAD_DAY  # noqa: E402

RESET = (ConnectionResetError, BrokenPipeError)


class Rig:
    def __init__(self):
        self.store = Careless()
        self.proxy = Proxy(self.store)

    def __enter__(self):
        self.store.start()
        self.proxy.start()
        self.direct = self.store.client()
        return self

    def __exit__(self, *unused):
        self.proxy.close()
        self.store.close()

    def client(self, **how):
        return self.store.client(port=self.proxy.port, **how)

    def count(self, kind, name="wal/"):
        return self.proxy.counters()["classes"].get(name, {}).get(kind, dict.fromkeys(
            ("requests", "answered", "faults", "ok", "errors_4xx", "errors_5xx", "broken", "bytes_in", "bytes_out"), 0))


def is_reset(call):
    try:
        answer = call()
    except RESET:
        return True
    except http.client.RemoteDisconnected:  # an orderly end without an answer
        return False
    check(False, f"it was answered: {answer}")


def status(answer, expected):
    check(answer.status == expected, f"{answer}, expected {expected}")
    return answer


def goes_through(rig):
    one, body = rig.client(), os.urandom(3_000_000)
    status(one.put_if_absent("wal/1", body), 200)
    status(one.put_if_absent("wal/1", body), 412)
    check(one.get("wal/1").body == body, "other bytes come back")
    check(one.get("wal/1", 10, 20).body == body[10:20], "other bytes of a range come back")
    check(status(one.head("wal/1"), 200).headers["content-length"] == "3000000", "head: another length")
    status(one.put("objects/x", b"y"), 200)
    status(one.get("objects/none"), 404)
    check(one.keys("wal/") == ["wal/1"], "the list is another")
    status(one.delete_many(["wal/1"]), 200)
    status(one.delete("objects/x"), 204)
    count = rig.count("put_if_absent")
    check((count["requests"], count["ok"], count["errors_4xx"], count["bytes_in"]) == (2, 1, 1, 6_000_000), f"counted {count}")
    count = rig.count("get")
    check((count["requests"], count["bytes_out"]) == (2, 3_000_010), f"counted {count}")
    check(rig.count("list")["requests"] == 1 and rig.count("get", "objects/")["errors_4xx"] == 1, "other counts")
    seen = rig.proxy.counters()
    check(seen["connections"] == 1 and seen["in_flight"] == 0 and seen["upstream_broken"] == 0, f"keep-alive: {seen}")
    kinds = [entry["kind"] for entry in rig.proxy.log()]
    check(kinds == ["put_if_absent", "put_if_absent", "get", "get", "head", "put", "get", "list", "delete_many", "delete"],
          f"logged {kinds}")


def answers(rig):
    one = rig.client()
    rig.proxy.rules(slow_down(kind="put_if_absent", key="wal/", retry_after_s=3))
    answer = status(one.put_if_absent("wal/1", bytes(1_000_000)), 503)
    check(answer.code == "SlowDown" and answer.headers["retry-after"] == "3", f"{answer} {answer.headers}")
    status(one.put_if_absent("objects/1", b"x"), 200)
    status(rig.direct.head("wal/1"), 404)
    for number, code in ((500, "InternalError"), (429, "TooManyRequests"), (409, "ConditionalRequestConflict")):
        rig.proxy.rules({"fault": "answer", "status": number, "code": code})
        check(status(one.put("wal/2", b"x"), number).code == code, code)
    rig.proxy.rules(expired_token(method="GET"))
    check(status(one.get("wal/1"), 403).code == "ExpiredToken", "the token is good")
    check(one.head("wal/1").status == 404, "HEAD is no GET")
    count = rig.count("put_if_absent")
    check((count["answered"], count["requests"], count["faults"]) == (1, 0, 1), f"counted {count}")


def resets_before(rig):
    one = rig.client()
    with rig.proxy.under({"fault": "reset", "key": "wal/", "times": 1}):
        check(is_reset(lambda: one.put_if_absent("wal/1", b"x")), "an orderly end")
        check(rig.proxy.fired() == [1], "it did not fire")
        status(rig.direct.head("wal/1"), 404)
        status(one.put_if_absent("wal/1", b"x"), 200)


def loses(rig):
    one = rig.client()
    with rig.proxy.under({"fault": "lose", "kind": "put_if_absent", "times": 1}):
        check(is_reset(lambda: one.put_if_absent("wal/1", b"x")), "an orderly end")
        check(rig.direct.get("wal/1").body == b"x", "the store has not got it")
        status(one.put_if_absent("wal/1", b"x"), 412)
    count = rig.count("put_if_absent")
    check((count["requests"], count["ok"], count["broken"]) == (2, 1, 1), f"counted {count}")


def late(rig):
    one, body = rig.client(), os.urandom(700_000)
    with rig.proxy.under({"fault": "late", "kind": "put_if_absent", "ms": 500, "times": 1}):
        check(is_reset(lambda: one.put_if_absent("wal/1", body)), "an orderly end")
        status(rig.direct.head("wal/1"), 404)
        time.sleep(0.8)
        check(rig.direct.get("wal/1").body == body, "it never came")


def cuts(rig):
    one = rig.client()
    with rig.proxy.under({"fault": "cut", "kind": "put"}):
        check(is_reset(lambda: one.put("objects/1", bytes(2_000_000))), "an orderly end")
    status(rig.direct.head("objects/1"), 404)


def damages(rig):
    one, body = rig.client(), os.urandom(400_000)
    other = os.urandom(50_000)
    rig.direct.put("objects/a", body)
    rig.direct.put("objects/b", other)
    rig.proxy.rules({"fault": "flip", "kind": "get"})
    got = one.get("objects/a").body
    different = [index for index in range(len(body)) if got[index] != body[index]]
    check(len(got) == len(body) and len(different) == 1, f"{len(different)} bytes are others")
    check(bin(got[different[0]] ^ body[different[0]]).count("1") == 1, "more than one bit")
    rig.proxy.rules({"fault": "truncate", "kind": "get"})
    try:
        one.get("objects/a")
        check(False, "all of it came")
    except http.client.IncompleteRead as short:
        check(body.startswith(short.partial), "the beginning is another")
    rig.proxy.rules({"fault": "swap", "kind": "get", "key": "a"})
    check(one.get("objects/b").body == other, "what is not meant is damaged")
    got = one.get("objects/a").body
    check(len(got) == len(body) and got[:50_000] == other, "not the other object's bytes")
    rig.proxy.rules()
    check(one.get("objects/a").body == body, "damaged without a rule")


def delays(rig):
    one = rig.client()
    for rule, has_it in (({"fault": "delay", "ms": 300}, False), ({"fault": "hold", "ms": 300}, True)):
        rig.proxy.rules(rule)
        key, told = f"wal/{rule['fault']}", []
        thread = threading.Thread(target=lambda k=key: told.append(one.put_if_absent(k, b"x").status))
        began = time.monotonic()
        thread.start()
        time.sleep(0.12)
        check((rig.direct.head(key).status == 200) == has_it, f"{rule['fault']}: in the store too early, or too late")
        thread.join()
        check(told == [200] and time.monotonic() - began >= 0.29, f"{rule['fault']} took {time.monotonic() - began:.2f} s")
    rig.proxy.rules({"fault": "delay", "ms": 200, "p": 0.05})
    took = []
    for number in range(200):
        began = time.monotonic()
        one.head(f"wal/{number}")
        took.append(time.monotonic() - began)
    slow = sum(1 for one in took if one > 0.15)
    check(2 <= slow <= 25 and slow == rig.proxy.fired()[0], f"{slow} of 200 were slow")


def chance_is_seeded(rig):
    one, told = rig.client(), []
    for _ in range(2):
        rig.proxy.rules(slow_down(0.3), seed=7)
        told.append([one.head("wal/1").status for _ in range(100)])
    check(told[0] == told[1], "the same seed gives others")
    check(10 <= told[0].count(503) <= 60, f"{told[0].count(503)} of 100")
    rig.proxy.rules(slow_down(0.3), seed=8)
    check([one.head("wal/1").status for _ in range(100)] != told[0], "another seed gives the same")
    rig.proxy.rules(slow_down(skip=2, times=3))
    check([one.head("wal/1").status for _ in range(7)] == [404, 404, 503, 503, 503, 404, 404], "skip and times")


def weak_store(rig):
    one = rig.client()
    rig.proxy.rules({"fault": "answer", "status": 404, "code": "NoSuchKey", "kind": "get", "younger_ms": 400})
    status(one.put("objects/1", b"x"), 200)
    status(one.get("objects/1"), 404)
    time.sleep(0.5)
    status(one.get("objects/1"), 200)
    for number in range(20):
        rig.direct.put(f"wal/{number:02}", b"x")
    rig.proxy.rules({"fault": "forget", "kind": "list", "share": 0.5})
    page = status(one.list("wal/"), 200)
    keys = page.texts("Key")
    check(0 < len(keys) < 20 and len(page.texts("Size")) == len(keys), f"{len(keys)} of 20 are listed")
    check(page.texts("IsTruncated") == ["false"], "the rest of the list is another")


def outages(rig):
    one = rig.client(timeout=1)
    status(one.put("wal/1", b"x"), 200)
    rig.proxy.outage("refuse")
    for _ in range(2):
        try:
            check(False, f"answered {one.head('wal/1')}")
        except OSError:
            pass
    rig.proxy.outage("")
    status(one.head("wal/1"), 200)
    rig.proxy.outage("hang")
    try:
        check(False, f"answered {one.head('wal/1')}")
    except TimeoutError:
        pass
    waiting, told = rig.client(timeout=20), []
    thread = threading.Thread(target=lambda: told.append(is_reset(lambda: waiting.head("wal/1"))))
    thread.start()
    time.sleep(0.2)
    rig.proxy.outage("")
    thread.join()
    check(told == [True], "who hung was not reset when it was over")
    status(one.head("wal/1"), 200)


def hangs_once(rig):
    one = rig.client(timeout=0.5)
    rig.proxy.rules({"fault": "hang", "kind": "put", "times": 1})
    try:
        check(False, f"answered {one.put('wal/1', b'x')}")
    except TimeoutError:
        pass
    status(rig.direct.head("wal/1"), 404)
    status(one.put("wal/1", b"x"), 200)


def bandwidth(rig):
    one, body = rig.client(), bytes(2_000_000)
    rig.proxy.bandwidth(to_store=4_000_000)
    began = time.monotonic()
    status(one.put("objects/1", body), 200)
    up = time.monotonic() - began
    rig.proxy.bandwidth(from_store=4_000_000)
    began = time.monotonic()
    check(one.get("objects/1").body == body, "other bytes")
    down = time.monotonic() - began
    rig.proxy.bandwidth()
    check(0.45 < up < 1.5 and 0.45 < down < 1.5, f"2 MB at 4 MB/s took {up:.2f} s up, {down:.2f} s down")


def client_vanishes(rig):
    """A whole request reaches the store although its client is dead; half of one does not."""
    rig.proxy.rules({"fault": "delay", "ms": 300})
    for key, sent, arrives in (("wal/whole", 5, True), ("wal/half", 3, False)):
        raw = socket.create_connection(("127.0.0.1", rig.proxy.port))
        raw.sendall(f"PUT /paceline/{key} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n".encode() + b"abcde"[:sent])
        time.sleep(0.05)
        raw.close()
        time.sleep(0.6)
        check((rig.direct.head(key).status == 200) == arrives, f"{key}: {'lost' if arrives else 'arrived'}")
    seen = rig.proxy.counters()
    check(seen["open"] == 0 and seen["in_flight"] == 0, f"left behind: {seen}")


def lone_line_ends(rig):
    """A head that stores read in more than one way goes no further: one would wait for a body that nobody has seen."""
    for end in (b"x\n", b"x\r", b"\nx\r\n"):
        with socket.create_connection(("127.0.0.1", rig.proxy.port), timeout=5) as raw:
            raw.sendall(b"PUT /paceline/wal/1 HTTP/1.1\r\nIf-None-Match: *" + end + b"Content-Length: 10\r\n\r\n")
            check(raw.recv(1000) == b"", f"{end} was answered")
    seen = rig.proxy.counters()
    check(seen["open"] == 0 and seen["in_flight"] == 0 and seen["upstream_broken"] == 0, f"left behind: {seen}")
    check(rig.count("put_if_absent")["requests"] == 0, "the store has seen one of them")


def odd_servers(rig):
    """Chunks, 100 Continue, bodies that end with the connection, heads in pieces, answers that come too early."""
    answers_of = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n7\r\n, world\r\n0\r\nA: b\r\n\r\n",
                  b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world",
                  b"HTTP/1.1 200 OK\r\n\r\nhello, world",
                  b"HTTP/1.1 403 No\r\nContent-Length: 12\r\n\r\nhello, world"]
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        for number, answer in enumerate(answers_of):
            connection = listener.accept()[0]
            text = b""
            while b"\r\n\r\n" not in text:
                text += connection.recv(1000)
            for index in range(0, len(answer), 7):
                connection.sendall(answer[index:index + 7])
                time.sleep(0.001)
            if number == 3:
                time.sleep(0.2)  # without reading the body
            connection.close()
            if number < 2:
                time.sleep(0.05)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with Proxy(listener.getsockname()[1]) as proxy:
        for number in range(4):
            one = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
            one.request("PUT", "/b/wal/1", bytes(1_000_000 if number == 3 else 10))
            answer = one.getresponse()
            check(answer.read() == b"hello, world", f"answer {number} is another")
            check(answer.status == (403 if number == 3 else 200), f"answer {number} has status {answer.status}")
            one.close()
            time.sleep(0.1)


def garbage(rig):
    """Requests in pieces, several at once, mutated, left behind, under all faults and outages: it lives and forgets them."""
    noise = random.Random(5)
    good = [b"PUT /paceline/wal/1 HTTP/1.1\r\nIf-None-Match: *\r\nContent-Length: 10\r\n\r\n0123456789",
            b"GET /paceline/wal/1 HTTP/1.1\r\nRange: bytes=0-3\r\n\r\n", b"HEAD /paceline/wal/1 HTTP/1.1\r\n\r\n",
            b"GET /paceline/?list-type=2&prefix=wal%2F HTTP/1.1\r\nConnection: close\r\n\r\n",
            b"POST /paceline/?delete HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"]
    rig.proxy.rules(*({**rule, "p": 0.3} for rule in BAD_DAY))
    for number in range(400):
        text = bytearray(b"".join(noise.choice(good) for _ in range(noise.randrange(1, 5))))
        for _ in range(noise.randrange(6) if number % 2 else 0):
            text[noise.randrange(len(text))] = noise.randrange(256)
        with socket.create_connection(("127.0.0.1", rig.proxy.port)) as one:
            one.settimeout(0.02)
            try:
                at = 0
                while at < len(text):
                    size = noise.randrange(1, 60)
                    one.sendall(text[at:at + size])
                    at += size
                one.recv(100_000)
            except OSError:
                pass
        if number % 50 == 0:
            for how in ("hang", "", "refuse", ""):
                rig.proxy.outage(how)
    end = time.monotonic() + 10  # the slowest fault lasts a second, and the machine has other work
    while (seen := rig.proxy.counters())["open"] + seen["in_flight"] > 0 and time.monotonic() < end:
        time.sleep(0.1)
    check(seen["open"] == 0 and seen["in_flight"] == 0 and seen["connections"] == 400, f"left behind: {seen}")
    check(sum(1 for fired in rig.proxy.fired() if fired) >= 10, f"few faults happened: {rig.proxy.fired()}")
    rig.proxy.rules()
    status(rig.client().put("wal/2", b"x"), 200)


def speed(rig):
    """Not a benchmark: it must only be plain that the proxy is no brake."""
    body, total = bytes(8 << 20), 60
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection = listener.accept()[0]
        buffer, text = bytearray(1 << 20), b""
        for _ in range(total):
            while b"\r\n\r\n" not in text:
                text += connection.recv(65536)
            left = len(body) - (len(text) - text.index(b"\r\n\r\n") - 4)
            while left:
                left -= connection.recv_into(buffer, min(left, len(buffer)))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            text = b""
    threading.Thread(target=serve, daemon=True).start()
    with Proxy(listener.getsockname()[1]) as proxy:
        one = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
        began = time.monotonic()
        for _ in range(total):
            one.request("PUT", "/b/wal/1", body)
            one.getresponse().read()
        took = time.monotonic() - began
        with open(f"/proc/{proxy.processes.pid('proxy')}/stat", encoding="ascii") as file:
            cpu = sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
        print(f"     {total * len(body) / took / 1e6:.0f} MB/s beside a client and a server in Python; "
              f"{cpu / (total * len(body) / 1e9):.2f} CPU-s a GB; {proxy.rss_mib():.0f} MiB", flush=True)


CASES = {"goes through and counts": goes_through, "answers 503, 500, 429, 409, expired token": answers,
         "resets before": resets_before, "loses the answer": loses, "arrives late": late, "cuts an upload": cuts,
         "flips, truncates, swaps": damages, "delays and holds": delays, "chance by seed": chance_is_seeded,
         "404 after a put, a list that forgets": weak_store, "outages": outages, "hangs once": hangs_once,
         "bandwidth": bandwidth, "a client that vanishes": client_vanishes, "odd servers": odd_servers,
         "lone line ends": lone_line_ends, "garbage": garbage, "speed": speed}


def main():
    counted = Counted(sys.argv[1:])
    for title, body in CASES.items():
        def play(body=body):
            with Rig() as rig:
                body(rig)
        counted.case(f"proxy: {title}", play, 60)
    print(f"{counted.passed} passed, {counted.failed} failed", flush=True)
    return 1 if counted.failed or not counted.passed else 0


if __name__ == "__main__":
    sys.exit(main())
