"""What a sound cluster passes: each fault that a `paceline dev` can play, at its end green or amber."""
import os
import re

import plans
from drilling import GREEN, HERE, drill, verify
from evidence import ACKED, READ, SENT, Evidence, expect_same_load, load_of, planned_part
from harness import Failed, check, check_equal
from playing import expect_fault, nothing_lost, play, told
from targets import delete_topic, make_topic

PHASES = ["P0", "P1", "P2", "P3", "P4", "P5", "P6", "P7"]
TEST_OF = {"kill": "N1", "drain": "N1", "stop": "N1", "freeze": "N1", "storm": "N4", "zombie": "N6", "cleanup": "N7",
           "control-freeze": "N5"}


def of_plan(target, options, plan, *words, **more):
    evidence = play(target, plan, *words, *quick_words(options), **more)
    phases = list(dict.fromkeys(one["figures"]["phase"] for one in evidence.events("phase.began")))
    expected = [phase for phase in PHASES if plan != "cleanup" or phase not in ("P3", "P4", "P5")]
    check_equal(phases, expected, "the phases")
    check(evidence.state_of(TEST_OF[plan]) in ("green", "amber"), f"{TEST_OF[plan]} is {evidence.state_of(TEST_OF[plan])}")
    nothing_lost(evidence, least=1001)
    check_equal(len(evidence.report["readiness"]), 6, "items of readiness")
    return evidence


def quick_words(options):
    return [] if options.long else ["--quick"]


def kill(target, options):
    """As a user types it, within three minutes."""
    evidence = play(target, "kill", *(["--quick"] if options.quick else []), within=180)
    effect = expect_fault(evidence, "kill")
    victim = effect["figures"]["broker"]
    moved = [one for one in evidence.report["partitions"] if one["from"] == victim]
    check(moved, f"no partition of broker {victim} has moved")
    for one in moved:
        for milestone in ("t0", "t1", "t3", "t6", "t8"):
            check(one["milestones"][milestone]["state"] in ("observed", "upper_bound"),
                  f"{milestone} of {one['topic']}-{one['partition']} is {one['milestones'][milestone]}")
        check(0 < one["gap_ms"] < 20000, f"a gap of {one['gap_ms']} ms")
    check(evidence.report["gap"]["samples"] > 0, "there is no gap")
    shown(evidence)
    for row in ("capacity", "governance"):
        check(evidence.state_of(row) in ("green", "amber"), f"{row} is {evidence.state_of(row)}: {evidence.why(row)}")
    tampered(evidence)
    return told(evidence, f"{len(moved)} partitions moved")


def shown(evidence):
    """Who it was that drilled whom, how to do it again, and what was seen while it ran, on something that is no terminal."""
    run, said = evidence.run, evidence.said
    check(len(run["tool"]["build"]) == 40 and run["tool"]["build"][:12] in (run["target"]["version"] or ""),
          f"the drill is of build {run['tool']['build']}, and the brokers are {run['target']['version']}")
    check(f"librdkafka {run['tool']['librdkafka']}" in said, f"librdkafka's version is not said: {said[:300]}")
    check("transfers idempotent: the cluster" in said, "it is not said that there are no transactions")
    check(re.search(r"P2 baseline.* \| gap \d+ ms \| acked [1-9]\d* \| .* lag \d+", said), f"no figures are said: {said[:1500]}")
    check(evidence.report["reproduce"].startswith("paceline drill run kill ") and f"--seed {run['seed']}" in evidence.report["reproduce"],
          f"it is to be run again by {evidence.report['reproduce']}")


