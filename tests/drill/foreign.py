"""The same drill on Paceline and on Apache Kafka; and what cuts networks and slows stores."""
import json
import os
import re
import shutil
import tempfile
import urllib.request

import plans
from drilling import ROOT, Drill, drill
from evidence import Evidence
from harness import check, check_equal
from kafka_target import VERSION, KafkaTarget
from network import Network
from peers import with_librdkafka_2_15
from playing import expect_fault, nothing_lost, play, told
from secured_kafka import TOPIC, USERS, SecuredKafka, expect_log_bytes
from targets import DevTarget, entered, needs_root

EXAMPLE = os.path.join(ROOT, "docs", "drill-example")
COMMAND = "tests/drill/run.py --kafka"
# What any cluster can be asked, and any fault has: not all of them say something of their storage, or move leaders.
ROWS = {"rows": ["leaders", "business", "rollback"]}
FOREIGN_VERDICTS = ("green", "amber", "red")


def same_plan(target, options):
    seconds = {"baseline_s": 5, "observe_s": 15} if options.quick else {"baseline_s": 15, "observe_s": 30}
    return plans.write(target, "drain-and-kill", plans.step("drain"), plans.step("kill"), requires=ROWS, load={"value_bytes": 256},
                       **seconds)


def compared(_, options):
    """Whatever Kafka's verdict is: it is not ours to be green there, but all has to be told, and to be healed."""
    folders = {}
    with entered(DevTarget()) as target:
        ours = play(target, same_plan(target, options), "--seed", "1", verdicts=FOREIGN_VERDICTS, within=300)
        folders["paceline"] = keep(target, ours)
        with entered(KafkaTarget()) as kafka:
            theirs = play(kafka, same_plan(kafka, options), "--seed", "1", verdicts=FOREIGN_VERDICTS, within=300, whole=False)
            kafka.wait_whole()
            check(not kafka.own_topics(), f"topics are left: {kafka.own_topics()}")
            folders["kafka"] = keep(target, theirs)
            expect_told(theirs)
        check_equal(ours.run["plan"]["sha256"], theirs.run["plan"]["sha256"], "the hash of the plan")
        page = os.path.join(target.home, "compare.html")
        code, said = drill("compare", folders["paceline"], folders["kafka"], "--page", page)
        check_equal(code, 0, f"the code of compare, which said {said[-500:]}")
        check("kafka" in said.lower() and "paceline" in said.lower(), f"compare names neither: {said[-500:]}")
        if options.kafka:
            write_example(folders, page, said)
    return f"Paceline: {ours.report['sentence']}; Kafka {VERSION}: {theirs.report['sentence']}"


def keep(target, evidence):
    """The run, where it outlives its cluster."""
    kept = os.path.join(target.home, "kept", evidence.run["run_id"])
    shutil.copytree(evidence.folder, kept, dirs_exist_ok=True)
    return kept


def expect_told(evidence):
    """Of the death of a broker of Kafka: all that a foreign cluster can be asked, and what its own log knows."""
    check(evidence.report["external_only"], "it is not said that this is evidence from outside")
    expect_fault(evidence, "kill")
    moved = [one for one in evidence.report["partitions"]
             if one["step"] == "kill" and one["milestones"]["t0"]["state"] == "observed"]
    check(moved, "no partition has moved")
    for milestone, states in (("t1", ("observed",)), ("t2", ("observed",)), ("t3", ("observed", "upper_bound")), ("t6", ("observed",)),
                              ("t8", ("observed",)), ("t4", ("not_observable",)), ("t5", ("not_observable",))):
        seen = {one["milestones"][milestone]["state"] for one in moved}
        check(seen <= set(states), f"{milestone} is {seen}")
    # What nobody can see of a planned move is not something that has not come.
    drained = {one["milestones"][milestone]["state"] for one in evidence.report["partitions"] if one["step"] == "drain"
               for milestone in ("t2", "t4", "t5")}
    check(drained <= {"not_observable", "not_concerned"}, f"of the drain: {drained}")
    told_once(evidence)
    check_equal([one["figures"]["outcome"] for one in evidence.events("action.done", action="load.transactions")], ["in transactions"],
                "the transfers")
    check_equal([one["transactional"] for one in evidence.run["clients"] if one["name"] == "transfers"], [True], "the transfers")


def told_once(evidence):
    """The log is asked twice, and says each thing once."""
    said = [(one["type"], one["topic"], one["partition"], one["leader_epoch"] or one["t_wall"]) for one in evidence.events()
            if one["source"] == "hook"]
    check(said and len(said) == len(set(said)), f"of {len(said)} lines of the hooks' log {len(set(said))} are different")
    of_hooks = [one for one in evidence.report["clock"]["contradictions"] if all(event.startswith("hook-") for event in one["events"])]
    check(not of_hooks, f"the hooks' log contradicts itself: {of_hooks[:2]}")


