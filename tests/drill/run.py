#!/usr/bin/python3
"""`paceline drill` end to end: real clusters, real faults, and the verdicts that they have to get. README.md has the table.

  run.py [--quick] [--only WORDS] [--kills N] [--long]    --quick: what ./dev test plays
  run.py --kafka      the same plan on Paceline and on Apache Kafka, and docs/drill-example/ made anew; --only 'Kafka: ...' for more of it
  run.py --planted    brokers with a bug, which are built first
  run.py --list
"""
import argparse
import os
import sys
import time

from drilling import binary, keep  # first: it says where other modules are

import bad
import ended
import good
import foreign
import planted
from network import enter
from playing import check
from rig import Table
from targets import DevTarget, entered


class Shared:
    """One `paceline dev` for cases that leave it as it was; a case that fails takes it along."""

    def __init__(self):
        self.target = self.around = None

    def play(self, body, options):
        if self.target is None:
            self.around = entered(DevTarget())
            self.target = self.around.__enter__()
            self.target.shared = True
        try:
            return body(self.target, options)
        except BaseException:
            kept = keep(self.target)
            print(f"      all runs on this cluster: {kept}", flush=True)
            self.give_up()
            raise

    def give_up(self):
        if self.target is not None:
            self.target.__exit__(None, None, None)
        self.target = self.around = None

    def leave(self):
        if self.target is not None:
            around, self.target = self.around, None
            around.__exit__(None, None, None)


def cases_of(options):
    """(title, body, whether it shares the cluster)."""
    if options.planted:
        return [(title, body, False) for title, body in planted.CASES.items()]
    if options.kafka:
        return [(title, body, False) for title, body in {**foreign.KAFKA, **(foreign.KAFKA_MORE if options.only else {})}.items()]
    if options.quick:
        chosen = {"kill": good.kill, "sabotage": bad.sabotage, **ended.QUICK}
        return [(title, body, True) for title, body in chosen.items()]
    shared = {**good.CASES, **bad.CASES, **ended.CASES}
    alone = {**bad.ALONE, **ended.ALONE, **foreign.CASES}
    return [(title, body, True) for title, body in shared.items()] + [(title, body, False) for title, body in alone.items()]


def production(options):
    """It leaves a topic that is nobody's, so it has a cluster of its own."""
    with entered(DevTarget()) as target:
        return ended.production_topic(target, options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true", help="plans in their full length")
    parser.add_argument("--only", default="", help="cases whose title has all of these words; several such, with commas between them")
    parser.add_argument("--kills", type=int, default=3, help="how often a drill is killed in each fault")
    parser.add_argument("--kafka", action="store_true")
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    cases = cases_of(options)
    if not (options.quick or options.kafka or options.planted):
        cases.append(("refused: a production topic", lambda _, given: production(given), False))
    wanted = [case for case in cases if any(all(word in case[0] for word in group.split()) for group in options.only.split(","))]
    if options.list:
        print("\n".join(title for title, _, _ in wanted))
        return 0
    check(wanted, f"no case has '{options.only}' in its title")
    if options.kafka:
        foreign.KafkaTarget.prepare()  # before there is no network but our own
    if any(title in foreign.NEED_NETWORK for title, _, _ in wanted):
        enter()
    began, table, shared = time.monotonic(), Table("drill"), Shared()
    print(f"drill: {binary()}, evidence of what fails: {os.environ.get('PACELINE_DRILL_KEPT', '/tmp/paceline-drill-kept')}", flush=True)
    for title, body, shares in wanted:
        table.case(title, (lambda: shared.play(body, options)) if shares else (lambda: body(None, options)))
    if shared.target is not None:
        table.case("what is left", lambda: shared.leave() or "no process, no folder")
    return table.finish(began)


if __name__ == "__main__":
    sys.exit(main())
