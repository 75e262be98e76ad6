"""Three brokers of Apache Kafka (tests/cluster/kafka_cluster.py) whose hooks are kafka_hooks.toml; alone, or each a host of its own."""
import os
import signal

from kafka_cluster import READY_WITHIN_S, VERSION, KafkaCluster, kafka_jars

import hooking
from targets import Target

HERE = os.path.dirname(os.path.abspath(__file__))
# A time that says its zone: hooks read what brokers and controllers write down.
LOGGING = """status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS}{UTC}Z %p %m (%c)%n
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
logger.leaders.name = org.apache.kafka.controller.ReplicationControlManager
logger.leaders.level = DEBUG
"""


class KafkaTarget(KafkaCluster, Target):
    """Hooks find it in rig.json, and start again what has ended: it is not ours alone to know who runs."""

    def __init__(self, network=None):
        super().__init__(3, hosts=network and {number: network.host(f"broker-{number}") for number in (1, 2, 3)})
        self.network, self.home, self.bootstrap = network, self.folder, self.addresses
        self.hooks = os.path.join(HERE, "kafka_hooks.toml")
        self.rig_file = os.path.join(self.folder, "rig.json")
        self.environment = {"PACELINE_RIG": self.rig_file}
        with open(os.path.join(self.folder, "log4j2.properties"), "w", encoding="ascii") as file:
            file.write(LOGGING)

    @staticmethod
    def prepare():
        """The jars, if they are not here yet."""
        kafka_jars.broker(), kafka_jars.logging()

    def properties(self, number):
        path = super().properties(number)
        with open(path, "a", encoding="ascii") as file:
            # All brokers share one disk, and one that was killed reads each of its logs.
            file.write("transaction.state.log.num.partitions=5\noffsets.topic.num.partitions=5\n")
        return path

    def command(self, number):
        return [*self.hosts[number][1], *kafka_jars.java(f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties", "kafka.Kafka",
                                                         self.properties(number), beside=(kafka_jars.logging(),))]

    def __enter__(self):
        super().__enter__()
        with hooking.changing_rig(self.rig_file) as rig:
            rig["version"] = VERSION
            rig["brokers"] = {number: {"process": hooking.process(child.pid), "command": self.command(number), "address":
                                       self.address(number), "log": os.path.join(self.folder, f"{number}.log")}
                              for number, child in self.children.items()}
            if self.network:
                rig["hosts"] = self.network.hosts()
        return self

    def __exit__(self, *unused):
        if os.path.exists(self.rig_file):
            with hooking.changing_rig(self.rig_file) as rig:
                for one in rig.get("brokers", {}).values():
                    hooking.send(one["process"], signal.SIGKILL)
        super().__exit__()

    def leave(self):
        """All that there is of it goes with __exit__."""

    def brokers(self):
        with hooking.changing_rig(self.rig_file) as rig:
            return {int(number): one for number, one in rig["brokers"].items()}

    def owns(self, pid):
        return any(one["process"]["pid"] == pid for one in self.brokers().values())

    def where(self):
        return ["--bootstrap", self.bootstrap, "--profile", "kafka"]

    def services(self):
        return [(f"broker-{number}", "broker", one["process"]["pid"] if hooking.state_of(one["process"]) else None)
                for number, one in self.brokers().items()]

    def faults(self):
        wrong = super().faults()
        if not wrong and not self.whole_and_in_sync():
            wrong.append("replicas are behind")
        return wrong

    def whole_and_in_sync(self):
        return all(sorted(one.isrs) == sorted(one.replicas) for topic in self.metadata().topics.values()
                   for one in topic.partitions.values())

    def wait_whole(self, within=READY_WITHIN_S):
        return super().wait_whole(within)

    def logs(self):
        return [one["log"] for one in self.brokers().values()] + [self.rig_file]
