"""Clients that Debian does not have: librdkafka 2.15 from npm's package, which the conformance tests build, and Kafka's own."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(ROOT, ".cache")
sys.path.insert(0, os.path.join(ROOT, "tools"))
import kafka_jars  # noqa: E402

KAFKA = kafka_jars.VERSION


def with_librdkafka_2_15():
    """What a program's environment needs to take it instead of Debian's."""
    sys.path.insert(0, os.path.join(ROOT, "tests", "conformance"))
    import librdkafka
    return {"LD_LIBRARY_PATH": os.path.join(os.path.dirname(librdkafka.prepare(os.path.join(CACHE, "conformance"))), "src")}


def use_librdkafka_2_15():
    """Runs this program again with it: Python's client takes whatever library it finds."""
    environment = with_librdkafka_2_15()
    folder = environment["LD_LIBRARY_PATH"]
    if os.environ.get("LD_LIBRARY_PATH", "").split(":")[0] != folder:
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **environment})


def java_classes(source):
    """The class path of a program of ours beside Kafka's client, fetched and compiled if they are not here yet."""
    libs = kafka_jars.fetch("kafka-clients", "kafka-clients")
    classes = os.path.join(os.path.dirname(libs), "classes")
    compiled = os.path.join(classes, os.path.basename(source).replace(".java", ".class"))
    if not os.path.exists(compiled) or os.path.getmtime(compiled) < os.path.getmtime(source):
        subprocess.run(["javac", "-d", classes, "-cp", os.path.join(libs, "*"), source], check=True)
    return f"{classes}:{libs}/*"
