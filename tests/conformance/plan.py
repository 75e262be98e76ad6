"""Which of librdkafka's tests are run, in which gate and how."""
import re
from dataclasses import dataclass

# What the tests run against: one broker, or three on one etcd while a random leader moves every 2 s.
ONE, THREE = "one broker", "three brokers, leaders move"
GATES = {
    "g1": "produce and consume, auto-created topics", "g2": "CreateTopics", "g3": "groups",
    "g4": "offsets by time", "g5": "idempotence, retries, slow and broken connections", "g6": "record errors",
    "g7": "transactions", "g8": "admin", "g9": "authentication, authorisation, TLS",
    "g10": "topics deleted and created again", "g11": "racks", "g12": "share groups",
}
DEFAULT_TESTS = {
    "g1": "0001 0002 0003 0005 0007 0008 0012 0013 0016 0021 0035 0036 0038 0039 0041 0053 0057 0063 0065 0067 "
          "0070 0110 0123 0127",
    "g2": "0034 0044 0048 0086 0114 0125",
    "g3": "0014 0015 0017 0018 0019 0020 0022 0026 0029 0030 0031 0033 0040 0042 0045 0049 0050 0051 0056 0060 0064 "
          "0069 0073 0082 0083 0084 0085 0089 0091 0093 0099 0102 0112 0118 0122 0130 0132 0140",
    "g4": "0052 0054 0059",
    # All but 0090 slow the client's own sockets down, or cut them.
    "g5": "0075 0076 0088 0090 0094", "g6": "0011", "g11": "0101",
}
# Tests of which only some sub-tests can be run here: how often each sub-test runs. A name is a
# function of the test, or else a part of what the runner prints for the sub-test.
SUBTESTS = {
    ("0113", "g3"): {
        "a_assign_tests": 1, "b_subscribe_with_cb_test": 2, "c_subscribe_no_cb_test": 2,
        "d_change_subscription_add_topic": 2, "e_change_subscription_remove_topic": 2,
        "f_assign_call_cooperative": 1, "g_incremental_assign_call_eager": 1, "h_delete_topic": 1,
        "i_delete_topic_2": 1, "j_delete_topic_no_rb_callback": 1, "k_add_partition": 1, "l_unsubscribe": 1,
        "m_unsubscribe_2": 1, "n_wildcard": 1, "s_subscribe_when_rebalancing": 6,
        "t_max_poll_interval_exceeded": 3, "u_multiple_subscription_changes": 6, "v_commit_during_rebalance": 3,
        "x_incremental_rebalances": 1,
    },
    ("0055", "g2"): {name: 1 for name in (
        "standard settings", "low linger.ms", "microsecond linger.ms", "high linger.ms", "linger.ms < 1000",
        "no acks", "idempotence (10ms)")},
    ("0061", "g3"): {"lag without transactions": 1},
    ("0137", "g3"): {
        "do_test_consume_batch_with_seek": 1, "do_test_consume_batch_store_offset": 1,
        "do_test_consume_batch_with_pause_and_resume_different_batch": 1,
        "do_test_consume_batch_with_pause_and_resume_same_batch": 1, "do_test_consume_batch_eof_position": 1,
    },
    # As a producer and as a consumer.
    ("0081", "g8"): {
        "do_test_unclean_destroy": 4, "do_test_CreateTopics": 8, "do_test_DeleteTopics": 2,
        "do_test_CreatePartitions": 2, "do_test_DescribeConfigs": 2, "do_test_DeleteRecords": 4,
        "do_test_ListConsumerGroups": 8, "do_test_DescribeConsumerGroups": 4, "do_test_DescribeTopics": 8,
        "do_test_DescribeCluster": 8, "do_test_DeleteGroups": 4, "do_test_DeleteConsumerGroupOffsets": 6,
        "do_test_ListOffsets": 4, "do_test_AlterConsumerGroupOffsets": 8, "do_test_ListConsumerGroupOffsets": 12,
    },
}
# Sub-tests that return early, without saying that they passed: how often this one does say so.
SAID_PASSES = {"b_subscribe_with_cb_test": 1}
# With -P every producer is idempotent: these once more.
IDEMPOTENT = ("0001 0002 0003 0005 0008 0012 0013 0014 0015 0017 0022 0026 0029 0030 0036 0038 0039 0041 0044 "
              "0048 0054 0064 0065 0070 0073 0085 0086 0090 0093 0110 0112 0125")
