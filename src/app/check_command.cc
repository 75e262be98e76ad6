#include "app/check_command.h"

#include <openssl/evp.h>

#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/print.h"
#include "cluster/cluster.h"
#include "meta/records.h"
#include "record/records.h"
#include "server/data_folder.h"
#include "server/places.h"
#include "stream/recovery.h"

namespace paceline::app {
namespace {

constexpr uint64_t kLedgerBytesMax = 4ull << 30;

struct Acknowledged {
  int64_t offset;
  std::string sha256;  // of the value, hexadecimal
};
using Ledger = std::map<std::pair<std::string, int32_t>, std::vector<Acknowledged>>;

Result<Ledger> read_ledger(env::Disk& disk, const std::string& path) {
  TRY(std::string text, env::read_file(disk, path, kLedgerBytesMax));
  Ledger ledger;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line(text.data() + at, end - at);
    at = end + 1;
    ++number;
    if (line.empty()) continue;
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (!entry.is_object() || !entry.contains("topic") || !entry.contains("partition") ||
        !entry.contains("offset")) {
      if (at >= text.size()) break;  // a last line cut by a kill was never counted as acknowledged
      return fail(Code::corrupt, fmt::format("{} line {}: no ledger entry", path, number));
    }
    ledger[{entry["topic"].get<std::string>(), entry["partition"].get<int32_t>()}].push_back(
        {entry["offset"].get<int64_t>(), entry.value("sha256", "")});
  }
  for (auto& [key, entries] : ledger)
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.offset < b.offset; });
  return ledger;
}

std::string sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) == 1);
  std::string hex;
  for (unsigned int at = 0; at < size; ++at) hex += fmt::format("{:02x}", digest[at]);
  return hex;
}

struct LedgerVerdict {
  uint64_t judged = 0;
  uint64_t lost = 0;     // no record at the acknowledged offset
  uint64_t changed = 0;  // another value stands there
};

// Walks the records of one partition beside its ledger.
Task<Result<void>> judge(stream::Inspected inspected, StreamId stream,
                         const std::vector<Acknowledged>* entries, LedgerVerdict* verdict) {
  size_t next = 0;
  auto visit = [&](const stream::Batch& batch) -> Result<void> {
    TRY(auto view, record::BatchView::parse(batch.bytes.bytes()));
    TRY(auto reader, record::RecordReader::open(view));
    for (;;) {
      TRY(auto one, reader.next());
      if (!one) return {};
      for (; next < entries->size() && (*entries)[next].offset < one->offset.value; ++next)
        ++verdict->lost;
      for (; next < entries->size() && (*entries)[next].offset == one->offset.value; ++next) {
        const std::string& expected = (*entries)[next].sha256;
        if (!expected.empty() && sha256(one->value.value_or("")) != expected) ++verdict->changed;
      }
    }
  };
  auto read = co_await stream::read_all(inspected, stream, visit);
  verdict->judged += entries->size();
  verdict->lost += entries->size() - next;
  co_return read;
}

Task<Result<std::map<std::string, meta::TopicRecord>>> topics_of(meta::Store& store,
                                                                 env::Shard& shard) {
  CO_TRY(auto range, co_await meta::range_prefix(store, shard, meta::topics_prefix()));
  std::map<std::string, meta::TopicRecord> topics;
  for (const meta::Entry& entry : range.entries) {
    CO_TRY(auto record, meta::decode<meta::TopicRecord>(entry.value));
    topics.emplace(entry.key.substr(meta::topics_prefix().size()), std::move(record));
  }
  co_return topics;
}

void print_report(const stream::CheckReport& report,
                  const std::map<std::string, meta::TopicRecord>& topics, bool json) {
  std::map<Uuid, std::string> names;
  for (const auto& [name, topic] : topics) names[topic.topic_id] = name;
  Listing listing("CheckReport",
                  {"topic", "partition", "start_offset", "end_offset", "bytes", "problem"});
  for (const auto& stream : report.streams) {
    auto name = names.find(stream.id.owner);
    auto row = [&](Cell problem) {
      listing.row({name == names.end() ? Cell::none() : Cell::of(name->second),
                   Cell::of(int64_t{stream.id.index}), Cell::of(stream.start.value),
                   Cell::of(stream.end.value), Cell::of(static_cast<int64_t>(stream.bytes)),
                   std::move(problem)});
    };
    if (stream.problems.empty()) row(Cell::none());
    for (const std::string& problem : stream.problems) row(Cell::of(problem));
  }
  for (const std::string& problem : report.problems)
    listing.row(
        {Cell::none(), Cell::none(), Cell::none(), Cell::none(), Cell::none(), Cell::of(problem)});
  listing.print(json);
  std::fprintf(
      stderr,
      "%zu streams, %llu objects with %llu blocks, %llu WAL groups verified; %llu objects on "
      "their way out, %zu without a record\n",
      report.streams.size(), static_cast<unsigned long long>(report.object_count),
      static_cast<unsigned long long>(report.block_count),
      static_cast<unsigned long long>(report.group_count),
      static_cast<unsigned long long>(report.unreferenced_count), report.orphans.size());
}

// Why a folder cannot be opened: damage is a finding, as any other.
int exit_code_of(Code code) {
  switch (code) {
    case Code::in_use:
      return kRefused;
    case Code::corrupt:
      return kUnhealthy;
    default:
      return kFailed;
  }
}

}  // namespace