def anywhere(text):
    """The command of a run without where this checkout and the rig's own folder happen to be."""
    return re.sub(re.escape(tempfile.gettempdir()) + "/[^/ ]+/", "", text.replace(ROOT + "/", ""))


def write_example(folders, page, said):
    """Fixtures for the docs: what the drill said, and its pages."""
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    for name, folder in folders.items():
        where = os.path.join(EXAMPLE, name)
        os.makedirs(where)
        with open(os.path.join(where, "verdict.txt"), "w", encoding="utf-8") as file:
            file.write(drill("report", folder)[1].replace(folder + "/", ""))
        shutil.copy(os.path.join(folder, "plan.toml"), where)
        with open(os.path.join(folder, "report.json"), encoding="utf-8") as whole:
            report = json.loads(anywhere(whole.read()))
        with open(os.path.join(where, "report.json"), "w", encoding="utf-8") as file:
            json.dump(report, file, separators=(",", ":"), ensure_ascii=False)
            file.write("\n")
    shutil.copy(page, EXAMPLE)
    with open(os.path.join(EXAMPLE, "compare.txt"), "w", encoding="utf-8") as file:
        file.write(said.replace(page, os.path.basename(page)))
    with open(os.path.join(EXAMPLE, "README.md"), "w", encoding="utf-8") as file:
        file.write(f"""# An example

One plan, a drain and then the kill of a broker, played on three brokers of Paceline and on three of Apache Kafka {VERSION}, one after
the other, on the same machine of {os.cpu_count()} cores:

    {COMMAND}

| File | |
|---|---|
| `paceline/`, `kafka/` | `plan.toml`, the verdict as `paceline drill report` prints it, `report.json` without its line breaks |
| `compare.txt`, `compare.html` | what `paceline drill compare` says of the two, and its page |
""")


def kafka_fault(fault, **more):
    def case(_, options):
        with entered(KafkaTarget()) as target:
            plan = plans.write(target, f"kafka-{fault}", plans.step(fault, **more), observe_s=15, requires=ROWS)
            evidence = play(target, plan, verdicts=FOREIGN_VERDICTS, within=240, whole=False)
            expect_fault(evidence, fault)
            target.wait_whole()
            return told(evidence)
    return case


def kafka_secured(_, options):
    """TLS, SASL and ACLs: the drill's own questions and its load come by SCRAM and PLAIN, with no right more than docs/drill.md says; and
    who may do what is the same before, during and after. With SCRAM Debian's librdkafka, 2.0.2, is refused by Kafka 4: it says its nonce
    twice, up to 2.6.0."""
    verdicts, newer = [], with_librdkafka_2_15()
    with entered(SecuredKafka()) as target:
        for mechanism, fault in (("SCRAM-SHA-512", "drain"), ("SCRAM-SHA-256", "kill"), ("PLAIN", "drain")):
            rights = "".join(f'\n[[right]]\nname = "{name} writes"\noperation = "write"\ntopic = "{TOPIC}"\nallowed = {plans.word(allowed)}\n'
                             f"client = {plans.word(target.client(name, mechanism))}\n" for name, allowed in (("ada", True), ("mallory", False)))
            plan = plans.write(target, f"secured-{mechanism}", rights, plans.step(fault), baseline_s=5, observe_s=20,
                               requires={"rows": [*ROWS["rows"], "governance"]}, load={"clients": target.client("drill", mechanism)})
            evidence = play(target, plan, "--allow-production-topics", verdicts=FOREIGN_VERDICTS, within=240, whole=False,
                            environment={} if mechanism == "PLAIN" else newer)
            expect_fault(evidence, fault)
            nothing_lost(evidence, 500)
            expect_log_bytes(evidence)
            check_equal(evidence.state_of("governance"), "green", "the row of governance")
            answers = {one["figures"]["right"]: one["figures"]["answer"] for one in evidence.events("right.answered")}
            check_equal(answers, {"ada writes": "allowed", "mallory writes": "denied"}, "the answers")
            told_leaders = {one["client_id"] for one in evidence.events("leader.seen")}
            check(any(name.startswith("watcher-") for name in told_leaders), f"no watcher has seen a leader: {told_leaders}")
            for name in os.listdir(evidence.folder):
                with open(os.path.join(evidence.folder, name), "rb") as file:
                    content = file.read()
                check(not any(word.encode() in content for word in USERS.values()), f"a password is in {name}")
            target.wait_whole()
            check(not target.own_topics(), f"topics are left: {target.own_topics()}")
            verdicts.append(f"{mechanism}: {evidence.report['sentence']}")
    return "; ".join(verdicts)


