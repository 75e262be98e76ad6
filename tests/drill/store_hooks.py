"""Makes a store slow by the fault proxy in front of it (tests/stores/proxy), and fast again."""
import http.client
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "stores"))

from fault_proxy import slow_down  # noqa: E402

import hooking  # noqa: E402

FAST = {"rules": [], "to_store_bytes_per_s": 0, "from_store_bytes_per_s": 0}


def call(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", hooking.read_rig()["proxy_admin"], timeout=5)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except OSError as error:
        raise hooking.NotDone(f"the proxy: {error}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise hooking.NotDone(f"the proxy: {told}")
    return told


def setting(name, otherwise=0.0):
    return float(hooking.asked(f"SETTING_{name}") or otherwise)


def inject():
    rules = []
    if setting("ERRORS_PERCENT"):
        rules.append(slow_down(setting("ERRORS_PERCENT") / 100))
    if setting("TAIL_MS"):
        rules.append({"fault": "delay", "ms": int(setting("TAIL_MS")), "p": setting("TAIL_PERCENT", 1) / 100})
    if setting("LATENCY_MS"):
        rules.append({"fault": "delay", "ms": int(setting("LATENCY_MS"))})
    bytes_per_s = int(setting("BYTES_PER_S"))
    if not rules and not bytes_per_s:
        raise hooking.Refuse("the step has none of latency_ms, errors_percent, tail_ms, bytes_per_s")
    call("PUT", "/settings", {"rules": rules, "seed": 1, "to_store_bytes_per_s": bytes_per_s, "from_store_bytes_per_s": bytes_per_s})
    return {"rules": len(rules)}


def effective():
    """A request of the brokers has met it."""
    fired = [rule["fired"] for rule in call("GET", "/rules")]
    if fired and not any(fired):
        raise hooking.NotDone("no request has met it yet")
    return {"why": f"requests have met it: {', '.join(map(str, fired)) or 'a cap of bandwidth is set'}"}


def heal():
    call("PUT", "/settings", FAST)
    left = call("GET", "/rules")
    if left:
        raise hooking.NotDone(f"{len(left)} rules are left")
    return {"why": "the proxy lets all through as it comes"}


def status():
    return {"rules": call("GET", "/rules")}


def list_all():
    return {"store": hooking.read_rig().get("store", "")}


if __name__ == "__main__":
    hooking.run({"list": list_all, "inject": inject, "effective": effective, "heal": heal, "status": status})
