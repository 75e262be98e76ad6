#include "server/event_log.h"

#include "base/log.h"

namespace paceline::server {
namespace {

constexpr uint64_t kBytesMax = 4u << 20;
// The blocking lane of this file alone, so that lines keep their order.
constexpr uint64_t kLane = 0x6576656e74;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

struct EventLog::Writer {
  env::Disk& disk;
  std::string path;
  std::string old_path;
  std::unique_ptr<env::File> file;
  uint64_t size = 0;

  void write(std::string_view line) {
    if (!file) {
      auto opened =
          disk.open(path, {.create = env::OpenMode::Create::if_missing, .writable = true});
      if (!opened) return;  // events are a courtesy: the broker goes on without them
      file = std::move(*opened);
      size = file->size().value_or(0);
    }
    if (!file->write_at(size, as_bytes(line))) return;
    size += line.size();
    if (size < kBytesMax) return;
    file.reset();
    (void)disk.rename(path, old_path);
  }
};

EventLog::EventLog(env::Shard& shard, env::Disk& disk, std::string folder)
    : shard_(shard),
      writer_(
          std::make_shared<Writer>(disk, folder + "/events.jsonl", folder + "/events.old.jsonl")) {}

void EventLog::set_cause(std::string cause) {
  cause_ = std::move(cause);
}

void EventLog::record(std::string_view cause, std::string_view name, std::string_view detail) {
  std::string line = fmt::format(
      "{{\"id\":\"{}-{}\",\"cause\":{},\"event\":{},\"detail\":{},\"at_ms\":", cause_,
      next_.fetch_add(1, std::memory_order_relaxed), quoted(cause), quoted(name), quoted(detail));
  log_debug("event {}: {}", name, detail);
  shard_.post([this, text = std::move(line)]() mutable {
    text += fmt::format("{}}}\n", shard_.wall_ms());
    shard_.offload(
        kLane, [writer = writer_, moved = std::move(text)] { writer->write(moved); }, [] {});
  });
}

}  // namespace paceline::server
