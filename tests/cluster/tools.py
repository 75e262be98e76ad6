#!/usr/bin/python3
"""Apache Kafka's own tools of leadership, unmodified, from its released jars, at three brokers on one etcd: what its scripts
kafka-reassign-partitions, kafka-leader-election and kafka-topics run does what their users expect, and says so in their words.
Meanwhile an idempotent producer sends and a group reads; nothing acknowledged is lost, and no client is told of an error.

  tools.py [WORD...]      WORDs choose cases by their title; takes maven and a Java runtime
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time

import brokers  # noqa: F401: where the others are found
import peers
from crowd import GROUP, PARTITIONS, TOPIC
from harness import Failed, binary, check, check_equal
from move import leader
from rig import Table
from stage import ANSWERED_WITHIN_S, BACK_WITHIN_S, Stage

# As the scripts of the same name: org.apache.kafka.tools. in front.
CLASSES = {"kafka-reassign-partitions": "reassign.ReassignPartitionsCommand", "kafka-leader-election": "LeaderElectionCommand",
           "kafka-topics": "TopicCommand", "kafka-get-offsets": "GetOffsetShell",
           "kafka-consumer-groups": "consumer.group.ConsumerGroupCommand"}
ENDS_WITHIN_S = 60
# Nobody else is to move anything here.
SETTINGS = {"paceline.balance.enabled": "false"}
NUMBERS = (1, 2, 3)
ALL = [f"{TOPIC}-{index}" for index in range(PARTITIONS)]
HOMES = {index: [(index + step) % 3 + 1 for step in range(3)] for index in range(PARTITIONS)}
ELECTED = "Successfully completed leader election (PREFERRED) for partitions "
LEADS_ALREADY = "Valid replica already elected for partitions "


def run(stage, tool, *words):
    """Its exit code, and what it has printed, without stacks. No bad request may look like a broker that does not answer."""
    command = ["java", "-Xmx256M", "-cp", os.path.join(peers.kafka_jars.fetch("kafka-tools", "kafka-tools"), "*"),
               f"org.apache.kafka.tools.{CLASSES[tool]}", "--bootstrap-server", stage.brokers.addresses, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{tool} {' '.join(words)} runs for more than {ENDS_WITHIN_S} s") from None
    lines = (done.stdout + done.stderr).splitlines()
    text = "\n".join(line for line in lines if line and not line.startswith(("SLF4J: ", "\tat ")))
    check(not re.search("time-?out|timed out", text, re.I), f"{tool} {' '.join(words)} met a time-out: {text[-500:]}")
    return done.returncode, text


def ask(stage, tool, *words):
    """What it has printed; it must have succeeded."""
    status, text = run(stage, tool, *words)
    check(status == 0, f"{tool} {' '.join(words)} ended with {status}: {text[-500:]}")
    return text


def refused(stage, sentence, tool, *words):
    """It must fail, and say this."""
    status, text = run(stage, tool, *words)
    check(status != 0, f"{tool} {' '.join(words)} succeeded: {text[-500:]}")
    check(sentence in text, f"{tool} {' '.join(words)} does not say '{sentence}': {text[-500:]}")


def written(stage, name, content):
    path = os.path.join(stage.brokers.folder, name)
    with open(path, "w", encoding="ascii") as file:
        json.dump(content, file)
    return path


def lists_file(stage, lists, topic=TOPIC):
    """What --reassignment-json-file names. `lists`: by partition, the brokers."""
    partitions = [{"topic": topic, "partition": index, "replicas": brokers} for index, brokers in lists.items()]
    return written(stage, "lists.json", {"version": 1, "partitions": partitions})


def lists_of(text):
    """By partition, the brokers in a line of the tool's that can be such a file."""
    return {one["partition"]: one["replicas"] for one in json.loads(text)["partitions"]}


def printed_below(text, title):
    """The line of JSON below a title."""
    lines = text.splitlines()
    check(title in lines, f"there is no '{title}' in: {text[-500:]}")
    return lines[lines.index(title) + 1]


def describe(stage, topic=TOPIC):
    """By partition, the leader and the list of replicas as kafka-topics shows them; all of them are in sync."""
    found = {}
    for line in ask(stage, "kafka-topics", "--describe", "--topic", topic).splitlines():
        if "\tPartition: " in line:
            one = dict(re.findall(r"(Partition|Leader|Replicas|Isr): ?(\S*)", line))
            brokers_of = {name: [int(word) for word in one[name].split(",")] for name in ("Replicas", "Isr")}
            check_equal(sorted(brokers_of["Isr"]), sorted(brokers_of["Replicas"]), f"in sync of partition {one['Partition']}")
            found[int(one["Partition"])] = int(one["Leader"]), brokers_of["Replicas"]
    return found