Task<int> check(env::Shard& shard, CheckedStores stores, CheckOptions options) {
  auto topics = co_await topics_of(*stores.metadata, shard);
  if (!topics) co_return complain(kUnhealthy, topics.error().message);
  auto leaders = co_await cluster::read_leaders(shard, *stores.metadata);
  if (!leaders) co_return complain(kUnhealthy, leaders.error().message);
  stream::Inspected inspected{.shard = &shard,
                              .meta = stores.metadata,
                              .objects = stores.objects,
                              .wal = stores.wal,
                              .broker = {},
                              .leftover_grace_ms = options.orphan_hours_max * 3600 * 1000,
                              .led = std::move(*leaders)};
  if (options.broker >= 0) inspected.broker = BrokerId(options.broker);
  auto report = co_await stream::check(inspected);
  if (!report) co_return complain(kUnhealthy, report.error().message);
  const stream::CheckReport& all = *report;
  print_report(all, *topics, options.json);
  int exit_code = all.ok() ? kDone : kUnhealthy;
  if (options.ledger.empty()) co_return exit_code;
  auto ledger = read_ledger(shard.disk(), options.ledger);
  if (!ledger) co_return complain(kFailed, ledger.error().message);
  LedgerVerdict verdict;
  for (const auto& [key, entries] : *ledger) {
    const auto topic = topics->find(key.first);
    const StreamId stream{topic == topics->end() ? Uuid{} : topic->second.topic_id,
                          static_cast<uint32_t>(key.second)};
    if (!inspected.led.contains(stream)) {
      verdict.judged += entries.size();
      verdict.lost += entries.size();
      continue;
    }
    auto judged = co_await judge(inspected, stream, &entries, &verdict);
    if (!judged)
      complain(kUnhealthy, fmt::format("{}-{}: {}", key.first, key.second, judged.error().message));
  }
  std::fprintf(stderr, "ledger: %llu acknowledged records judged, %llu lost, %llu changed\n",
               static_cast<unsigned long long>(verdict.judged),
               static_cast<unsigned long long>(verdict.lost),
               static_cast<unsigned long long>(verdict.changed));
  if (verdict.lost + verdict.changed > 0) exit_code = kUnhealthy;
  co_return exit_code;
}

namespace {

// Everything that is inspected, opened to be read.
struct OpenedPlaces {
  server::DataFolder folder;  // if anything lies in one
  std::unique_ptr<meta::Store> metadata;
  server::OpenObjects objects;
  std::unique_ptr<wal::Wal> wal;
};

Task<Result<CheckedStores>> open_shared(env::Shard& shard, const CheckOptions& options,
                                        OpenedPlaces& opened) {
  const server::Places& places = options.places;
  env::Disk& disk = shard.disk();
  CO_TRY_VOID(server::check_places(places));
  const bool in_bucket = places.objects.starts_with("s3://");
  // Opening a folder of objects tidies it up: nobody may be putting there.
  if (!in_bucket || !places.wal_is_objects()) {
    auto lock = disk.lock(options.data + "/LOCK");
    if (!lock && lock.error().code == Code::in_use)
      co_return fail(Code::in_use,
                     fmt::format("a broker is using {}; stop it first", options.data));
    if (!lock) co_return fail(lock.error());
    opened.folder.lock = std::move(*lock);
  }
  CO_TRY(opened.metadata, co_await server::open_metadata(shard, disk, places, options.data));
  CO_TRY(opened.objects, co_await server::open_objects(shard, disk, places, options.data));
  CO_TRY(auto entry, co_await opened.metadata->get(shard, meta::cluster_key()));
  if (!entry) co_return fail(Code::not_found, "the metadata name no cluster");
  CO_TRY(auto cluster, meta::decode<meta::ClusterRecord>(entry->value));
  if (places.wal_is_objects()) {
    wal::ObjectWalOptions reading;
    reading.cluster_id = cluster.cluster_id;
    opened.wal = wal::make_object_wal(*opened.objects.store, std::move(reading));
  } else {
    wal::FileWalOptions reading;
    reading.folder = server::wal_folder(places, options.data);
    reading.cluster_id = cluster.cluster_id;
    opened.wal = wal::make_file_wal(disk, std::move(reading));
  }
  co_return CheckedStores{opened.metadata.get(), opened.objects.store.get(), opened.wal.get()};
}

Task<Result<CheckedStores>> open_folder(env::Shard& shard, const CheckOptions& options,
                                        OpenedPlaces& opened) {
  CO_TRY(opened.folder, co_await server::open_data_folder(shard, options.data));
  co_return CheckedStores{opened.folder.metadata.get(), opened.folder.objects.get(),
                          opened.folder.wal.get()};
}

}  // namespace

Task<int> check_places(env::Shard& shard, CheckOptions options) {
  OpenedPlaces opened;
  const server::Places& places = options.places;
  const bool all_in_folder =
      places.metadata.empty() && places.objects.empty() && places.wal.empty();
  auto opening =
      all_in_folder ? open_folder(shard, options, opened) : open_shared(shard, options, opened);
  auto stores = co_await std::move(opening);
  if (!stores) co_return complain(exit_code_of(stores.error().code), stores.error().message);
  co_return co_await check(shard, *stores, options);
}

}  // namespace paceline::app
