#include "server/metrics_text.h"

#include "protocol/gen/api.h"
#include "server/event_metrics.h"
#include "server/prometheus.h"
#include "server/store_metrics.h"

namespace paceline::server {
namespace {

using broker::Metrics;
using Text = PrometheusText;

uint64_t total(broker::Node& node, std::atomic<uint64_t> Metrics::* counter) {
  uint64_t sum = 0;
  for (size_t shard = 0; shard < node.shard_count(); ++shard)
    sum += (node.host(shard).metrics.*counter).load(std::memory_order_relaxed);
  return sum;
}

void requests(Text& text, broker::Node& node) {
  text.describe("paceline_requests_total", "counter", "Requests answered, by API.");
  struct Row {
    std::string_view name;
    uint64_t count = 0, errors = 0, sum_us = 0;
    std::array<uint64_t, broker::Histogram::kBuckets> buckets{};
  };
  std::vector<Row> rows;
  for (const protocol::Api& api : protocol::kApis) {
    if (!api.served) continue;
    Row row{.name = api.name};
    for (size_t shard = 0; shard < node.shard_count(); ++shard) {
      const auto& of = node.host(shard).metrics.apis[static_cast<size_t>(api.key)];
      row.count += of.requests.load(std::memory_order_relaxed);
      row.errors += of.errors.load(std::memory_order_relaxed);
      row.sum_us += of.latency.sum_us.load(std::memory_order_relaxed);
      for (size_t bucket = 0; bucket < row.buckets.size(); ++bucket)
        row.buckets[bucket] += of.latency.counts[bucket].load(std::memory_order_relaxed);
    }
    rows.push_back(row);
  }
  for (const Row& row : rows)
    text.value("paceline_requests_total", fmt::format("api=\"{}\"", row.name), row.count);
  text.describe("paceline_request_errors_total", "counter",
                "Requests with an error in the answer, by API.");
  for (const Row& row : rows)
    text.value("paceline_request_errors_total", fmt::format("api=\"{}\"", row.name), row.errors);
  text.describe("paceline_request_seconds", "histogram",
                "From the request read to the answer made, by API.");
  for (const Row& row : rows)
    text.histogram("paceline_request_seconds", fmt::format("api=\"{}\"", row.name), row.buckets,
                   row.sum_us);
}

void storage(Text& text, broker::Node& node) {
  const stream::Stats stats = node.storage().stats();
  text.one("paceline_unuploaded_bytes", "gauge", "Durable in the WAL, not yet in objects.",
           stats.unuploaded_bytes);
  text.one("paceline_log_cache_bytes", "gauge", "Memory of the log cache.", stats.log_cache_bytes);
  text.one("paceline_block_cache_bytes", "gauge", "Memory of the block cache.",
           stats.block_cache_bytes);
  text.one("paceline_cache_hits_total", "counter", "Reads answered from memory.", stats.cache_hits);
  text.one("paceline_cache_misses_total", "counter", "Reads that went to the object store.",
           stats.cache_misses);
  text.one("paceline_uploads_total", "counter", "Objects committed.", stats.uploads);
  text.one("paceline_upload_failures_total", "counter", "Attempts to upload that failed.",
           stats.upload_failures);
  text.one("paceline_uploaded_bytes_total", "counter", "Bytes of committed objects.",
           stats.uploaded_bytes);
  text.one("paceline_compactions_total", "counter", "Objects that compaction has made.",
           stats.compactions);
  text.one("paceline_compaction_failures_total", "counter", "Attempts to compact that failed.",
           stats.compaction_failures);
  text.one("paceline_compacted_bytes_total", "counter",
           "Bytes of objects that compaction has made.", stats.compacted_bytes);
  text.one("paceline_deleted_objects_total", "counter", "Objects collected.",
           stats.deleted_objects);
}

struct PartitionRow {
  std::string topic;
  uint32_t index;
  int64_t start;
  int64_t end;
  uint64_t bytes;
  bool offline;
};

Task<std::vector<PartitionRow>> partitions_of(broker::ShardHost* host) {
  std::vector<PartitionRow> rows;
  for (const auto& [id, hosted] : host->hosted) {
    if (hosted->partition) {
      rows.push_back({hosted->topic, hosted->index, hosted->partition->log_start().value,
                      hosted->partition->high_watermark().value, hosted->partition->bytes(),
                      false});
    } else {
      rows.push_back({hosted->topic, hosted->index, -1, -1, 0, !hosted->offline.empty()});
    }
  }
  co_return rows;
}

// Per-partition series only up to this many: beyond it the totals have to do.
constexpr size_t kPartitionSeriesMax = 2'000;

void partitions(Text& text, const std::vector<PartitionRow>& rows) {
  const auto offline =
      std::count_if(rows.begin(), rows.end(), [](const auto& row) { return row.offline; });
  const auto leaders = static_cast<int64_t>(rows.size()) - offline;
  text.one("kafka_server_replicamanager_leadercount", "gauge", "Partitions this broker leads.",
           leaders);
  text.one("kafka_server_replicamanager_partitioncount", "gauge", "Partitions this broker holds.",
           rows.size());
  text.one("kafka_server_replicamanager_underreplicatedpartitions", "gauge",
           "Durability is the store's.", 0);
  text.one("kafka_server_replicamanager_underminisrpartitioncount", "gauge",
           "Durability is the store's.", 0);
  text.one("kafka_controller_kafkacontroller_activecontrollercount", "gauge", "One broker: itself.",
           1);
  text.one("kafka_controller_kafkacontroller_offlinepartitionscount", "gauge",
           "Partitions that cannot be served.", offline);
  text.one("kafka_controller_controllerstats_uncleanleaderelections_total", "counter", "Never.", 0);
  text.one("kafka_log_logmanager_offlinelogdirectorycount", "gauge", "There are no log folders.",
           0);
  text.one("kafka_brokers", "gauge", "Live brokers.", 1);
  if (rows.size() > kPartitionSeriesMax) return;
  text.describe("kafka_topic_partition_current_offset", "gauge", "The high watermark.");
  for (const auto& row : rows)
    text.value("kafka_topic_partition_current_offset",
               fmt::format("topic=\"{}\",partition=\"{}\"", row.topic, row.index), row.end);
  text.describe("kafka_topic_partition_oldest_offset", "gauge", "The log start.");
  for (const auto& row : rows)
    text.value("kafka_topic_partition_oldest_offset",
               fmt::format("topic=\"{}\",partition=\"{}\"", row.topic, row.index), row.start);
  text.describe("kafka_log_log_size", "gauge", "Retained bytes.");
  for (const auto& row : rows)
    text.value("kafka_log_log_size",
               fmt::format("topic=\"{}\",partition=\"{}\"", row.topic, row.index), row.bytes);
}

}  // namespace

Task<std::string> metrics_text(broker::Node& node, env::Shard& shard, env::Instant started,
                               StoreFigures figures, const EventLog& events) {
  Text text;
  requests(text, node);
  storage(text, node);
  add_store_metrics(text, figures);
  add_event_metrics(text, events);
  std::vector<PartitionRow> rows;
  for (size_t index = 0; index < node.shard_count(); ++index) {
    broker::ShardHost& host = node.host(index);
    auto some = co_await env::call_on(*host.shard, shard, [&host] { return partitions_of(&host); });
    for (PartitionRow& row : some) rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::tie(a.topic, a.index) < std::tie(b.topic, b.index);
  });
  partitions(text, rows);
  text.one("kafka_server_brokertopicmetrics_bytesin_total", "counter", "Bytes of records produced.",
           total(node, &Metrics::bytes_in));
  text.one("kafka_server_brokertopicmetrics_bytesout_total", "counter", "Bytes of records fetched.",
           total(node, &Metrics::bytes_out));
  text.one("kafka_server_brokertopicmetrics_failedproducerequests_total", "counter",
           "Partitions refused.", total(node, &Metrics::produce_failed));
  text.one("kafka_server_brokertopicmetrics_failedfetchrequests_total", "counter",
           "Fetches with an error.", total(node, &Metrics::fetch_failed));
  int64_t connections = 0;
  for (size_t index = 0; index < node.shard_count(); ++index)
    connections += node.host(index).metrics.connections.load(std::memory_order_relaxed);
  text.one("kafka_server_socket_server_metrics_connection_count", "gauge", "Open connections.",
           connections);
  text.one("paceline_connections_refused_total", "counter", "Connections over a limit.",
           total(node, &Metrics::connections_refused));
  text.describe("paceline_bad_frames_total", "counter",
                "Frames that could not be read, by reason.");
  for (size_t reason = 0; reason < broker::kBadFrames.size(); ++reason) {
    uint64_t sum = 0;
    for (size_t index = 0; index < node.shard_count(); ++index)
      sum += node.host(index).metrics.bad_frames[reason].load(std::memory_order_relaxed);
    text.value("paceline_bad_frames_total",
               fmt::format("reason=\"{}\"", broker::kBadFrames[reason]), sum);
  }
  text.one("paceline_frames_left_over_total", "counter", "Requests with bytes behind the message.",
           total(node, &Metrics::frames_left_over));
  text.one("paceline_answers_given_up_total", "counter",
           "Connections ended because others needed the memory of their unread answers.",
           total(node, &Metrics::answers_given_up));
  text.one("paceline_partitions_moved_away_total", "counter",
           "Partitions given to another broker by plan.", total(node, &Metrics::moved_away));
  text.one("paceline_partitions_moved_here_total", "counter",
           "Partitions taken from another broker by plan.", total(node, &Metrics::moved_here));
  text.one("paceline_forwarded_batches_total", "counter",
           "Batches for partitions that have moved, sent on to their leaders.",
           total(node, &Metrics::forwarded_appends));
  text.one("paceline_nearby_reads_total", "counter",
           "Partitions of fetches served to consumers of this rack, which other brokers lead.",
           total(node, &Metrics::nearby_reads));
  text.one("paceline_sent_nearby_total", "counter",
           "Partitions of fetches whose consumer was sent to a broker of its rack.",
           total(node, &Metrics::sent_nearby));
  text.one("paceline_forwarded_reads_total", "counter",
           "Reads of partitions that have moved, sent on to their leaders.",
           total(node, &Metrics::forwarded_reads));
  text.one("paceline_forwarded_group_requests_total", "counter",
           "Requests of groups whose coordinator has moved, sent on to it.",
           total(node, &Metrics::forwarded_group_requests));
  text.one("paceline_answer_memory_bytes", "gauge", "Memory of answers that are not sent yet.",
           node.answers().bytes_held());
  text.one("paceline_answer_memory_bytes_max", "gauge", "Its budget.", node.answers().bytes_max());
  text.one("paceline_request_memory_bytes", "gauge", "Memory of requests in flight.",
           node.memory().bytes_held() + node.modest_memory().bytes_held());
  text.one("paceline_request_memory_bytes_max", "gauge", "Their budget.",
           node.memory().bytes_max() + node.modest_memory().bytes_max());
  const auto up = std::chrono::duration<double>(shard.now() - started);
  text.one("paceline_uptime_seconds", "gauge", "Since the process started.", up.count());
  co_return text.take();
}

}  // namespace paceline::server