def expect_leaders(stage, wanted):
    """As every broker says, and none of them much later than the one that was asked for it."""
    end = time.monotonic() + 5
    for number in stage.living:
        while (now := stage.leaders(number)) != wanted:
            check(time.monotonic() < end, f"broker {number} says that partitions are led by {now}; wanted: {wanted}")
            time.sleep(0.02)


def execute(stage, path, names, *words):
    """What is printed; the tool has started what the file says, for all of these."""
    text = ask(stage, "kafka-reassign-partitions", "--execute", "--reassignment-json-file", path, *words)
    check(text.splitlines()[-1] == f"Successfully started partition reassignment{'s' * (len(names) > 1)} for {','.join(names)}",
          f"--execute says: {text[-500:]}")
    return text


def verify(stage, path, names):
    """It is complete, and the tool says so of each."""
    text = ask(stage, "kafka-reassign-partitions", "--verify", "--reassignment-json-file", path)
    left = [name for name in names if f"Reassignment of partition {name} is completed." not in text.splitlines()]
    check(not left, f"--verify does not say that {left} are complete: {text[-900:]}")


def elect(stage, *words):
    """The partitions that were elected, and those of which it is said that their leader leads already."""
    text = ask(stage, "kafka-leader-election", "--election-type", "preferred", *words)
    found = {ELECTED: [], LEADS_ALREADY: []}
    for line in text.splitlines():
        sentence = next((one for one in found if line.startswith(one)), None)
        check(sentence, f"kafka-leader-election says: {text[-500:]}")
        found[sentence] += line.removeprefix(sentence).split(", ")
    return sorted(found[ELECTED]), sorted(found[LEADS_ALREADY])


def elect_all(stage):
    """Those of the load's topic that were elected; who leads already is not told of, when all are asked for."""
    elected, already = elect(stage, "--all-topic-partitions")
    check_equal(already, [], "told of those that lead already")
    return [name for name in elected if name.startswith(f"{TOPIC}-")]


def go_home(stage):
    """Each partition has three brokers in its list, and the first of them leads it."""
    execute(stage, lists_file(stage, HOMES), ALL)
    elect_all(stage)
    expect_leaders(stage, {index: brokers[0] for index, brokers in HOMES.items()})


def move_away(stage, index):
    """By our own command, which writes the new leader in front of the list; then the list is again as it was."""
    to = HOMES[index][1]
    code, text = leader(stage.brokers.address(1), "move", f"{TOPIC}:{index}", "--to", str(to))
    check(code == 0, f"paceline leader move failed: {text}")
    check_equal(elect(stage, "--topic", TOPIC, "--partition", str(index)), ([], [f"{TOPIC}-{index}"]),
                "an election where the preferred leader was moved with the partition")
    execute(stage, lists_file(stage, {index: HOMES[index]}), [f"{TOPIC}-{index}"])
    check_equal(stage.leaders()[index], to, "the leader, which is in the new list and so stays")


# --- the cases ---

def described(stage):
    shown = describe(stage)
    check_equal({index: leads for index, (leads, _) in shown.items()}, stage.leaders(), "leaders")
    for index, (leads, brokers) in shown.items():
        check(leads in brokers, f"partition {index} is led by {leads}, and that is none of {brokers}")
    for what in ("--unavailable-partitions", "--under-replicated-partitions", "--under-min-isr-partitions"):
        check_equal(ask(stage, "kafka-topics", "--describe", what), "", f"kafka-topics {what}")
    return f"{len(shown)} partitions with their leaders; none is unavailable, under-replicated or under its minimum in sync"


def generated(stage):
    topics = written(stage, "topics.json", {"version": 1, "topics": [{"topic": TOPIC}]})
    before = {index: brokers for index, (_, brokers) in describe(stage).items()}
    text = ask(stage, "kafka-reassign-partitions", "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1,2,3")
    check_equal(lists_of(printed_below(text, "Current partition replica assignment")), before, "the current lists")
    line = printed_below(text, "Proposed partition reassignment configuration")
    proposed = lists_of(line)
    check_equal(sorted(proposed), list(range(PARTITIONS)), "partitions in the proposal")
    path = written(stage, "proposed.json", json.loads(line))
    execute(stage, path, ALL)
    verify(stage, path, ALL)
    check_equal({index: brokers for index, (_, brokers) in describe(stage).items()}, proposed, "the lists after it")
    return "it shows the lists as they are; what it proposes is executed as it stands, and complete"