def tampered(evidence):
    """One byte of the evidence, or the verdict: verify says so. Made good, it passes again."""
    for name, change in (("ledger.bin", lambda text: text[:200] + bytes([text[200] ^ 1]) + text[201:]),
                         ("timeline.ndjson", lambda text: text.replace(b'"fault.effective"', b'"fault.invisible"', 1)),
                         ("report.json", lambda text: text.replace(b'"lost":0', b'"lost":1', 1).replace(b'"lost": 0', b'"lost": 1', 1))):
        whole = evidence.bytes(name)
        other = change(whole)
        check(other != whole, f"nothing to falsify in {name}")
        write(evidence.path(name), other)
        code, said = drill("verify", evidence.folder)
        write(evidence.path(name), whole)
        check(code not in (0, 1), f"verify ended with {code} although {name} was falsified")
        check(name in said, f"verify does not name {name}: {said[-300:]}")
    verify(evidence.folder)


def write(path, text):
    with open(path, "wb") as file:
        file.write(text)


def of_broker(fault):
    def case(target, options):
        evidence = of_plan(target, options, fault)
        expect_fault(evidence, fault)
        return told(evidence)
    return case


def storm(target, options):
    evidence = of_plan(target, options, "storm")
    done = evidence.events("refresh.done")
    check(done and done[-1]["figures"]["clients"] > 1, f"the storm has told {[one['figures'] for one in done]}")
    return told(evidence, f"{done[-1]['figures']['clients']} clients were back after {done[-1]['value']:.0f} ms")


def zombie(target, options):
    evidence = of_plan(target, options, "zombie")
    effect = expect_fault(evidence, "zombie")
    check(evidence.events("broker.fenced") or evidence.events("lane.sealed"), "nobody has fenced it")
    return told(evidence, f"broker {effect['figures']['broker']} woke up and acknowledged nothing that is lost")


def control_freeze(target, options):
    """The broker is dead for as long as nobody can write down who takes over; it is told, and all is well a moment after."""
    evidence = play(target, "control-freeze", *quick_words(options), verdicts=("green", "amber", "red"))
    effect = expect_fault(evidence, "control-freeze")
    check("the quorum stands still" in effect["figures"]["how"], f"how it was observed: {effect['figures']['how']}")
    check(evidence.state_of("N5") in ("green", "amber"), f"N5 is {evidence.state_of('N5')}")
    check(evidence.events("broker.not_fenced"), "nobody has said that it cannot be fenced")
    nothing_lost(evidence, least=1001)
    return told(evidence)


def full(target, options):
    """All faults of a dev cluster, one after the other, in one run."""
    evidence = play(target, "full", *quick_words(options), verdicts=("green", "amber", "red"), within=900)
    for fault in ("drain", "stop", "kill", "freeze", "storm", "zombie"):
        expect_fault(evidence, fault)
    for test in ("N1", "N4", "N6", "N7"):
        check(evidence.state_of(test) != "grey", f"{test} is grey")
    nothing_lost(evidence, least=1001)
    return told(evidence)


def cleanup(target, options):
    """A clean-up with a wrong topology is refused, with a list; whoever else has a topic keeps it."""
    make_topic(target, "kept")
    before = target.metadata("kept").topics["kept"]
    evidence = of_plan(target, options, "cleanup")
    refused = evidence.events("cleanup.refused")
    check(refused, "nothing was refused")
    for name in ("kept", "broker 1", "broker 2", "broker 3"):
        check(name in refused[0]["figures"]["why"], f"the refusal does not name {name}: {refused[0]['figures']['why']}")
    check_equal(evidence.state_of("N7"), "green", "N7")
    check_equal(len(target.metadata("kept").topics["kept"].partitions), len(before.partitions), "what somebody else has")
    delete_topic(target, "kept")  # or the cases after it would be refused
    return told(evidence)


def same_seed(target, options):
    """The same plan with the same seed is the same drill; with another seed it is another load."""
    runs = [play(target, "drain", "--quick", "--seed", seed) for seed in ("7", "7", "8")]
    one, two, other = runs
    check_equal(one.bytes("plan.toml"), two.bytes("plan.toml"), "plan.toml")
    for name, value in planned_part(one).items():
        check_equal(planned_part(two)[name], value, f"what is planned: {name}")
    records = expect_same_load(load_of(one), load_of(two))
    try:
        expect_same_load(load_of(one), load_of(other))
    except Failed:
        pass
    else:
        raise Failed("another seed has made the same load")
    previous = Evidence(two.folder).run["previous"]
    check(previous, "the second run does not name the first one")
    return f"{records} records are the same in two runs, and the chain of their manifests holds"


