#include <algorithm>

#include "broker/config_keys.h"

// The keys of a Kafka broker, in three classes, and ours.

namespace paceline::broker {
namespace {

constexpr KeyClass kHonour = KeyClass::honoured;
constexpr KeyClass kAccept = KeyClass::accepted;
constexpr KeyClass kRefuse = KeyClass::refused;
constexpr std::string_view kLongMax = "9223372036854775807";
using enum ConfigType;

// Exact names first, families at the end; for a refused key the documentation says why and what
// to do instead.
constexpr KeySpec kBrokerKeys[] = {
    // Identity and network.
    {"node.id", int32, "1", kHonour, "The id of this broker."},
    {"broker.id", int32, "1", kHonour, "The id of this broker; node.id is stronger."},
    {"cluster.id", string, "", kHonour, "The cluster this broker must belong to.", false},
    {"process.roles", list, "broker", kHonour,
     "Roles of the process; a broker needs no controller."},
    {"listeners", list, "PLAINTEXT://127.0.0.1:9092", kHonour, "Addresses to bind."},
    {"advertised.listeners", list, "", kHonour, "Addresses that clients are told.", false},
    {"listener.security.protocol.map", string, "PLAINTEXT:PLAINTEXT", kHonour,
     "Protocols by listener name."},
    {"inter.broker.listener.name", string, "", kHonour, "The listener that brokers use.", false},
    {"security.inter.broker.protocol", string, "PLAINTEXT", kHonour,
     "The protocol between brokers."},
    {"broker.rack", string, "", kHonour, "The zone of this broker.", false},
    {"replica.selector.class", class_name,
     "org.apache.kafka.common.replica.RackAwareReplicaSelector", kHonour,
     "Whether consumers that name a client.rack read uploaded records from a broker of it; "
     "...LeaderSelector: they do not. No other class can be loaded."},
    {"socket.request.max.bytes", int32, "104857600", kHonour, "The largest request."},
    {"socket.listen.backlog.size", int32, "50", kAccept, "The system's own backlog is used."},
    {"max.connections", int32, "20000", kHonour, "Connections of the broker."},
    {"max.connections.per.ip", int32, "2000", kHonour, "Connections of one address."},
    {"max.connection.creation.rate", int32, "2000", kHonour,
     "Connections served a second; who comes faster waits."},
    {"connections.max.idle.ms", int64, "600000", kHonour, "When an idle connection is closed."},
    // Topics.
    {"auto.create.topics.enable", boolean, "true", kHonour,
     "Create a topic when a client asks for it."},
    {"delete.topic.enable", boolean, "true", kHonour, "Whether topics can be deleted."},
    {"num.partitions", int32, "1", kHonour, "Partitions of a topic whose creator does not say."},
    {"default.replication.factor", int32, "1", kHonour, "Reported; durability is the store's."},
    {"min.insync.replicas", int32, "1", kHonour, "Stored and reported; durability is the store's."},
    // Records and retention.
    {"message.max.bytes", int32, "1048588", kHonour, "The largest batch, as compressed."},
    {"fetch.max.bytes", int32, "57671680", kHonour, "The largest answer to a fetch."},
    {"log.retention.ms", int64, "", kHonour, "The age above which records go.", false},
    {"log.retention.minutes", int32, "", kHonour, "The age above which records go.", false},
    {"log.retention.hours", int32, "168", kHonour, "The age above which records go."},
    {"log.retention.bytes", int64, "-1", kHonour,
     "The size of a partition above which old records go."},
    {"log.retention.check.interval.ms", int64, "300000", kHonour, "How often retention looks."},
    {"log.cleanup.policy", list, "delete", kHonour, "What happens to old records."},
    {"log.roll.ms", int64, "", kHonour, "A hint for when old records may go.", false},
    {"log.roll.hours", int32, "168", kHonour, "A hint for when old records may go."},
    {"log.segment.bytes", int32, "1073741824", kHonour, "A hint for when old records may go."},
    {"log.message.timestamp.type", string, "CreateTime", kHonour,
     "Whose clock a record's time is from."},
    {"log.message.timestamp.before.max.ms", int64, kLongMax, kHonour,
     "How far a timestamp may lie back."},
    {"log.message.timestamp.after.max.ms", int64, "3600000", kHonour,
     "How far a timestamp may lie ahead."},
    {"compression.type", string, "producer", kHonour,
     "The final codec; producer keeps the sender's."},
    {"compression.gzip.level", int32, "-1", kHonour, "The level when the broker compresses."},
    {"compression.lz4.level", int32, "9", kHonour, "The level when the broker compresses."},
    {"compression.zstd.level", int32, "3", kHonour, "The level when the broker compresses."},
    {"log.cleaner.delete.retention.ms", int64, "86400000", kHonour, "How long tombstones stay."},
    {"log.cleaner.min.compaction.lag.ms", int64, "0", kHonour,
     "The earliest time to compact a record."},
    {"log.cleaner.max.compaction.lag.ms", int64, kLongMax, kHonour,
     "The latest time to compact a record."},
    {"log.cleaner.min.cleanable.ratio", real, "0.5", kHonour, "How much must be new to compact."},
    // Groups and producers.
    {"group.min.session.timeout.ms", int32, "6000", kHonour, "The shortest session of a member."},
    {"group.max.session.timeout.ms", int32, "1800000", kHonour, "The longest session of a member."},
    {"group.max.size", int32, "5000", kHonour, "Members of one group."},
    {"group.initial.rebalance.delay.ms", int32, "3000", kHonour,
     "How long a new group waits for members."},
    {"offsets.retention.minutes", int32, "10080", kHonour,
     "How long offsets of an empty group stay."},
    {"offset.metadata.max.bytes", int32, "4096", kHonour, "Metadata of a committed offset."},
    {"offsets.topic.num.partitions", int32, "50", kHonour,
     "Partitions of __consumer_offsets, when it is made."},
    {"producer.id.expiration.ms", int32, "86400000", kHonour,
     "How long an idle producer is remembered."},
    {"unclean.leader.election.enable", boolean, "false", kAccept, "A clean leader always exists."},
    // Ours.
    {"paceline.admin.listen", string, "127.0.0.1:9644", kHonour,
     "Where metrics and health are served; none."},
    {"paceline.shards", int32, "0", kHonour, "Threads that serve; 0 = one a core."},
    {"paceline.memory.bytes", int64, "1073741824", kHonour, "The broker's memory budget."},
    {"paceline.upload.bytes", int64, "67108864", kHonour,
     "Un-uploaded bytes that start an upload; at most a sixteenth of the memory."},
    {"paceline.upload.age.ms", int64, "20000", kHonour,
     "The age of un-uploaded bytes that starts one."},
    {"paceline.events", string, "topic", kHonour,
     "Where events are, besides events.jsonl: topic (__paceline_events), or log: nowhere else."},
    {"paceline.upload.compress", boolean, "false", kHonour,
     "Whether blocks of objects are packed with zstd where that saves a tenth or more."},
    {"paceline.test.forget.unsynced", boolean, "false", kHonour,
     "Crash tests: what was not synced dies with the process."},
    {"paceline.metadata", password, "", kHonour,
     "Where metadata are: etcd://HOST:2379,.../PREFIX; empty: SQLite in the data folder."},
    {"paceline.objects", password, "", kHonour,
     "Where objects are: s3://BUCKET/PREFIX?..., file:FOLDER; empty: in the data folder."},
    {"paceline.wal", string, "", kHonour,
     "Where the WAL is: objects:, file:FOLDER; empty: in the data folder."},
    {"paceline.wal.window.ms", int32, "25", kHonour,
     "How long appends gather for one object of the WAL while others are on their way."},
    {"paceline.peer.listen", string, "", kHonour,
     "The port for other brokers, HOST:PORT or none; empty: the first listener's host and any "
     "port. Used where metadata are shared."},
    {"paceline.peer.advertised", string, "", kHonour,
     "What other brokers are told, HOST:PORT; empty: the first advertised listener's host and the "
     "port that was bound."},
    {"paceline.peer.ping.ms", int32, "100", kHonour, "How often brokers ping each other."},
    {"paceline.peer.silence.ms", int32, "1000", kHonour,
     "How long a broker may be silent until others ask each other whether it is dead."},
    {"paceline.lease.ms", int32, "5000", kHonour,
     "Where metadata are shared: a broker that was not heard of for so long is fenced, whatever "
     "else is known; whole seconds, rounded up."},
    {"paceline.forward.ms", int64, "360000", kHonour,
     "How long requests for a partition that was moved away are sent on to its new leader; longer "
     "than clients' metadata.max.age.ms."},
    {"paceline.drain.ms", int64, "30000", kHonour,
     "How long a planned end may take to give away what the broker leads."},
    {"paceline.drain.forward.ms", int64, "10000", kHonour,
     "How long it then goes on sending requests to new leaders, while any come."},
    {"auto.leader.rebalance.enable", boolean, "true", kHonour,
     "Whether leaders return to where they are preferred, and all brokers are given their share, "
     "by "
     "itself; paceline.balance.enabled is the same."},
    {"paceline.balance.enabled", boolean, "true", kHonour,
     "Whether leadership is balanced by itself, between brokers that are connected to each other; "
     "paceline cluster balance does it on demand."},
    {"paceline.balance.interval.ms", int64, "5000", kHonour,
     "How often brokers are asked what they serve; and a second after one has come or gone."},
    {"paceline.balance.tolerance", real, "0.1", kHonour,
     "How far a broker may be from what is due to it, of partitions or of load, until anything "
     "moves; then all come to half of it."},
    {"paceline.balance.hold.ms", int64, "30000", kHonour,
     "How long a partition that has moved stays; it may return to where it is preferred."},
    // Of no meaning here.
    {"log.dir", string, "", kAccept, "Use --data; brokers own no data.", false},
    {"log.dirs", string, "", kAccept, "Use --data; brokers own no data.", false},
    {"log.preallocate", boolean, "false", kAccept, "Files are not the user's to preallocate."},
    {"log.index.interval.bytes", int32, "4096", kAccept, "Indexes are made by blocks."},
    {"log.index.size.max.bytes", int32, "10485760", kAccept, "Indexes are made by blocks."},
    {"log.segment.delete.delay.ms", int64, "60000", kAccept, "Files are not the user's to delay."},
    {"log.flush.interval.messages", int64, kLongMax, kAccept,
     "Every record is durable before its acknowledgement."},
    {"log.flush.interval.ms", int64, "", kAccept,
     "Every record is durable before its acknowledgement.", false},
    {"log.flush.scheduler.interval.ms", int64, kLongMax, kAccept,
     "Every record is durable before its acknowledgement."},
    {"log.roll.jitter.ms", int64, "", kAccept, "There are no segments to jitter.", false},
    {"log.roll.jitter.hours", int32, "0", kAccept, "There are no segments to jitter."},
    {"log.local.retention.ms", int64, "-2", kAccept, "All data is in the object store."},
    {"log.local.retention.bytes", int64, "-2", kAccept, "All data is in the object store."},
    {"num.network.threads", int32, "3", kAccept, "One thread a core does everything."},
    {"num.io.threads", int32, "8", kAccept, "One thread a core does everything."},
    {"background.threads", int32, "10", kAccept, "One thread a core does everything."},
    {"num.recovery.threads.per.data.dir", int32, "2", kAccept, "Recovery reads only the tail."},
    {"socket.send.buffer.bytes", int32, "102400", kAccept, "The system tunes buffers itself."},
    {"socket.receive.buffer.bytes", int32, "102400", kAccept, "The system tunes buffers itself."},
    {"queued.max.requests", int32, "500", kAccept, "Requests are bounded in bytes."},
    {"queued.max.request.bytes", int64, "-1", kAccept, "paceline.memory.bytes bounds requests."},
    {"controller.listener.names", string, "", kAccept, "There is no controller listener.", false},
    {"controller.quorum.voters", list, "", kAccept, "Metadata is in SQLite or etcd.", false},
    {"controller.quorum.bootstrap.servers", list, "", kAccept, "Metadata is in SQLite or etcd.",
     false},
    {"controller.socket.timeout.ms", int32, "30000", kAccept, "Metadata is in SQLite or etcd."},
    {"inter.broker.protocol.version", string, "", kAccept,
     "Brokers of all builds talk to each other.", false},
    {"log.message.format.version", string, "", kAccept, "Records are always stored as format 2.",
     false},
    {"controlled.shutdown.enable", boolean, "true", kAccept, "A stop is always a controlled one."},
    {"broker.session.timeout.ms", int32, "9000", kAccept, "See paceline.lease.ms."},
    {"broker.heartbeat.interval.ms", int32, "2000", kAccept, "See paceline.peer.ping.ms."},
    {"max.incremental.fetch.session.cache.slots", int32, "1000", kAccept,
     "Fetch sessions are declined."},
    // Would promise what we do not do.
    {"zookeeper.connect", string, "", kRefuse, "ZooKeeper is not used; remove it", false},
    {"principal.builder.class", class_name, "", kRefuse,
     "plug-in classes cannot be loaded; remove it", false},
    {"create.topic.policy.class.name", class_name, "", kRefuse,
     "plug-in classes cannot be loaded; remove it", false},
    {"alter.config.policy.class.name", class_name, "", kRefuse,
     "plug-in classes cannot be loaded; remove it", false},
    {"client.quota.callback.class", class_name, "", kRefuse,
     "plug-in classes cannot be loaded; remove it", false},
    {"authorizer.class.name", class_name, "", kRefuse,
     "access control is not built yet; remove it and keep the port private", false},
    {"super.users", string, "", kRefuse, "access control is not built yet; remove it", false},
    {"allow.everyone.if.no.acl.found", boolean, "", kRefuse,
     "access control is not built yet; remove it", false},
    {"connections.max.reauth.ms", int64, "", kRefuse, "authentication is not built yet; remove it",
     false},
    // Families.
    {"zookeeper.*", string, "", kRefuse, "ZooKeeper is not used; remove it", false},
    {"sasl.*", string, "", kRefuse,
     "authentication is not built yet; remove it and keep the port private", false},
    {"ssl.*", string, "", kRefuse, "TLS is not built yet; remove it and keep the port private",
     false},
    {"listener.name.*", string, "", kRefuse, "TLS and authentication are not built yet; remove it",
     false},
    {"quota.*", string, "", kRefuse, "quotas are not built yet; remove it", false},
    {"metadata.log.*", string, "", kAccept, "Metadata is in SQLite or etcd.", false},
    {"metadata.max.*", string, "", kAccept, "Metadata is in SQLite or etcd.", false},
    {"log.cleaner.*", string, "", kAccept, "Compaction is not built yet.", false},
    {"replica.*", string, "", kAccept, "There is no replication.", false},
    {"num.replica.*", string, "", kAccept, "There is no replication.", false},
    {"follower.replication.*", string, "", kAccept, "There is no replication.", false},
    {"leader.replication.*", string, "", kAccept, "There is no replication.", false},
    {"leader.imbalance.*", string, "", kAccept, "See paceline.balance.*.", false},
    {"replication.quota.*", string, "", kAccept, "There is no replication.", false},
    {"offsets.*", string, "", kAccept, "Offsets are kept by the coordinator.", false},
    {"transaction.*", string, "", kAccept, "Transactions are not built yet.", false},
    {"transactional.*", string, "", kAccept, "Transactions are not built yet.", false},
    {"share.*", string, "", kAccept, "Share groups are not built yet.", false},
    {"group.*", string, "", kAccept, "Only classic groups are built.", false},
    {"controlled.shutdown.*", string, "", kAccept, "A stop is always a controlled one.", false},
    {"controller.*", string, "", kAccept, "Metadata is in SQLite or etcd.", false},
    {"remote.log.*", string, "", kAccept, "All data is in the object store.", false},
    {"metric.reporters", list, "", kAccept, "Metrics are served over HTTP.", false},
    {"metrics.*", string, "", kAccept, "Metrics are served over HTTP.", false},
    {"kafka.metrics.*", string, "", kAccept, "Metrics are served over HTTP.", false},
    {"confluent.*", string, "", kAccept, "Not Kafka's.", false},
    {"unstable.*", string, "", kAccept, "Nothing unstable is built.", false},
    {"eligible.leader.replicas.enable", boolean, "", kAccept, "There is no replication.", false},
    {"producer.id.expiration.check.interval.ms", int32, "", kAccept, "Checked with retention.",
     false},
    {"password.encoder.*", string, "", kAccept, "No passwords are stored.", false},
    {"delegation.token.*", string, "", kAccept, "Tokens are not built.", false},
    {"*.purgatory.purge.interval.requests", int32, "", kAccept, "There is no purgatory.", false},
    {"*.callback.handler.class", class_name, "", kRefuse,
     "plug-in classes cannot be loaded; remove it", false},
    {"security.providers", string, "", kRefuse, "plug-in classes cannot be loaded; remove it",
     false},
    {"log.message.downconversion.enable", boolean, "", kAccept, "Old formats are not served.",
     false},
    {"initial.broker.registration.timeout.ms", int32, "", kAccept,
     "Registration is one transaction.", false},
    {"server.max.startup.time.ms", int64, "", kAccept, "There is nothing to wait for.", false},
    {"reserved.broker.max.id", int32, "", kAccept, "Ids are not generated.", false},
    {"broker.id.generation.enable", boolean, "", kAccept, "Ids are not generated.", false},
    {"auto.include.jmx.reporter", boolean, "", kAccept, "Metrics are served over HTTP.", false},
    {"alter.log.dirs.*", string, "", kAccept, "There are no log folders.", false},
    {"early.start.listeners", string, "", kAccept, "There is no controller listener.", false},
    {"control.plane.listener.name", string, "", kAccept, "There is no controller listener.", false},
    {"telemetry.max.bytes", int32, "", kAccept, "Client telemetry is not built yet.", false},
    {"max.connections.per.ip.overrides", string, "", kAccept, "One bound holds for all addresses.",
     false},
    {"connection.failed.authentication.delay.ms", int32, "", kAccept,
     "Authentication is not built yet.", false},
    {"max.request.partition.size.limit", int32, "", kAccept, "Requests are bounded in bytes.",
     false},
};

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  if (pattern.starts_with('*')) return name.ends_with(pattern.substr(1));
  return pattern == name;
}

// Levenshtein, over names of a few dozen characters.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const KeySpec> broker_keys() {
  return kBrokerKeys;
}