def executed(stage):
    """Leaders that are not in their new list give way."""
    goal = {index: leads % 3 + 1 for index, leads in stage.leaders().items()}
    path = lists_file(stage, {index: [leads] for index, leads in goal.items()})
    execute(stage, path, ALL)
    expect_leaders(stage, goal)
    verify(stage, path, ALL)
    check_equal(ask(stage, "kafka-reassign-partitions", "--list"), "No partition reassignments found.", "--list")
    text = ask(stage, "kafka-reassign-partitions", "--cancel", "--reassignment-json-file", path)
    check("None of the specified partition reassignments are active." in text, f"--cancel says: {text[-500:]}")
    check_equal(describe(stage), {index: (leads, [leads]) for index, leads in goal.items()}, "after --cancel, which comes too late")
    return f"{PARTITIONS} leaders moved; --verify says complete, --list that nothing is under way, --cancel that nothing is active"


def rolled_back(stage):
    """By what --execute prints for it: the lists, and the log directory of who leads."""
    before = describe(stage)
    goal = {index: [leads % 3 + 1] for index, (leads, _) in before.items()}
    text = execute(stage, lists_file(stage, goal), ALL)
    expect_leaders(stage, {index: brokers[0] for index, brokers in goal.items()})
    path = written(stage, "rollback.json", json.loads(printed_below(text, "Current partition replica assignment")))
    ask(stage, "kafka-reassign-partitions", "--execute", "--reassignment-json-file", path)
    check_equal({index: brokers for index, (_, brokers) in describe(stage).items()},
                {index: brokers for index, (_, brokers) in before.items()}, "the lists after the rollback")
    return "the printed lists are executed, and all is as it was"


def throttled(stage):
    """There is no replication to be throttled; who asks for it is served all the same, and --verify takes it away again."""
    path = lists_file(stage, HOMES)
    text = execute(stage, path, ALL, "--throttle", "10000000")
    check("The inter-broker throttle limit was set to 10000000 B/s" in text, f"--throttle says: {text[-500:]}")
    check("throttled" in ask(stage, "kafka-topics", "--describe", "--topic", TOPIC), "kafka-topics shows no throttle")
    verify(stage, path, ALL)
    check("throttled" not in ask(stage, "kafka-topics", "--describe", "--topic", TOPIC), "a throttle is left behind --verify")
    return "set, shown, and gone after --verify"


def fewer_replicas(stage):
    """Of a topic that was created with more."""
    made = ask(stage, "kafka-topics", "--create", "--topic", "three", "--partitions", "3", "--replication-factor", "3")
    check_equal(made, "Created topic three.", "kafka-topics --create")
    check(all(len(brokers) == 3 for _, brokers in describe(stage, "three").values()), "three replicas are not shown")
    lists, names = {0: [2, 3], 1: [3, 1], 2: [1, 3, 2]}, ["three-0", "three-1", "three-2"]
    path = lists_file(stage, lists, "three")
    execute(stage, path, names)
    verify(stage, path, names)
    check_equal({index: brokers for index, (_, brokers) in describe(stage, "three").items()}, lists, "the lists")
    return "of three replicas two are left of two partitions; --verify says complete"


def assigned_by_hand(stage):
    """A topic whose creator says who leads."""
    refused(stage, "broker 9", "kafka-topics", "--create", "--topic", "nobodys", "--replica-assignment", "9:2,2:3")
    made = ask(stage, "kafka-topics", "--create", "--topic", "chosen", "--replica-assignment", "3:1,3:2,1:3")
    check_equal(made, "Created topic chosen.", "kafka-topics --create")
    check_equal(describe(stage, "chosen"), {0: (3, [3, 1]), 1: (3, [3, 2]), 2: (1, [1, 3])}, "leaders and lists")
    return "it is led as its creator says; an unknown broker is refused"


