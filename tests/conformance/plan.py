"""Which of librdkafka's tests are run, in which gate and how."""
from dataclasses import dataclass

GATES = {
    "g1": "produce and consume, auto-created topics", "g2": "CreateTopics", "g3": "groups",
    "g4": "offsets by time", "g5": "idempotence", "g10": "topics deleted and created again",
}
DEFAULT_TESTS = {
    "g1": "0001 0002 0003 0005 0007 0008 0012 0013 0021 0035 0036 0038 0039 0041 0053 0057 0063 0065 0067 0070 "
          "0110 0123 0127",
    "g2": "0034 0044 0048 0086 0114 0125",
    "g3": "0014 0015 0017 0018 0019 0020 0022 0026 0029 0030 0031 0033 0040 0042 0045 0050 0051 0056 0060 0064 "
          "0073 0082 0083 0084 0085 0089 0091 0093 0099 0102 0112 0118 0122 0130 0132 0140",
    "g4": "0052 0054 0059",
    "g5": "0090",
}
# Sub-tests of 0113 with the number of times each one runs; it has one that needs Java.
COOPERATIVE = {
    "a_assign_tests": 1, "b_subscribe_with_cb_test": 2, "c_subscribe_no_cb_test": 2,
    "d_change_subscription_add_topic": 2, "e_change_subscription_remove_topic": 2,
    "f_assign_call_cooperative": 1, "g_incremental_assign_call_eager": 1, "h_delete_topic": 1,
    "i_delete_topic_2": 1, "j_delete_topic_no_rb_callback": 1, "k_add_partition": 1, "l_unsubscribe": 1,
    "m_unsubscribe_2": 1, "n_wildcard": 1, "s_subscribe_when_rebalancing": 6,
    "t_max_poll_interval_exceeded": 3, "u_multiple_subscription_changes": 6, "v_commit_during_rebalance": 3,
    "x_incremental_rebalances": 1,
}
# With -P every producer is idempotent: these once more.
IDEMPOTENT = ("0001 0002 0003 0005 0008 0012 0013 0014 0015 0017 0022 0026 0029 0030 0036 0038 0039 0041 0044 "
              "0048 0054 0064 0065 0070 0073 0085 0086 0090 0093 0110 0112 0125")
# Never counted as passed. (test, gate, why)
EXCLUDED = (
    ("0055", "g2", "transactions: its last sub-tests need them"),
    ("0094", "g5", "network emulation"),
    ("0113 o_java_interop", "g3", "needs Kafka's Java client"),
    ("0139", "g4", "mock only: never talks to a broker"),
)


@dataclass(frozen=True)
class Case:
    """One process of the test runner."""
    number: str
    gate: str
    mode: str = ""            # "", "idempotent", "noautocreate" or "delayed"
    subtest: str = ""         # only this one
    rows: int = 1             # PASSED rows of the summary that it must have
    subtest_runs: int = 0     # how often the sub-test must have begun

    @property
    def name(self):
        return f"{self.number} {self.subtest}".strip()

    @property
    def key(self):
        return self.name, self.mode or "default"


def cases():
    planned = [Case(number, gate, rows=3 if number == "0045" else 1)
               for gate, numbers in DEFAULT_TESTS.items() for number in numbers.split()]
    # l_unsubscribe counts rebalances and wants both members to be there before the first one.
    planned += [Case("0113", "g3", "delayed" if name == "l_unsubscribe" else "", name, subtest_runs=runs)
                for name, runs in COOPERATIVE.items()]
    planned += [Case(number, "g5", "idempotent") for number in IDEMPOTENT.split()]
    planned += [Case("0045", "g10", "noautocreate", rows=2), Case("0107", "g10", "noautocreate"),
                Case("0111", "g10", "noautocreate")]
    return planned
