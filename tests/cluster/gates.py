#!/usr/bin/python3
"""Every case of tests/clients against three brokers, while a random partition's leader moves every two seconds, those of the
groups' offsets too. Cases that stop or kill their broker do so to all three.

  gates.py [--every S] [--clients debian|2.15] [WORD...]      WORDs choose cases by their title

librdkafka's own tests in the same way: tests/conformance/librdkafka.py --cluster.
"""
import argparse
import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time

from brokers import Brokers
from harness import binary, die_with_parent
from peers import use_librdkafka_2_15

SUITES = ("kcat_test", "confluent_test", "kafka_python_test", "kafkajs_test")


class Cluster(Brokers):
    """Three brokers in the place of one (harness.Broker), with somebody who moves leaders for as long as they run."""

    every_s, moves = 2.0, None  # 0: nobody moves; what became of each move (Moves)

    def __init__(self, settings=None, each=None):
        super().__init__(3, settings, each=each)
        self.mover = None

    @property
    def address(self):
        return self.houses[1].address

    @property
    def addresses(self):
        return [house.address for house in self.houses.values()]

    def start(self):
        if not self.houses:
            self.__enter__()
        else:
            for house in self.houses.values():
                house.start()
        if self.every_s:
            # A process of its own: cases are forks of this one, and would keep its pipes.
            self.mover = subprocess.Popen([sys.executable, __file__, "--move", ",".join(self.addresses), "--every", str(self.every_s)],
                                          stdin=subprocess.DEVNULL, stdout=self.moves and self.moves.file, preexec_fn=die_with_parent)
        return self

    def alive(self):
        """All of them, and who moves leaders."""
        return all(house.alive() for house in self.houses.values()) and (self.mover is None or self.mover.poll() is None)

    def _end(self, how):
        if self.mover is not None:
            self.mover.kill()
            self.mover.wait()
            self.mover = None
        for house in self.houses.values():
            how(house)

    def stop(self):
        self._end(lambda house: house.stop())

    def kill(self):
        self._end(lambda house: house.kill())

    def close(self):
        self.kill()
        self.__exit__()

    def tail(self, characters=500):
        mover = f" | the mover ended with {self.mover.returncode}" if self.mover is not None and self.mover.poll() is not None else ""
        return " | ".join(f"{number}: {house.tail(characters)}" for number, house in self.houses.items()) + mover


class Moves:
    """What became of the moves of every cluster that starts within `with Moves(every_s) as moves:`."""

    def __init__(self, every_s):
        self.file, Cluster.every_s, Cluster.moves = None, every_s, self

    def __enter__(self):
        self.file = tempfile.TemporaryFile()
        return self

    def __exit__(self, *unused):
        self.file.close()
        Cluster.moves = None

    def partitions(self):
        """Those that have moved, once for each time."""
        return [line.removeprefix("moved ") for line in self._lines() if line.startswith("moved ")]

    def refused(self):
        return [line for line in self._lines() if not line.startswith("moved ")]

    def _lines(self):
        # Who moves writes where this file's one position is.
        return os.pread(self.file.fileno(), 1 << 24, 0).decode(errors="replace").splitlines()

    def sentence(self):
        refused = self.refused()
        return f"{len(self.partitions())} moves, {len(refused)} refused{': ' if refused else ''}{'; '.join(refused[:3])}"

    def enough(self):
        """A topic may be deleted while one of its partitions is about to move; most are not."""
        return len(self.partitions()) > 3 * len(self.refused())


def move_all_the_time(addresses, every_s):
    """One line a move: the partition, and whether it has moved."""
    randomly = random.Random(5)
    due = time.monotonic() + every_s
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        due += every_s
        by = randomly.choice(addresses)
        listed = subprocess.run([binary(), "leader", "list", "-b", by, "--format", "json"], capture_output=True, text=True,
                                timeout=60, check=False)
        partitions = json.loads(listed.stdout)["items"] if listed.returncode == 0 else []
        if not partitions:
            continue
        one = randomly.choice(partitions)
        to = randomly.choice([number for number in range(1, len(addresses) + 1) if number != one["leader"]])
        partition = f"{one['topic']}:{one['partition']}"
        done = subprocess.run([binary(), "leader", "move", partition, "--to", str(to), "-b", by],
                              capture_output=True, text=True, timeout=90, check=False)
        print(f"moved {partition}" if done.returncode == 0 else
              f"refused {partition}: {done.stdout.strip()} {done.stderr.strip()}".replace("\n", " "), flush=True)


def main():
    parser = argparse.ArgumentParser(description="real clients while leaders move")
    parser.add_argument("--every", type=float, default=2.0)
    parser.add_argument("--clients", choices=("debian", "2.15"), default="debian")
    parser.add_argument("--move", help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    if options.move:
        return move_all_the_time(options.move.split(","), options.every)
    if options.clients == "2.15":
        use_librdkafka_2_15()
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    began, bad = time.monotonic(), 0
    with Moves(options.every) as moves:
        for name in SUITES:
            module = importlib.import_module(name)
            if hasattr(module, "prepare"):
                module.prepare()
            module.Broker = module.suite.make_broker = Cluster
            if not options.words or any(word in f"{module.suite.name}: {title}" for title, _, _ in module.suite.cases
                                        for word in options.words):
                bad += module.suite.main(options.words)
        print(f"gates: {moves.sentence()}; {time.monotonic() - began:.0f} s", flush=True)
        return 1 if bad or not moves.enough() else 0


if __name__ == "__main__":
    sys.exit(main())
