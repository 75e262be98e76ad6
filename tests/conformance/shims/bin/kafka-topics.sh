#!/usr/bin/python3
"""The part of Kafka's topic tool that librdkafka's tests call, on any admin client:

  --create --topic T --replication-factor N --partitions N [--config KEY=VALUE]...
  --alter --topic T --partitions N
  --delete --topic T
"""
import argparse
import os
import sys

from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic


def main():
    parser = argparse.ArgumentParser()
    for verb in ("create", "alter", "delete"):
        parser.add_argument(f"--{verb}", action="store_true")
    parser.add_argument("--bootstrap-server", default=os.environ.get("BROKERS"))
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--replication-factor", type=int, default=1)
    parser.add_argument("--config", action="append", default=[])
    parser.add_argument("--if-not-exists", action="store_true")
    options = parser.parse_args()
    client = AdminClient({"bootstrap.servers": options.bootstrap_server})
    if options.create:
        config = dict(pair.split("=", 1) for pair in options.config)
        done = client.create_topics([NewTopic(options.topic, options.partitions, options.replication_factor,
                                              config=config)])
    elif options.alter:
        done = client.create_partitions([NewPartitions(options.topic, options.partitions)])
    elif options.delete:
        done = client.delete_topics([options.topic])
    else:
        parser.error("one of --create, --alter, --delete")
    done[options.topic].result(30)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # the tests ask only for the status
        sys.exit(f"kafka-topics.sh: {error}")