def kafka_orphan(_, options):
    """The drill is killed while a broker of Kafka stands still: the watchdog runs the hook's heal."""
    with entered(KafkaTarget()) as target:
        for fault in ("freeze", "kill"):
            plan = plans.write(target, f"killed-{fault}", plans.step(fault, **({"hold_s": 60} if fault == "freeze" else {})), observe_s=60)
            with Drill(target, plan) as run:
                run.wait_event("fault.effective")
                run.kill()
                run.nobody_left(10)
                target.wait_whole()
                check("the watchdog has healed" in run.evidence().text("hooks.log"), "it is not written down")
        return "a frozen broker goes on, a dead one is started again"


def kafka_cut(_, options):
    with Network() as network, entered(KafkaTarget(network)) as target:
        plan = plans.write(target, "kafka-cut", plans.step("cut", hold_s=20), observe_s=25, requires=ROWS, guard={"window_s": 60})
        evidence = play(target, plan, verdicts=FOREIGN_VERDICTS, within=240, whole=False)
        expect_fault(evidence, "cut")
        target.wait_whole()
        return told(evidence)


def of_zones(build=None):
    """Each broker is a host, in a zone of its own."""
    needs_root()
    target = DevTarget("--hosts", "--racks", "a,b,c")
    target.build = build
    return target


def cut(_, options):
    """N2: a zone, which is one broker here, is cut off from all; then only what it sends is lost, then only what it is sent."""
    verdicts = []
    with entered(of_zones()) as target:
        for name in ("both", "out", "in"):
            plan = plans.write(target, f"cut-{name}", plans.step("cut", id=f"cut-{name}", hold_s=15, zone="b", direction=name),
                               observe_s=20, guard={"window_s": 60}, requires=ROWS)
            # A client's requests to who is cut off without a word wait for its time-out: the gap is judged, and is not ours to like.
            evidence = play(target, plan, verdicts=FOREIGN_VERDICTS, within=240, whole=False)
            effect = expect_fault(evidence, "cut")
            target.wait_whole(20)
            check("is cut" in effect["figures"]["how"], f"how it was observed: {effect['figures']['how']}")
            check(evidence.state_of("N2") != "grey", "N2 has no evidence")
            nothing_lost(evidence)
            verdicts.append(f"{name}: {evidence.report['sentence']}")
        orphaned(target, plans.write(target, "cut-killed", plans.step("cut", hold_s=60, zone="b"), observe_s=60))
    return "; ".join(verdicts) + "; mended when the drill is killed"


def orphaned(target, plan):
    """kill -9 of the drill: what its hooks have done is undone by the watchdog."""
    with Drill(target, plan) as run:
        run.wait_event("fault.effective")
        run.kill()
        run.nobody_left(10)
        target.wait_whole(20)
        check("the watchdog has healed" in Evidence(run.run_folder).text("hooks.log"), "it is not written down")


STORE_FAULTS = {"+200 ms": {"latency_ms": 200}, "10 % 503": {"errors_percent": 10}, "a tail of 2 s": {"tail_ms": 2000, "tail_percent": 1}}


def slow_store(_, options):
    """N3: the store answers late, is overloaded, has a tail. Nothing that was acknowledged is lost."""
    verdicts = []
    with entered(DevTarget("--store", "s3")) as target:
        for name, settings in STORE_FAULTS.items():
            plan = plans.write(target, "slow-store", plans.step("slow-store", broker=None, hold_s=15, settings=settings), observe_s=20,
                               requires=ROWS)
            # How slow it may get is the plan's to say; that nothing is lost is not.
            evidence = play(target, plan, verdicts=FOREIGN_VERDICTS, within=240)
            expect_fault(evidence, "slow-store")
            nothing_lost(evidence)
            check(evidence.state_of("N3") != "grey", "N3 has no evidence")
            verdicts.append(f"{name}: {evidence.report['sentence']}")
        expect_fast(target)
        orphaned(target, plans.write(target, "slow-killed", plans.step("slow-store", broker=None, hold_s=60,
                                                                       settings={"latency_ms": 200}), observe_s=60))
        expect_fast(target)
    return "; ".join(verdicts)


def expect_fast(target):
    """Nothing is left of what a drill has told the way to the store."""
    admin = next(one["admin"] for one in target.status()["services"] if one["name"] == "store-proxy")
    with urllib.request.urlopen(f"http://{admin}/faults", timeout=5) as answer:
        told_now = json.load(answer)
    left = {name: value for name, value in told_now.items() if value and name != "tail_percent"}
    check(not left, f"the store is still slow: {left}")


CASES = {"N2: cut in network namespaces": cut, "N3: a slow store": slow_store}
KAFKA = {"Kafka beside Paceline: drain and kill": compared}
KAFKA_MORE = {**{f"Kafka: {fault}": kafka_fault(fault, **more) for fault, more in
                 (("stop", {}), ("freeze", {"hold_s": 15}), ("zombie", {"hold_s": 15}))},
              "Kafka: TLS, SASL and ACLs": kafka_secured, "Kafka: the drill is killed": kafka_orphan, "Kafka: cut in network namespaces": kafka_cut}
NEED_NETWORK = ("Kafka: cut in network namespaces",)
