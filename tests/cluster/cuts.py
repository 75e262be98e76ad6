"""Cuts between brokers, etcd and clients, each of them a host of its own (network.py). A broker that others cannot hear, or that
etcd cannot, is fenced; until then it may acknowledge, and afterwards never.
"""
import threading
import time

from harness import check
from stage import BACK_WITHIN_S, Asking, acknowledged
from wire import Wire

VICTIM, OTHERS, ETCD = 2, (1, 3), "etcd-1"
LEASE_S = 5
SHORT_S = 4  # four times the silence by which a broker is taken for dead


def host(number):
    return f"broker-{number}"


def cut_from_all(stage, _options):
    """Its cable is pulled, while a request is on its way to it, and is put back when others have taken over."""
    lost, incarnation, answers = stage.led_by(VICTIM), stage.incarnation(VICTIM), []
    with Wire(stage.brokers.address(VICTIM), 3 * BACK_WITHIN_S) as wire:
        stage.begin()
        stage.network.cut(host(VICTIM))
        asking = threading.Thread(target=lambda: answers.append(stage.ask(wire, min(lost))))
        asking.start()
        stage.wait_for_fence(VICTIM, incarnation)
        served = stage.served_elsewhere(VICTIM, min(lost))
        stage.network.heal()
        asking.join()
    check(answers[0] != 0, "a broker that was cut off and fenced acknowledged a record")
    return ends(stage, lost, incarnation, served)


def ends(stage, lost, incarnation, served):
    """The common end: the fenced one says so and comes back, the cut is mended, and clients are served all along."""
    stage.wait_for_end(VICTIM)
    ended = (time.monotonic_ns() - stage.since_ns) / 1e9
    service = stage.wait_for_service(lost)
    check(stage.fences() == {f"{VICTIM}.{incarnation}"}, f"fenced: {stage.fences()}")
    slowest = stage.slowest_answer()
    stage.network.heal()
    stage.settle()
    stage.heal()
    check(stage.incarnation(VICTIM) > incarnation, f"it is back as incarnation {stage.incarnation(VICTIM)}")
    return (f"its successors serve after {served:.2f} s, it has ended after {ended:.2f} s; the producer is served after {service:.2f} s, "
            f"the slowest answer took {slowest:.2f} s")


def until_fenced(stage, cut):
    """Clients go on to reach a broker that others do not hear: what is asked of it by hand is acknowledged until it is sealed, and
    not afterwards; nothing else may make it stop."""
    lost, incarnation = stage.led_by(VICTIM), stage.incarnation(VICTIM)
    asking = Asking(stage, VICTIM, min(lost))
    time.sleep(0.3)
    stage.begin()
    cut()
    stage.wait_for_fence(VICTIM, incarnation)
    served = stage.served_elsewhere(VICTIM, min(lost))
    served_ns = time.monotonic_ns()
    text = ends(stage, lost, incarnation, served)
    answers = asking.end()
    before = len(acknowledged(answers, stage.since_ns))
    late = acknowledged(answers, served_ns)
    # Behind its return it leads nothing of this by itself; what it sends on its successor has acknowledged.
    late = [one for one in late if one[1] < stage.ended_ns]
    check(not late, f"{len(late)} records were acknowledged by a fenced broker, {(late or [(0,)])[0][0] - served_ns} ns later" if late else "")
    return f"{before} records acknowledged to who asks it by hand, none after its successor serves; {text}"


def cut_from_etcd(stage, _options):
    return until_fenced(stage, lambda: stage.network.part(host(VICTIM), ETCD))


def unheard_by_etcd(stage, _options):
    """One way: what it sends to etcd is lost."""
    return until_fenced(stage, lambda: stage.network.lose(host(VICTIM), ETCD))


def cut_from_others(stage, _options):
    return until_fenced(stage, lambda: [stage.network.part(host(VICTIM), host(other)) for other in OTHERS])


def unheard_by_others(stage, _options):
    """One way: they do not hear it, it hears them."""
    return until_fenced(stage, lambda: [stage.network.lose(host(VICTIM), host(other)) for other in OTHERS])


def hears_nobody(stage, _options):
    """The other way: they could hear it, it does not hear them."""
    return until_fenced(stage, lambda: [stage.network.lose(host(other), host(VICTIM)) for other in OTHERS])


def two_apart(stage, _options):
    """Two brokers do not hear each other, and the third hears both: nobody is dead."""
    everything = set(stage.leaders())
    stage.begin()
    stage.network.part(host(1), host(2))
    time.sleep(SHORT_S)
    stage.wait_for_service(everything, time.monotonic_ns())
    check(not stage.fences(), f"fenced: {stage.fences()}")
    slowest = stage.slowest_answer()
    stage.network.heal()
    time.sleep(1)
    check(not stage.fences(), f"fenced when it was over: {stage.fences()}")
    # A broker that sends on what the other one leads gives that up, with the connection on which it was asked.
    stage.settle(ways_to=(1, 2))
    return f"nobody is fenced, all is served; the slowest answer took {slowest:.2f} s"


def etcd_away(stage, options):
    """etcd's cable is pulled for longer than a lease: there nobody lives any more, and nobody is dead."""
    everything, seconds = set(stage.leaders()), LEASE_S + 3 if options.quick else 20
    stage.begin()
    stage.network.cut(ETCD)
    time.sleep(seconds)
    stage.wait_for_service(everything, time.monotonic_ns())
    stage.network.heal()
    back = stage.change(2 * BACK_WITHIN_S)
    # Whoever takes the leases that have ended for deaths does it now.
    time.sleep(LEASE_S + 3)
    check(not stage.fences(), f"fenced when etcd was back: {stage.fences()}")
    stage.wait_for_service(everything, time.monotonic_ns())
    stage.settle(ways_to=())
    return f"{seconds} s: nobody is fenced, neither then nor afterwards; a topic is made {back:.1f} s after the return"


# title, whether --quick plays it, body
CUTS = [("a broker is cut off from all", False, cut_from_all),
        ("a broker is cut off from etcd", True, cut_from_etcd),
        ("a broker is not heard by etcd", False, unheard_by_etcd),
        ("a broker is cut off from the others", False, cut_from_others),
        ("a broker is not heard by the others", False, unheard_by_others),
        ("a broker does not hear the others", False, hears_nobody),
        ("two brokers are cut off from each other", False, two_apart),
        ("etcd is cut off from all", False, etcd_away)]
