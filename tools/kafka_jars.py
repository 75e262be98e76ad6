"""Apache Kafka's released jars, from Maven Central."""
import os
import subprocess

VERSION = "4.4.0"
LOG4J = "2.25.5"  # as its jars need
# What Kafka's own start script gives the JVM.
_JVM = ["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
        "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true"]
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def fetch(artifact, folder, group="org.apache.kafka", version=VERSION):
    """The artifact with all that it needs, in .cache/FOLDER/VERSION/libs: that folder, fetched if it is not here yet."""
    cache = os.path.join(_ROOT, ".cache", folder, version)
    libs = os.path.join(cache, "libs")
    if os.path.exists(os.path.join(cache, "complete")):
        return libs
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "pom.xml"), "w", encoding="utf-8") as file:
        file.write(f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>paceline</groupId><artifactId>jars</artifactId><version>1</version>
<packaging>pom</packaging>
<dependencies><dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>
<version>{version}</version></dependency></dependencies></project>
""")
    subprocess.run(["mvn", "-q", "-ntp", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime",
                    f"-DoutputDirectory={libs}"], check=True, cwd=cache)
    with open(os.path.join(cache, "complete"), "w", encoding="utf-8"):
        pass
    return libs


def broker():
    """The jars of a broker, if they are not here yet."""
    return fetch("kafka_2.13", "kafka")


def logging():
    """What a broker needs to write down what it does: in Kafka's own package it lies beside the jars, and is nobody's dependency."""
    return fetch("log4j-slf4j-impl", "kafka-logging", "org.apache.logging.log4j", LOG4J)


def java(*arguments, beside=()):
    """The command that runs a class of the broker's, as Kafka's own start script would. `beside`: more folders of jars."""
    return ["java", *_JVM, "-cp", ":".join(os.path.join(folder, "*") for folder in (broker(), *beside)), *arguments]