def all_come_home(stage):
    """`paceline leader drain` keeps preferences."""
    go_home(stage)
    away = [f"{TOPIC}-{index}" for index, brokers in HOMES.items() if brokers[0] == 2]
    code, text = leader(stage.brokers.address(1), "drain", "2", "--wait")
    check(code == 0, f"paceline leader drain failed: {text}")
    check(2 not in stage.leaders().values(), f"broker 2 is drained and leads: {stage.leaders()}")
    time.sleep(0.5)  # until it is over, and the broker takes partitions again
    check_equal(elect_all(stage), sorted(away), "elected")
    expect_leaders(stage, {index: brokers[0] for index, brokers in HOMES.items()})
    check_equal(elect(stage, "--all-topic-partitions"), ([], []), "a second election of all")
    return f"{len(away)} partitions of a drained broker come home; a second election has nothing to do"


def one_comes_home(stage):
    go_home(stage)
    move_away(stage, 5)
    words = "--topic", TOPIC, "--partition", "5"
    check_equal(elect(stage, *words), ([f"{TOPIC}-5"], []), "elected")
    expect_leaders(stage, {index: brokers[0] for index, brokers in HOMES.items()})
    check_equal(elect(stage, *words), ([], [f"{TOPIC}-5"]), "a second time")
    return f"moved by paceline leader move, it comes home; then: '{LEADS_ALREADY}{TOPIC}-5'"


def listed_come_home(stage):
    go_home(stage)
    for index in (3, 4):
        move_away(stage, index)
    path = written(stage, "elect.json", {"partitions": [{"topic": TOPIC, "partition": index} for index in (3, 4, 7)]})
    check_equal(elect(stage, "--path-to-json-file", path), ([f"{TOPIC}-3", f"{TOPIC}-4"], [f"{TOPIC}-7"]), "elected")
    expect_leaders(stage, {index: brokers[0] for index, brokers in HOMES.items()})
    return "two that were moved come home, the third is at home and said to be"


def never_unclean(stage):
    before = stage.leaders()
    text = ask(stage, "kafka-leader-election", "--election-type", "unclean", "--topic", TOPIC, "--partition", "0")
    check_equal(text, f"{LEADS_ALREADY}{TOPIC}-0", "an unclean election of one")
    check_equal(ask(stage, "kafka-leader-election", "--election-type", "unclean", "--all-topic-partitions"), "", "of all")
    check_equal(stage.leaders(), before, "leaders")
    return f"'{text}', and nobody moves"


def bad_requests(stage):
    before = describe(stage)
    election, reassignment = "kafka-leader-election", "kafka-reassign-partitions"

    def of(lists, topic=TOPIC):
        return "--reassignment-json-file", lists_file(stage, lists, topic)

    def wrong_election(kind, topic, partition):
        refused(stage, f"{topic}-{partition}: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: ", election,
                "--election-type", kind, "--topic", topic, "--partition", partition)

    wrong_election("preferred", "nowhere", "0")
    wrong_election("preferred", TOPIC, "99")
    wrong_election("unclean", "nowhere", "0")
    refused(stage, "Topic nowhere not found.", reassignment, "--execute", *of({0: [1]}, "nowhere"))
    refused(stage, f"Unable to find partition: {TOPIC}-99", reassignment, "--execute", *of({0: [1], 99: [1]}))
    refused(stage, "Unknown broker id 9", reassignment, "--execute", *of({0: [1, 9]}))
    refused(stage, f"{TOPIC}-0 contains multiple entries for 1", reassignment, "--execute", *of({0: [1, 1]}))
    refused(stage, "Partition replica list cannot be empty", reassignment, "--execute", *of({0: []}))
    refused(stage, "errors.UnknownTopicOrPartitionException: The topic", reassignment, "--verify", *of({0: [1]}, "nowhere"))
    refused(stage, "errors.UnknownTopicOrPartitionException: The topic", reassignment, "--cancel", *of({0: [1]}, "nowhere"))
    ask(stage, "kafka-topics", "--create", "--topic", "two", "--partitions", "1", "--replication-factor", "2")
    for topic, sentence in (("nowhere", "Topic nowhere not found."), ("two", "replication factor of 2 cannot be reached")):
        path = written(stage, "topics.json", {"version": 1, "topics": [{"topic": topic}]})
        refused(stage, sentence, reassignment, "--generate", "--topics-to-move-json-file", path, "--broker-list", "1")
    refused(stage, "The replication factor must be between 1 and 32767 inclusive", "kafka-topics", "--create", "--topic", "none",
            "--replication-factor", "0")
    refused(stage, "Topic 'nowhere' does not exist as expected", "kafka-topics", "--describe", "--topic", "nowhere")
    check_equal(describe(stage), before, "leaders and lists")
    return "each is refused with a sentence that names what is wrong, none by a time-out; leaders and lists are as before"