def other_commands(target, options):
    """list, plan and report, which change nothing."""
    evidence = play(target, "drain", "--quick")
    before = {name: evidence.bytes(name) for name in os.listdir(evidence.folder)}
    code, said = drill("list", "--out", os.path.dirname(evidence.folder))
    check(code == 0 and "zombie" in said and evidence.run["run_id"] in said, f"list ended with {code}: {said[-400:]}")
    code, said = drill("plan", "kill", "--owner", "the rig", environment=target.environment)
    check(code == 0 and "kill" in said, f"plan ended with {code}: {said[-400:]}")
    code, said = drill("report", evidence.folder)
    check(code == 0 and evidence.report["sentence"][:20] in " ".join(said.split()), f"report ended with {code}: {said[-400:]}")
    code, said = drill("compare", evidence.folder, evidence.folder)
    check(code == GREEN, f"compare ended with {code}: {said[-400:]}")
    after = {name: evidence.bytes(name) for name in os.listdir(evidence.folder)}
    check_equal(sorted(name for name in after if after[name] != before.get(name)), [], "files that `report` has made otherwise")
    check(not target.own_topics(), "`plan` has made topics")
    return "each says what it should, and a report made anew has the same bytes"


def freeze(target, options):
    """Clients that do not wait a minute for somebody who stands still: librdkafka's default, and then nobody's fault but theirs."""
    plan = plans.write(target, "freeze-impatient", plans.step("freeze", hold_s=15), baseline_s=6, observe_s=25,
                       load={"clients": {"socket.timeout.ms": 2000}})
    evidence = play(target, plan)
    expect_fault(evidence, "freeze")
    return told(evidence)


def outside(library, command):
    def case(target, options):
        """A client outside, on a pipe, sends and reads beside the drill's own, and what it says is judged like theirs."""
        plan = plans.write(target, "outside", plans.step("drain"), baseline_s=4, observe_s=8, load={"external": [command()]})
        evidence = play(target, plan)
        expect_fault(evidence, "drain")
        outsiders = [(index, one) for index, one in enumerate(evidence.run["clients"]) if one["kind"] == "external"]
        check_equal([one["library"] for _, one in outsiders], [library], "the clients outside")
        index, client = outsiders[0]
        check(client["version"], "it has no version")
        kinds = {kind: sum(row.kind == kind and index == (row.reader if kind == READ else row.client) for row in evidence.rows())
                 for kind in (SENT, ACKED, READ)}
        check(kinds[SENT] > 300 and kinds[ACKED] >= kinds[SENT] - 5 and kinds[READ] >= kinds[ACKED], f"its rows: {kinds}")
        errors = [one["figures"] for one in evidence.events("client.error") if one["client_id"] == client["name"]]
        check(not errors, f"it complains: {errors[:3]}")
        check(evidence.events("group.rebalanced", member=client["name"]), "nothing is told of its group")
        nothing_lost(evidence, least=1001)
        return told(evidence, f"{client['library']} {client['version']}: {kinds[ACKED]} of {kinds[SENT]} acknowledged, {kinds[READ]} read")
    return case


def in_python():
    return ["/usr/bin/python3", os.path.join(HERE, "external.py")]


def in_java():
    from peers import java_classes  # it fetches and compiles
    return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", java_classes(os.path.join(HERE, "Outside.java")), "Outside"]


CASES = {"kill": kill, **{fault: of_broker(fault) for fault in ("drain", "stop")}, "freeze": freeze, "storm": storm, "zombie": zombie,
         "control-freeze": control_freeze, "full": full,
         "a client outside: Python": outside("confluent-kafka-python", in_python), "a client outside: Java": outside("kafka-clients", in_java),
         "a clean-up is refused": cleanup, "the same seed": same_seed, "list, plan, report, compare": other_commands}
