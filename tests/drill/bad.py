"""Drills that must not be green, each for a reason of its own."""
import os
import signal

import bad_hooks
import hooking
import plans
from drilling import HERE, Drill
from harness import check, check_equal
from playing import expect_fault, play, told
from targets import ByAddress, DevTarget, entered


def with_rig(target):
    """So that hooks find the brokers of a `paceline dev`."""
    path = os.path.join(target.home, "rig.json")
    with hooking.changing_rig(path) as rig:
        rig.update({"dev_state": os.path.join(target.status()["folder"], "dev.json"), "bootstrap": target.bootstrap})
    return {"PACELINE_RIG": path}


def sabotage(target, options):
    """N8: the drill drops an acknowledged record from its own ledger and doubles another one, and has to say so."""
    evidence = play(target, "sabotage", "--quick", verdicts=("red",))
    counts = evidence.report["counts"]
    check(counts["lost"] >= 1 and counts["duplicated"] >= 1, f"lost and duplicated: {counts}")
    check_equal(evidence.state_of("N8"), "green", "N8")
    names = {one["name"] for one in evidence.report["anomalies"]}
    check(names, "no anomaly is named")
    return told(evidence, ", ".join(sorted(names)))


def sabotage_one(what, count):
    def case(target, options):
        evidence = play(target, "drain", "--quick", "--sabotage", what, verdicts=("red",))
        check(evidence.report["counts"][count] >= 1, f"{count}: {evidence.report['counts']}")
        return told(evidence)
    return case


def stays_dead(_, options):
    """The brokers are not started again, and a hook says that it has healed what it has not."""
    with entered(DevTarget("--no-restart")) as target:
        hooks = bad_hooks.hook_file(target.home, "stays-dead", "kill")
        evidence = play(target, "kill", "--quick", verdicts=("red",), whole=False, hooks=hooks, environment=with_rig(target))
        expect_fault(evidence, "kill", healed=False)
        check(evidence.events("fault.heal_failed"), "the drill believes that it is healed")
        check(any("does not run" in wrong for wrong in target.faults()), f"it is back: {target.faults()}")
        return told(evidence)


def wrong_cleanup(target, options):
    """A clean-up that is only to be planned deletes what the drill reads."""
    hooks = bad_hooks.hook_file(target.home, "cleans-up")
    evidence = play(target, "cleanup", "--quick", verdicts=("red",), hooks=hooks, environment=with_rig(target))
    gone = evidence.events("topic.gone")
    check(gone, "nobody says that topics are gone")
    check(evidence.report["counts"]["lost"] > 0, "what was acknowledged in them is not lost")
    return told(evidence, f"{len(gone)} topics gone")


def restless_group(target, options):
    """A client outside whose group loses a member, and gets it back, all the time."""
    plan = plans.write(target, "restless", plans.step("drain"), baseline_s=4, observe_s=20,
                       load={"external": [["/usr/bin/python3", os.path.join(HERE, "restless_member.py")]]})
    evidence = play(target, plan, verdicts=("red",))
    counts = evidence.report["counts"]
    check(counts["rebalances_extra"] > 0, f"the counts are {counts}")
    check_equal(evidence.state_of("leaders"), "red", "the row of the leaders")
    check("rebalance" in evidence.why("leaders") or "rebalance" in evidence.reasons(), f"its reason: {evidence.why('leaders')}")
    clients = [one for one in evidence.run["clients"] if one["kind"] == "external"]
    check_equal([one["library"] for one in clients], ["confluent-kafka-python"], "the clients outside")
    return told(evidence, f"{counts['rebalances_extra']} rebalances too many")


def member_leaves(target, options):
    """A member of a group leaves when a broker dies, and does not come back: the others hold what it held, and it is red all the same."""
    plan = plans.write(target, "leaver", plans.step("kill"), baseline_s=6, observe_s=20,
                       load={"external": [["/usr/bin/python3", os.path.join(HERE, "restless_member.py"), "--for-good"]]})
    evidence = play(target, plan, verdicts=("red",))
    told_of = [one["figures"]["event"] for one in evidence.events("group.rebalanced") if one["figures"]["member"].endswith(":leaver")]
    check(told_of and told_of[-1] == "revoked", f"the leaver tells {told_of}")
    figures = {one["name"]: one for row in evidence.report["scorecard"] if row["id"] == "leaders" for one in row["figures"]}
    gone, lost = figures["members that stayed away from their group"], figures["groups without a member"]
    check_equal((gone["value"], gone["state"], lost["value"]), (1, "red", 0), "members gone and groups lost")
    return told(evidence, f"of {gone['samples']} members one is gone")