def broker_is_dead(stage):
    """kill -9. Who is preferred cannot lead, and comes home when it is back."""
    go_home(stage)
    lost = stage.led_by(3)
    stage.begin()
    stage.kill(3)
    service = stage.wait_for_service(lost)
    stage.settle()
    status, text = run(stage, "kafka-leader-election", "--election-type", "preferred", "--all-topic-partitions")
    told = re.findall(rf"for partition: ({TOPIC}-\d+): \S+\.PreferredLeaderNotAvailableException: broker 3 is not registered", text)
    check(status == 1 and sorted(told) == sorted(f"{TOPIC}-{index}" for index in lost),
          f"an election without broker 3 ended with {status}: {text[-500:]}")
    refused(stage, "Unknown broker id 3", "kafka-reassign-partitions", "--execute", "--reassignment-json-file",
            lists_file(stage, HOMES))
    stage.restart()
    check_equal(elect_all(stage), sorted(told), "elected when it is back")
    expect_leaders(stage, {index: brokers[0] for index, brokers in HOMES.items()})
    stage.settle()
    return (f"served again {service:.2f} s after it; an election says who is not there for {len(told)} partitions, and brings them "
            "home when it is back")


def nothing_is_missing(stage):
    """With the producer at rest, what Kafka's tools count is what was acknowledged and read."""
    left = stage.crowd.stop_producer(ANSWERED_WITHIN_S)
    check(left == 0, f"{left} records have no answer")
    stage.settle()
    ends = stage.ledger.ends()
    text = ask(stage, "kafka-get-offsets", "--topic", TOPIC)
    check_equal(sorted(text.splitlines()), sorted(f"{TOPIC}:{index}:{end}" for index, end in ends.items()), "kafka-get-offsets")
    wanted, end = {index: (offset, offset, 0) for index, offset in ends.items()}, time.monotonic() + BACK_WITHIN_S
    while (lags := lags_of(ask(stage, "kafka-consumer-groups", "--describe", "--group", GROUP))) != wanted:
        check(time.monotonic() < end, f"kafka-consumer-groups says, as (committed, end, lag): {lags}; wanted: {wanted}")
    return f"{sum(ends.values())} records by kafka-get-offsets, and no lag by kafka-consumer-groups"


def lags_of(text):
    row = re.compile(rf"{GROUP}\s+{TOPIC}\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s")
    return {int(index): (int(committed), int(end), int(lag)) for index, committed, end, lag in row.findall(text)}


CASES = {"kafka-topics --describe": described,
         "kafka-reassign-partitions --generate": generated,
         "kafka-reassign-partitions --execute, --verify, --list, --cancel": executed,
         "kafka-reassign-partitions: a rollback": rolled_back,
         "kafka-reassign-partitions --throttle": throttled,
         "kafka-reassign-partitions: fewer replicas": fewer_replicas,
         "kafka-topics --create --replica-assignment": assigned_by_hand,
         "kafka-leader-election --all-topic-partitions": all_come_home,
         "kafka-leader-election --topic --partition": one_comes_home,
         "kafka-leader-election --path-to-json-file": listed_come_home,
         "kafka-leader-election --election-type unclean": never_unclean,
         "bad requests": bad_requests,
         "a broker is dead": broker_is_dead}


def main():
    parser = argparse.ArgumentParser(description="Kafka's tools of leadership on three brokers")
    parser.add_argument("words", nargs="*", metavar="WORD")
    options = parser.parse_args()
    began, table = time.monotonic(), Table("tools")
    print(f"tools: {binary()}, tools of Kafka {peers.KAFKA}", flush=True)
    wanted = {title: case for title, case in CASES.items() if not options.words or any(word in title for word in options.words)}
    if not wanted:
        sys.exit(f"no case has any of these words: {' '.join(options.words)}")
    with Stage(len(NUMBERS), members=1, settings=SETTINGS) as stage:
        def play(case, ways_to):
            text = case(stage)
            stage.settle(ways_to)
            return text
        for title, case in wanted.items():
            table.case(title, lambda: play(case, None if case is broker_is_dead else ()))
        table.case("kafka-get-offsets, kafka-consumer-groups", lambda: nothing_is_missing(stage))
        table.case("what is left", stage.judge)
        if table.counts["FAIL"]:
            print(f"      broker logs and events: {stage.brokers.keep()}", flush=True)
    return table.finish(began)


if __name__ == "__main__":
    sys.exit(main())
