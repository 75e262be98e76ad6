#include "client.h"

#include <fmt/format.h>
#include <time.h>

#include <charconv>
#include <cstdlib>

#include "history/ndjson.h"

namespace crash {
namespace {

uint64_t mix(uint64_t value) {
  value ^= value >> 31;
  value *= 0x7fb5d329728ea185ull;
  value ^= value >> 27;
  value *= 0x81dadef4bc2dd44dull;
  return value ^ (value >> 33);
}

size_t filler_bytes(Value value) {
  const uint64_t mixed = mix(value);
  return mixed % 5000 == 0 ? (mixed >> 20) % 100'000 : (mixed >> 20) % 120;
}

void on_error(rd_kafka_t*, int code, const char* reason, void*) {
  fmt::print(stderr, "{}: {}\n", rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(code)), reason);
}
void on_log(const rd_kafka_t*, int level, const char* facility, const char* line) {
  if (level <= 4) fmt::print(stderr, "{}: {}\n", facility, line);
}

}  // namespace

Time now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return std::chrono::seconds(t.tv_sec) + Time(t.tv_nsec);
}

void set(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
  char error[256];
  if (rd_kafka_conf_set(conf, name, value.c_str(), error, sizeof error) == RD_KAFKA_CONF_OK) return;
  fmt::print(stderr, "{}\n", error);
  std::exit(2);
}

rd_kafka_conf_t* common_conf(const Arguments& arguments) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", arguments.brokers);
  set(conf, "broker.address.family", "v4");
  set(conf, "reconnect.backoff.ms", "20");
  set(conf, "reconnect.backoff.max.ms", "100");
  set(conf, "topic.metadata.refresh.fast.interval.ms", "50");
  set(conf, "message.max.bytes", "2000000");
  rd_kafka_conf_set_error_cb(conf, on_error);
  rd_kafka_conf_set_log_cb(conf, on_log);
  return conf;
}

void write_payload(Value value, std::string& to) {
  to.clear();
  fmt::format_to(std::back_inserter(to), "{}:", value);
  size_t left = filler_bytes(value);
  for (uint64_t state = mix(value + 1); left > 0; state = mix(state + value)) {
    const size_t count = std::min(left, sizeof state);
    to.append(reinterpret_cast<const char*>(&state), count);
    left -= count;
  }
}

std::optional<Value> read_payload(std::string_view text) {
  Value value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  static std::string expected;
  write_payload(value, expected);
  if (expected != text) return std::nullopt;
  return value;
}

Notes::Notes(const std::string& path) : file_(std::fopen(path.c_str(), "wb")) {
  if (!file_) {
    fmt::print(stderr, "{} cannot be written\n", path);
    std::exit(2);
  }
  std::fputs(paceline::history::header_line().c_str(), file_);
  std::fflush(file_);
}

Notes::~Notes() {
  std::fclose(file_);
}

void Notes::violation(Key key, std::string what) {
  History one;
  one.add(paceline::history::Violation{key, std::move(what)}, now());
  write(one);
}

void Notes::write(const History& one) {
  const std::string line = paceline::history::line_of(one.events().front(), one);
  // Without its line a judgement would be about something else.
  if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() || std::fflush(file_) != 0) {
    fmt::print(stderr, "the history cannot be written\n");
    std::exit(2);
  }
}

void Polls::take(const rd_kafka_message_t& message) {
  const auto key = static_cast<Key>(message.partition);
  const std::string_view text(static_cast<const char*>(message.payload), message.len);
  const auto value = read_payload(text);
  if (!value) {
    notes_.violation(key, fmt::format("the record at {} is not what anybody sent", message.offset));
    return;
  }
  auto [open, fresh] = open_.try_emplace(key);
  if (fresh) {
    open->second.reader = reader_;
    open->second.group = group_;
    open->second.key = key;
    open->second.from = positions_.try_emplace(key, message.offset).first->second;
    open->second.last = last_;
  }
  open->second.add(message.offset, *value);
  positions_[key] = message.offset + 1;
}

void Polls::tell(Time invoked) {
  for (auto& [key, poll] : open_) notes_.add(std::move(poll), invoked, now());
  open_.clear();
}

}  // namespace crash
