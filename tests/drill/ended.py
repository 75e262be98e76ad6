"""Drills that do not come to their end: refused, interrupted, killed. Nothing stays broken."""
import os
import time

import plans
from drilling import GREY, INTERRUPTED, RED, REFUSED, Drill, drill
from harness import Failed, check, check_equal
from playing import play
from targets import ByAddress, DevTarget, entered, make_topic

KILLED_IN = ("kill", "freeze", "zombie", "control-freeze")
PHASES = ("P0", "P1", "P2", "P3", "P4", "P5", "P6", "P7")


def refusal(target, plan, *words, names, **more):
    """Ends at once with 6, and a list that names these; nothing was injected."""
    with Drill(target, plan, *words, **more) as run:
        run.ends(REFUSED, within=60)
        for name in names:
            check(name in run.said(), f"'{name}' is not in: {run.said()[-1000:]}")
        if run.runs() and set(run.runs()) - run.before:
            evidence = run.evidence()
            check_equal(evidence.run["outcome"], "refused", "the outcome")
            check(not evidence.events("fault.commanded"), "a fault was commanded")
            for name in names:
                check(name in evidence.run["reason"], f"the reason does not name '{name}': {evidence.run['reason']}")
        target.wait_whole()
        check(not target.own_topics(), f"topics are left: {target.own_topics()}")
        return run.said().strip().splitlines()[-1][:160]


def one_broker(_, options):
    with entered(DevTarget("--brokers", "1")) as target:
        return refusal(target, "kill", names=["2 brokers", "there are 1"])


def no_owner(target, options):
    """On whose cluster it is not known: whoever plays with a `paceline dev` owns it."""
    return refusal(ByAddress(target), "drain", owner=None, names=["owner"])


def production_topic(target, options):
    make_topic(target)
    known = refusal(ByAddress(target), "drain", names=["orders", "--allow-production-topics"])
    evidence = play(ByAddress(target), plans.write(target, "allowed", plans.step("drain"), requires={"rows": ["leaders", "business"]}),
                    "--allow-production-topics")
    return f"{known}; with the flag: {evidence.report['sentence']}"


def no_restart(_, options):
    with entered(DevTarget("--no-restart")) as target:
        return refusal(target, "kill", names=["--no-restart"])


def nonsense(target, options):
    """Plans and hook files that are none: a sentence for each thing that is wrong, with its line."""
    path = os.path.join(target.home, "nonsense.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write('name = "x"\n[load]\nproducers = -1\n[[step]]\nid = "a"\nfault = "melt"\nfish = 3\n')
    code, said = drill("run", path, "--owner", "x", environment=target.environment)
    check(code not in (0, RED, GREY) and all(word in said for word in ("line 3", "melt", "fish")), f"it ended with {code}: {said}")
    code, said = drill("run", "no-such-plan", "--owner", "x", environment=target.environment)
    check(code not in (0, RED, GREY) and "no-such-plan" in said, f"it ended with {code}: {said}")
    return said.strip().splitlines()[-1][:160]


def interrupted(phase):
    def case(target, options):
        """Ctrl-C, as soon as the phase has begun."""
        plan = plans.write(target, "interrupted", plans.step("freeze", hold_s=8), baseline_s=3, observe_s=8)
        with Drill(target, plan) as run:
            run.wait_said(f"{phase} ")
            asked = time.monotonic()
            run.interrupt()
            run.ends(INTERRUPTED, within=60)
            took = time.monotonic() - asked
            target.wait_whole()
            evidence = run.evidence()
            check_equal(evidence.run["outcome"], "interrupted", "the outcome")
            check(evidence.run["ended"], "the run has no end")
            evidence.sound()
            evidence.expect("grey", "red")
            check(not target.own_topics(), f"topics are left: {target.own_topics()}")
            return f"{evidence.verdict} after {took:.1f} s"
    return case


def killed(count):
    def case(target, options):
        """kill -9 of the drill in the middle of a fault."""
        times = count or options.kills
        slowest, healed = 0.0, 0
        for turn in range(times):
            for fault in KILLED_IN if count is None else KILLED_IN[1:2]:
                plan = plans.write(target, f"killed-{fault}", plans.step(fault, **({} if fault == "kill" else {"hold_s": 60})),
                                   baseline_s=1, observe_s=60)
                with Drill(target, plan) as run:
                    run.wait_said("P4 ")  # the fault is effective
                    # Not always at the same moment; a zombie wakes when others lead, after a second.
                    time.sleep((0.05 if fault == "zombie" else 0.1) * (turn % 10))
                    if fault != "kill":
                        check(any("stands still" in wrong for wrong in target.faults()), f"{fault} was over before the drill was killed")
                    run.kill()
                    slowest = max(slowest, target.wait_whole(within=10))
                    run.nobody_left(10)
                    healed += 1
                    after_death(run)
                leave_no_topics(target)
        return f"{healed} of {healed} healed, the slowest after {slowest:.1f} s; no watchdog is left"
    return case


def after_death(run):
    """What a killed drill has left can be judged: there is no verdict, or it is red."""
    code, said = drill("report", run.run_folder)
    check(code in (GREY, RED), f"a report of what was killed ended with {code}: {said[-600:]}")
    evidence = run.evidence()
    check(evidence.run["ended"] is None, "run.json says that it has ended")
    code, said = drill("watch", run.run_folder, seconds=20)
    check(code == GREY and "the drill is gone" in said, f"watch of what was killed ended with {code}: {said[-300:]}")
    if run.plan.endswith("kill.toml"):
        return
    check("the watchdog has healed" in evidence.text("hooks.log"), "the watchdog has not written down what it did")


def leave_no_topics(target):
    from confluent_kafka.admin import AdminClient
    names = target.own_topics()
    if names:
        admin = AdminClient({"bootstrap.servers": target.bootstrap, "log_level": 0})
        for name, answer in admin.delete_topics(names).items():
            try:
                answer.result(20)
            except Exception as error:  # pylint: disable=broad-except  # whatever librdkafka throws
                raise Failed(f"{name} cannot be deleted: {error}") from None


REFUSED_CASES = {"refused: no owner": no_owner, "refused: nonsense": nonsense}
CASES = {**REFUSED_CASES, **{f"interrupted in {phase}": interrupted(phase) for phase in PHASES}, "kill -9 in the middle of a fault": killed(None)}
# They leave a topic of somebody's behind, or have a cluster of their own.
ALONE = {"refused: one broker": one_broker, "refused: --no-restart": no_restart}
QUICK = {"refused: no owner": no_owner, "kill -9 in the middle of a freeze": killed(1)}