def no_evidence(target, options):
    """A plan that requires a row of which a run can know nothing gets no verdict."""
    plan = plans.write(target, "blind", plans.step("drain"), requires={"rows": ["leaders", "capacity"]})
    evidence = play(ByAddress(target), plan, verdicts=("grey",))
    check_equal(evidence.state_of("capacity"), "grey", "the row of the capacity")
    check(evidence.report["external_only"], "it is not said that this is evidence from outside")
    return told(evidence, evidence.why("capacity"))


def hole(target, options):
    """Somebody writes who should not be able to, and somebody is refused who should not be: both are holes."""
    rights = "".join(f'\n[[right]]\nname = "{name}"\noperation = "write"\n{topic}allowed = {allowed}\n'
                     for name, topic, allowed in (("a stranger", "", "false"), ("a friend", 'topic = "__consumer_offsets"\n', "true")))
    plan = plans.write(target, "hole", rights, plans.step("drain"), baseline_s=4)
    evidence = play(target, plan, verdicts=("red",))
    answers = {one["figures"]["right"]: one["figures"]["answer"] for one in evidence.events("right.answered")}
    check_equal(answers, {"a stranger": "allowed", "a friend": "denied"}, "the answers")
    check_equal(evidence.state_of("governance"), "red", "the row of governance")
    return told(evidence, evidence.why("governance"))


def guard(target, options):
    """A hook that says "one broker" stops all of them: the guard heals, and the verdict is red, long before the step's time is over."""
    hooks = bad_hooks.hook_file(target.home, "cuts-all", "freeze")
    plan = plans.write(target, "guarded", plans.step("freeze", hold_s=90), observe_s=90,
                       guard={"window_s": 1, "staleness_s": 5, "errors_share": 0.01})
    evidence = play(target, plan, verdicts=("red",), within=120, hooks=hooks, environment=with_rig(target))
    tripped = evidence.events("guard.tripped")
    check(tripped, "no guard has tripped")
    check_equal(evidence.run["outcome"], "guarded", "the outcome")
    expect_fault(evidence, "freeze")
    figures = tripped[0]["figures"]
    return told(evidence, f"{figures['rule']} {figures['measured']:.2f} is over {figures['limit']}")


def frozen_drill(target, options):
    """The drill itself stands still in the middle of a fault: the watchdog heals after five seconds, and the run says so."""
    plan = plans.write(target, "still", plans.step("freeze", hold_s=60), observe_s=60)
    with Drill(target, plan) as run:
        run.wait_event("fault.effective")
        run.child.send_signal(signal.SIGSTOP)
        took = target.wait_whole(within=12)
        run.child.send_signal(signal.SIGCONT)
        code = run.ends(4, 7, within=90)
        evidence = run.evidence().sound()
        check(evidence.verdict in ("red", "grey"), f"the verdict is {evidence.verdict}")
        target.wait_whole()
        return f"healed after {took:.1f} s by the watchdog; the drill ended with {code}: {evidence.run['reason']}"


def patient_clients(target, options):
    """The defaults of librdkafka wait for a broker that stands still until it goes on: nothing is lost, and the gap is as long as that."""
    evidence = play(target, "freeze", "--quick", verdicts=("red",))
    effect, counts = expect_fault(evidence, "freeze"), evidence.report["counts"]
    check(not counts["lost"] and not counts["duplicated"], f"the counts are {counts}")
    gaps = [one["gap_ms"] for one in evidence.report["partitions"] if one["from"] == effect["figures"]["broker"] and one["gap_ms"]]
    check(gaps and max(gaps) > 10000, f"the gaps are {gaps}")
    return told(evidence)


CASES = {"sabotage": sabotage, "freeze under patient clients": patient_clients, "sabotage: one ack is dropped": sabotage_one("drop-ack", "lost"),
         "sabotage: one record is doubled": sabotage_one("double-record", "duplicated"),
         "a clean-up is done instead of planned": wrong_cleanup, "a group that is never at rest": restless_group,
         "a member leaves for good": member_leaves,
         "a row without evidence": no_evidence, "a hole in the rights": hole, "a guard trips": guard, "the drill stands still": frozen_drill}
ALONE = {"a broker stays dead": stays_dead}