const KeySpec* find_broker_key(std::string_view name) {
  for (const KeySpec& spec : kBrokerKeys) {
    if (matches(spec.name, name)) return &spec;
  }
  return nullptr;
}

std::optional<std::string> refused_value(std::string_view key, std::string_view value) {
  if (key == "unclean.leader.election.enable" && value == "true")
    return "a clean leader always exists; remove it";
  if (key == "remote.log.storage.system.enable" && value == "true")
    return "all data is already in the object store; remove it";
  if (key == "process.roles" && value == "controller")
    return "there is no separate controller; use broker, or broker,controller";
  if (key == "replica.selector.class" && !value.empty() && !value.ends_with(".LeaderSelector") &&
      !value.ends_with(".RackAwareReplicaSelector"))
    return "plug-in classes cannot be loaded; remove it";
  if (find_topic_key(key) && !value.empty()) {
    auto checked = TopicConfigs({}).check_topic({{std::string(key), std::string(value)}});
    if (!checked) return std::move(checked).error().message;
  }
  return std::nullopt;
}

std::string_view nearest_broker_key(std::string_view name) {
  std::string_view best;
  size_t best_distance = 4;  // further than three typing errors is another key
  for (const KeySpec& spec : kBrokerKeys) {
    if (spec.name.contains('*')) continue;
    const size_t d = distance(name, spec.name);
    if (d < best_distance) {
      best_distance = d;
      best = spec.name;
    }
  }
  return best;
}

}  // namespace paceline::broker
