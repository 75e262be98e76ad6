"""Clients that Debian does not have: librdkafka 2.15 from npm's package, which the conformance tests build, and Kafka's own."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(ROOT, ".cache")
KAFKA = "4.4.0"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>paceline</groupId><artifactId>clients</artifactId><version>1</version>
<packaging>pom</packaging>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId>
<version>{KAFKA}</version></dependency></dependencies></project>
"""


def use_librdkafka_2_15():
    """Runs this program again with it: Python's client takes whatever library it finds."""
    sys.path.insert(0, os.path.join(ROOT, "tests", "conformance"))
    import librdkafka
    folder = os.path.join(os.path.dirname(librdkafka.prepare(os.path.join(CACHE, "conformance"))), "src")
    if os.environ.get("LD_LIBRARY_PATH", "").split(":")[0] != folder:
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "LD_LIBRARY_PATH": folder})


def java_classes(source):
    """The class path of a program of ours beside Kafka's client, fetched and compiled if they are not here yet."""
    cache = os.path.join(CACHE, "kafka-clients", KAFKA)
    libs, classes = os.path.join(cache, "libs"), os.path.join(cache, "classes")
    if not os.path.exists(os.path.join(cache, "complete")):
        os.makedirs(cache, exist_ok=True)
        with open(os.path.join(cache, "pom.xml"), "w", encoding="utf-8") as file:
            file.write(_POM)
        subprocess.run(["mvn", "-q", "-ntp", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime",
                        f"-DoutputDirectory={libs}"], check=True, cwd=cache)
        with open(os.path.join(cache, "complete"), "w", encoding="utf-8"):
            pass
    compiled = os.path.join(classes, os.path.basename(source).replace(".java", ".class"))
    if not os.path.exists(compiled) or os.path.getmtime(compiled) < os.path.getmtime(source):
        subprocess.run(["javac", "-d", classes, "-cp", os.path.join(libs, "*"), source], check=True)
    return f"{classes}:{libs}/*"