# These count rebalances, or wait for one, and want all members to be there before the first one.
# Kafka's own default of group.initial.rebalance.delay.ms sees to that; the 0 that saves the other
# tests time does not.
DELAYED = ("0089", "0102", "l_unsubscribe")
# Tests that only print what they find: what they must not have said.
SAID_NEVER = {"0101": ("expecting three replicas", "rxbytes was not highest", "expecting rxbytes of client.rack")}
# Tests that one of the two cannot pass for a reason of the test's own: (test, mode) -> why.
EXCLUDED_ON = {
    ONE: {("0101", "default"): "several brokers"},
    THREE: {
        ("0081 do_test_DescribeConsumerGroups", "default"):
            "wants static members with sessions of 6 s gone 6 s after they closed; where their coordinator has moved "
            "meanwhile, sessions begin anew, as in Kafka",
        ("0101", "default"):
            "wants records that are 0.2 s old read in the consumer's rack; here the leader serves what is not uploaded "
            "(docs/behaviours.md, 49). It only prints that, so its runner says passed",
    },
}
# Never counted as passed: every other test that wants a broker. (tests, gate, why)
EXCLUDED = (
    ("0103 0129", "g7", "transactions"),
    ("0098", "g7", "transactions, and Kafka's Java client"),
    ("0055 transactions (35ms)", "g7", "transactions"),
    ("0061 lag with transactions", "g7", "transactions"),
    ("0137 do_test_consume_batch_control_msgs", "g7", "transactions"),
    ("0081 do_test_AlterConfigs", "g8", "SASL: changes a SASL setting of the broker"),
    ("0081 do_test_IncrementalAlterConfigs", "g8", "SASL: changes a SASL setting of the broker"),
    ("0081 do_test_UserScramCredentials", "g8", "SASL"),
    ("0081 do_test_DescribeConsumerGroups_with_authorized_ops", "g8", "SASL, ACLs"),
    ("0081 do_test_CreateAcls, do_test_DescribeAcls, do_test_DeleteAcls", "g8", "ACLs"),
    ("0081 do_test_DescribeConfigs_groups", "g8", "settings of KIP-848 groups"),
    ("0097", "g9", "TLS"),
    ("0109 0115 0119", "g9", "ACLs"),
    ("0126 0135 0142", "g9", "SASL"),
    ("0077", "g6", "compaction by key"),
    ("0170 0171 0172 0173 0174 0175 0176 0177 0178 0179 0180 0181 0184 0185", "g12", "share groups (Kafka 4.2)"),
    ("0113 o_java_interop", "g3", "needs Kafka's Java client"),
    ("0028 0047", "g1", "known issues of librdkafka, which its runner leaves out"),
    ("0092", "g6", "message formats that Kafka 4.0 does not know either; skips itself"),
    ("0139 0150", "g4", "mock only: never talk to a broker"),
    ("0068", "g5", "passes without a broker too"),
)


@dataclass(frozen=True)
class Case:
    """One process of the test runner."""
    number: str
    gate: str
    mode: str = ""            # "", "idempotent", "noautocreate" or "delayed"
    subtest: str = ""         # only this one
    rows: int = 1             # PASSED rows of the summary that it must have
    begun: int = 0            # how often the sub-test must have begun
    said_passes: int = 0      # and how often it must have said that it passed
    said_never: tuple = ()    # what it must not have said

    @property
    def name(self):
        return f"{self.number} {self.subtest}".strip()

    @property
    def key(self):
        return self.name, self.mode or "default"

    @property
    def slug(self):
        """For names of files and topics."""
        return "-".join(part for part in (self.number, re.sub(r"\W+", "_", self.subtest), self.mode) if part)

    @property
    def filter(self):
        """What the runner's SUBTESTS, a part of the printed name, must be. No other function of
        the same beginning may match."""
        return self.subtest + ":" if self.subtest.isidentifier() else self.subtest


def cases():
    """All that run against one broker or against three."""
    planned = [Case(number, gate, mode_of(number), rows=3 if number == "0045" else 1,
                    said_never=SAID_NEVER.get(number, ()))
               for gate, numbers in DEFAULT_TESTS.items() for number in numbers.split()]
    planned += [Case(number, gate, mode_of(name), name, begun=runs, said_passes=SAID_PASSES.get(name, runs))
                for (number, gate), names in SUBTESTS.items() for name, runs in names.items()]
    planned += [Case(number, "g5", "idempotent") for number in IDEMPOTENT.split()]
    planned += [Case("0045", "g10", "noautocreate", rows=2), Case("0107", "g10", "noautocreate"),
                Case("0111", "g10", "noautocreate")]
    return planned


def mode_of(name):
    return "delayed" if name in DELAYED else ""


def unnamed(numbers):
    """Those of the runner's tests that are neither run nor excluded with a reason."""
    named = {case.number for case in cases()}
    named.update(word for tests, _, _ in EXCLUDED for word in tests.split() if word.isdigit())
    return sorted(set(numbers) - named)
