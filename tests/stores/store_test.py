#!/usr/bin/python3
"""The suite of a store: what the broker relies on, and our own client's tests against it.

  store_test.py [--stores all] [--object-test BINARY] [WORD...]

By default Ceph RGW alone, which is Debian's; `all` adds Versity Gateway and moto. Status 0 if all passed.
"""
import argparse
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import contract  # noqa: E402
from ceph import Ceph  # noqa: E402
from others import Careless, Moto, Versity  # noqa: E402
from processes import ROOT, Failed, check, in_own_process  # noqa: E402

# Tests of src/object that want a real store; without PACELINE_TEST_S3 they are skipped.
REAL_STORE = "*RealS3*"


class Counted:
    def __init__(self, words):
        self.words, self.passed, self.failed, self.skipped = words, 0, 0, 0

    def case(self, title, body, timeout=180):
        if self.words and not any(word in title for word in self.words):
            return
        began = time.monotonic()
        reason = in_own_process(body, timeout)
        self.told(title, reason, time.monotonic() - began)

    def told(self, title, reason, seconds):
        if reason is None:
            self.passed += 1
            print(f"ok   {title} ({seconds:.1f} s)", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {title} ({seconds:.1f} s)\n     " + reason.strip().replace("\n", "\n     "), flush=True)

    def skip(self, title, reason):
        self.skipped += 1
        print(f"skip {title}: {reason}", flush=True)


def our_client(binary, store):
    """The tests of our own S3 client, against this store."""
    done = subprocess.run([binary, f"--gtest_filter={REAL_STORE}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=170, check=False,
                          env={**os.environ, **store.environment(), "PACELINE_TEST_S3": store.url("object-test"),
                               "PACELINE_TEST_S3_NAME": store.name})
    failed = re.findall(r"^\[  FAILED  \] (.*)$", done.stdout, re.M)
    check(done.returncode == 0, f"ended with {done.returncode}: {failed[:5] or done.stdout[-600:]}\n{done.stdout[-1500:]}")
    passed = re.search(r"\[  PASSED  \] (\d+) test", done.stdout)
    check(passed and int(passed[1]) > 0 and "[  SKIPPED ]" not in done.stdout, f"not all ran: {done.stdout[-600:]}")


def has_real_tests(binary):
    listed = subprocess.run([binary, f"--gtest_filter={REAL_STORE}", "--gtest_list_tests"], stdout=subprocess.PIPE,
                            text=True, timeout=60, check=True).stdout
    return re.search(r"^  ", listed, re.M) is not None


def suite(counted, kind, options):
    began = time.monotonic()
    try:
        if hasattr(kind, "install"):
            kind.install()
        began = time.monotonic()
        store = kind().start()
    except Failed as failed:
        counted.told(f"{kind.name}: start", str(failed), time.monotonic() - began)
        return
    ready_s = time.monotonic() - began
    try:
        for title, body in contract.CASES.items():
            if body is contract.signatures and not store.checks_signatures:
                counted.skip(f"{store.name}: {title}", "it does not")
                continue
            counted.case(f"{store.name}: {title}", lambda body=body: body(store))
        if not counted.words:
            print(f"     {store.name}: {contract.facts(store, ready_s)}", flush=True)
        title = f"{store.name}: our own client"
        if options.object_test and has_real_tests(options.object_test):
            counted.case(title, lambda: our_client(options.object_test, store))
        else:
            counted.skip(title, "there are no tests of it" if options.object_test else "no --object-test")
    finally:
        store.close()


def careless_store(counted):
    """The store for the refusals is a good one but for its flaw."""
    def overwrites():
        with Careless("ignores-if-none-match") as store:
            one = store.client()
            check([one.put_if_absent("wal/x", body).status for body in (b"1", b"2")] == [200, 200], "it is careful")
            check(one.get("wal/x").body == b"2", "it does not overwrite")
            check(one.get("wal/x", 0, 1).status == 206, "it ignores ranges as well")

    def whole():
        with Careless("ignores-range") as store:
            one = store.client()
            check([one.put_if_absent("wal/x", body).status for body in (b"12", b"2")] == [200, 412], "it overwrites as well")
            check(one.get("wal/x", 0, 1).body == b"12", "it does not ignore ranges")

    def good():
        with Careless() as store:
            for body in (contract.put_if_absent_once, contract.race, contract.ranges, contract.lists, contract.deletes):
                body(store)

    counted.case("careless: ignores If-None-Match, and nothing else", overwrites)
    counted.case("careless: ignores Range, and nothing else", whole)
    counted.case("careless: without a flaw it is as good as any", good)


def main():
    parser = argparse.ArgumentParser(description="what the broker relies on in a store")
    parser.add_argument("--stores", choices=["default", "all"], default="default")
    parser.add_argument("--object-test", default=next((path for path in (
        os.path.join(ROOT, "build", preset, "object_test") for preset in ("asan", "release", "debug")) if os.path.exists(path)), None))
    parser.add_argument("words", nargs="*", help="cases whose title contains one of these")
    options = parser.parse_args()
    counted = Counted(options.words)
    for kind in [Ceph] + ([Versity, Moto] if options.stores == "all" else []):
        suite(counted, kind, options)
    careless_store(counted)
    print(f"{counted.passed} passed, {counted.failed} failed, {counted.skipped} skipped", flush=True)
    return 1 if counted.failed or not counted.passed else 0


if __name__ == "__main__":
    sys.exit(main())
