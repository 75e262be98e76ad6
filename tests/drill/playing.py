"""What cases have in common: a drill to its end, and all that must hold of whatever it has left."""
from drilling import GREEN, GREY, RED, Drill, verify
from harness import check

CODE_OF = {"green": GREEN, "amber": GREEN, "red": RED, "grey": GREY}


def play(target, plan, *words, verdicts=("green", "amber"), within=180, whole=True, **more):
    """Plays a plan, which has to end in one of the verdicts. The evidence, and how long it took."""
    with Drill(target, plan, *words, **more) as run:
        code = run.ends(*dict.fromkeys(CODE_OF[verdict] for verdict in verdicts), within=within)
        evidence = run.evidence().sound()
        evidence.said = run.said()
        evidence.expect(*verdicts)
        check(evidence.report["exit_code"] == code, f"it ended with {code}, and its report says {evidence.report['exit_code']}")
        said = verify(evidence.folder)
        check(evidence.report["sentence"].split(":")[0].lower() in said.lower(), f"verify does not name the verdict: {said[-400:]}")
        if whole:
            target.wait_whole()
            check(not target.own_topics(), f"topics are left: {target.own_topics()}")
        evidence.took = run.took
        return evidence


def nothing_lost(evidence, least=1):
    """Nor doubled, of `least` records that were acknowledged."""
    counts = evidence.report["counts"]
    check(counts["acked"] >= least and not counts["lost"] and not counts["duplicated"], f"the counts are {counts}")


def told(evidence, more=""):
    why = f", because {evidence.report['reason']}" if evidence.report["verdict"] != "green" else ""
    return f"{evidence.report['sentence']}{why}{'; ' + more if more else ''} (the drill took {evidence.took:.0f} s)"


def expect_fault(evidence, fault, healed=True):
    """It took effect, on whom it was meant for, and has been healed. The event of its effect."""
    found = evidence.events("fault.effective", fault=fault)
    check(found, f"{fault} never took effect: {[one['figures'] for one in evidence.events('fault.not_effective')]}")
    if healed:
        check(evidence.events("fault.healed", fault=fault), f"{fault} was not healed")
        check(not evidence.events("fault.heal_failed"), "a heal has failed")
    return found[0]
