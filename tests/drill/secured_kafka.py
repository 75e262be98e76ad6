"""Three brokers of Apache Kafka as it is where it matters: clients come by TLS, prove who they are by SASL, and may do what ACLs say.

Brokers, hooks and the rig itself come by a listener of their own, in plain bytes and as super users."""
import os
import struct
import subprocess

from harness import check, free_port
from wire import Wire

from kafka_target import KafkaTarget

USERS = {"drill": "tea-of-the-drill", "ada": "tea-of-ada", "mallory": "tea-of-mallory"}
TOPIC = "orders"
CREATE_ACLS, ALLOW = 30, 3
OF_TOPIC, OF_GROUP, OF_CLUSTER, OF_TRANSACTIONS = 2, 3, 4, 5
LITERAL, PREFIXED = 3, 4
EVERYTHING, WRITE, ALTER, DESCRIBE = 2, 4, 7, 8
# What docs/drill.md says that a drill needs.
OF_THE_DRILL = ((OF_TOPIC, "paceline-drill-", PREFIXED, EVERYTHING), (OF_TOPIC, "*", LITERAL, DESCRIBE),
                (OF_GROUP, "drill-", PREFIXED, EVERYTHING), (OF_TRANSACTIONS, "drill-", PREFIXED, EVERYTHING),
                (OF_CLUSTER, "kafka-cluster", LITERAL, ALTER), (OF_CLUSTER, "kafka-cluster", LITERAL, DESCRIBE))


def expect_log_bytes(evidence):
    """Brokers tell how much they hold to whoever has proved who it is, and so it is known whether old data was copied."""
    sizes = {one["figures"]["when"]: one["figures"].get("log_bytes") for one in evidence.events("storage.snapshot")}
    for when in ("before", "after"):
        check(sizes.get(when) is not None, f"the bytes of the brokers' logs are {sizes}")
    copied = evidence.report["recovery"]["historical_bytes_copied"]
    check(copied is not None, "it is not known whether data was copied that had been there before the fault")


class SecuredKafka(KafkaTarget):
    def __init__(self):
        super().__init__()
        self.secured = {number: free_port() for number in self.numbers}
        self.authority = os.path.join(self.folder, "ca.pem")
        self.make_certificates()
        self.environment.update({f"PASSWORD_OF_{name.upper()}": password for name, password in USERS.items()})

    def make_certificates(self):
        def openssl(*words):
            done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True, timeout=30)
            check(done.returncode == 0, f"openssl {words[0]}: {done.stderr[-300:]}")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=rig")
        openssl("req", "-x509", *key, "-keyout", "broker.key", "-out", "broker.pem", "-days", "2", "-subj", "/CN=broker",
                "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1")
        with open(os.path.join(self.folder, "store.pem"), "w", encoding="ascii") as store:
            for part in ("broker.key", "broker.pem"):
                with open(os.path.join(self.folder, part), encoding="ascii") as file:
                    store.write(file.read())

    def properties(self, number):
        path = super().properties(number)
        plain = " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
        login = "org.apache.kafka.common.security"
        with open(path, encoding="ascii") as file:
            lines = [f"{line},CLIENTS://127.0.0.1:{self.secured[number]}" if line.startswith("listeners=") else line
                     for line in file.read().splitlines()]
        lines += ["listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENTS:SASL_SSL",
                  "inter.broker.listener.name=PLAINTEXT",
                  "listener.name.clients.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
                  f"listener.name.clients.plain.sasl.jaas.config={login}.plain.PlainLoginModule required {plain};",
                  *(f"listener.name.clients.scram-sha-{bits}.sasl.jaas.config={login}.scram.ScramLoginModule required;" for bits in (256, 512)),
                  "listener.name.clients.ssl.keystore.type=PEM", f"listener.name.clients.ssl.keystore.location={self.folder}/store.pem",
                  "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS"]
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def format_words(self):
        """Users of SCRAM are written down before there is anybody to ask."""
        return [word for name, password in USERS.items() for bits in (256, 512)
                for word in ("--add-scram", f'SCRAM-SHA-{bits}=[name="{name}",password="{password}"]')]

    def __enter__(self):
        super().__enter__()
        try:
            self.create(TOPIC, 6)
            self.allow("drill", *OF_THE_DRILL)
            self.allow("ada", (OF_TOPIC, TOPIC, LITERAL, WRITE))
        except BaseException:
            self.__exit__()
            raise
        return self

    def allow(self, user, *rules):
        def word(text):
            return struct.pack(">h", len(text)) + text.encode()
        body = struct.pack(">i", len(rules)) + b"".join(
            struct.pack(">b", kind) + word(name) + struct.pack(">b", pattern) + word(f"User:{user}") + word("*")
            + struct.pack(">bb", operation, ALLOW) for kind, name, pattern, operation in rules)
        with Wire(self.address(self.numbers[0]), 30) as wire:
            answer = wire.call(CREATE_ACLS, 1, body)
        at = 8  # behind the throttle time and the count
        for rule in rules:
            error, length = struct.unpack_from(">hh", answer, at)
            check(error == 0, f"Kafka does not take the ACL {rule}: error {error}")
            at += 4 + max(length, 0)

    def where(self):
        return ["--bootstrap", ",".join(f"127.0.0.1:{port}" for port in self.secured.values()), "--profile", "kafka"]

    def client(self, user, mechanism="SCRAM-SHA-512"):
        """Settings of a plan's client."""
        return {"security.protocol": "SASL_SSL", "sasl.mechanism": mechanism, "sasl.username": user,
                "sasl.password": f"env:PASSWORD_OF_{user.upper()}", "ssl.ca.location": self.authority}
