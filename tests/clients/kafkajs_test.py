#!/usr/bin/python3
"""kafkajs: gives the scenarios of kafkajs_test.js a broker each."""
import os
import subprocess
import sys

from harness import Broker, Failed, Suite, fresh

HERE = os.path.dirname(os.path.abspath(__file__))
suite = Suite("kafkajs")


def node(address, *arguments):
    done = subprocess.run(["node", "kafkajs_test.js", address, *arguments], cwd=HERE, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env={**os.environ, "PACELINE_BROKERS": str(len(suite.addresses))})
    if done.returncode:
        raise Failed(done.stdout.decode(errors="replace")[-2500:] or f"node ended with {done.returncode}")


def scenario(name, title):
    @suite.case(title, timeout=90)
    def case(address):
        node(address, name)


scenario("none", "what is produced is consumed, none")
scenario("gzip", "what is produced is consumed, gzip")
scenario("idempotent", "an idempotent producer")
scenario("kinds", "text, empty, null and 1 MiB values with keys, headers and timestamps")
scenario("rebalance", "a second member joins and leaves")
scenario("admin", "creates, describes, extends and deletes topics")
scenario("groups", "lists, describes and deletes groups")


@suite.case("commits and resumes after a stop and after kill -9", timeout=150)
def resume(unused):
    broker = Broker().start()
    try:
        for end in (broker.stop, broker.kill):
            name = fresh("resume")
            node(broker.address, "commit", name)
            end()
            broker.start()
            node(broker.address, "resume", name)
    finally:
        broker.close()


def prepare():
    """Fetches kafkajs, if it is not here yet."""
    if not os.path.isdir(os.path.join(HERE, "node_modules", "kafkajs")):
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=HERE, check=True)


if __name__ == "__main__":
    prepare()
    sys.exit(suite.main())
