#include "app/events_command.h"

#include <cstdio>

#include "app/commands.h"
#include "app/event_line.h"
#include "client/event_tail.h"

namespace paceline::app {
namespace {

using client::EventTail;

constexpr int32_t kWaitMs = 500;
constexpr env::Duration kPause = std::chrono::milliseconds(100);
// How long somebody who does not follow waits for a leader.
constexpr env::Duration kPatience = std::chrono::seconds(10);

class Printer {
 public:
  Printer(const EventsOptions& options, std::optional<int64_t> since_ms)
      : options_(options), since_ms_(since_ms) {}

  void add(const std::string& value) {
    auto event = parse_event(value);
    if (!event) {
      complain(0, event.error().message);
      return;
    }
    const auto gap = order_.put(std::move(*event));
    if (gap)
      complain(0,
               fmt::format("{} events of broker {} are missing here", gap->missing, gap->source));
  }
  void print(bool all) {
    while (auto event = order_.take(all)) {
      if (since_ms_ && event->at_ms < *since_ms_) continue;
      if (!options_.cause.empty() && event->cause != options_.cause) continue;
      const std::string line = options_.json ? event->json : in_words(*event);
      std::printf("%s\n", line.c_str());
    }
    std::fflush(stdout);
  }

 private:
  const EventsOptions& options_;
  const std::optional<int64_t> since_ms_;
  TimeOrder order_;
};

// Everything up to the end, once; with `follow` on and on. Only an error ends it then.
Task<Result<void>> read_on(EventTail& tail, Printer& printer, std::optional<int64_t>& next,
                           std::optional<int64_t> since_ms, bool follow) {
  CO_TRY_VOID(co_await tail.find());
  for (;;) {
    if (!next) {
      CO_TRY(next, co_await tail.offset_since(since_ms));
    }
    auto some = co_await tail.read(*next, follow ? kWaitMs : 0);
    if (!some && some.error().code == Code::out_of_range) next.reset();  // retention was faster
    if (!some) co_return fail(some.error());
    for (const std::string& value : some->values) printer.add(value);
    next = some->next;
    if (!follow && some->at_end) co_return Result<void>{};
    // Nothing for a while: who is still behind is not waited for.
    printer.print(follow && some->values.empty());
  }
}

}  // namespace

Task<int> events(env::Shard& shard, EventsOptions options) {
  std::optional<int64_t> since_ms;
  if (!options.since.empty()) {
    since_ms = parse_time(options.since, shard.wall_ms());
    if (!since_ms)
      co_return complain(
          kUsage, fmt::format("'{}' is no time: say 2026-01-31T12:00:00Z, or -15m", options.since));
  }
  EventTail tail(shard, options.bootstrap);
  Printer printer(options, since_ms);
  std::optional<int64_t> next;
  const env::Instant deadline = shard.now() + kPatience;
  for (;;) {
    const Result<void> done = co_await read_on(tail, printer, next, since_ms, options.follow);
    if (done) break;
    printer.print(true);
    if (!options.follow && done.error().code == Code::not_found)
      co_return complain(kNotFound, done.error().message);
    if (!options.follow && shard.now() >= deadline)
      co_return complain(kFailed, done.error().message);
    co_await env::sleep_for(shard, kPause);
  }
  printer.print(true);
  co_return kDone;
}

}  // namespace paceline::app
