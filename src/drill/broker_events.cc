#include "drill/broker_events.h"

#include <charconv>

namespace paceline::drill {
namespace {

constexpr int32_t kWaitMs = 250;
constexpr env::Duration kPause = std::chrono::milliseconds(100);
constexpr env::Duration kQuiet = std::chrono::milliseconds(700);

// Of a lane, "2.17".
std::optional<int32_t> broker_of(std::string_view lane) {
  int32_t id = -1;
  const auto parsed = std::from_chars(lane.data(), lane.data() + lane.size(), id);
  if (parsed.ec != std::errc{} || id < 0) return std::nullopt;
  return id;
}

}  // namespace

struct BrokerEvents::State {
  State(env::Shard& on, const std::string& bootstrap) : shard(on), tail(on, bootstrap) {}
  env::Shard& shard;
  client::EventTail tail;
  std::function<void(evidence::Event)> tell;
  std::function<std::optional<int64_t>(int32_t)> clock_err_ns;
  std::map<std::string, uint64_t> seen;
  env::Instant last_at;  // when the last one came, or nothing could be read
  bool ended = false;
};

BrokerEvents::BrokerEvents(env::Shard& shard, std::string bootstrap,
                           std::function<void(evidence::Event)> tell,
                           std::function<std::optional<int64_t>(int32_t)> clock_err_ns)
    : state_(std::make_shared<State>(shard, bootstrap)) {
  state_->tell = std::move(tell);
  state_->clock_err_ns = std::move(clock_err_ns);
  state_->last_at = shard.now();
  shard.spawn(follow(state_));
}

BrokerEvents::~BrokerEvents() {
  state_->ended = true;
}

Task<void> BrokerEvents::catch_up(env::Duration at_most) {
  const env::Instant deadline = state_->shard.now() + at_most;
  while (state_->shard.now() < deadline && state_->shard.now() - state_->last_at < kQuiet)
    co_await env::sleep_for(state_->shard, kPause);
}

Task<void> BrokerEvents::follow(std::shared_ptr<State> state) {
  const int64_t since_ms = state->shard.wall_ms();
  std::optional<int64_t> next;
  while (!state->ended) {
    // Whoever led the topic may have died: it is found again.
    if (auto found = co_await state->tail.find(); !found) {
      state->last_at = state->shard.now();
      co_await env::sleep_for(state->shard, kPause);
      continue;
    }
    while (!state->ended) {
      if (!next) {
        const auto from = co_await state->tail.offset_since(since_ms);
        if (!from) break;
        next = *from;
      }
      auto some = co_await state->tail.read(*next, kWaitMs);
      if (state->ended) co_return;  // whoever is told may be gone
      if (!some) {
        if (some.error().code == Code::out_of_range) next.reset();
        break;
      }
      if (!some->values.empty()) state->last_at = state->shard.now();
      for (const std::string& value : some->values)
        if (auto event = adopt_broker_event(value, state->seen, state->clock_err_ns))
          state->tell(std::move(*event));
      next = some->next;
    }
  }
}

std::optional<evidence::Event> adopt_broker_event(
    std::string_view cloud_event, std::map<std::string, uint64_t>& seen,
    const std::function<std::optional<int64_t>(int32_t)>& clock_err_ns) {
  auto event = evidence::parse_broker_event(cloud_event);
  if (!event) return std::nullopt;
  uint64_t& last = seen[event->source];
  if (event->source_seq <= last) return std::nullopt;
  last = event->source_seq;
  constexpr std::string_view kPrefix = "paceline:";
  std::string_view lane = event->source;
  if (lane.starts_with(kPrefix)) lane.remove_prefix(kPrefix.size());
  const auto broker = broker_of(lane);
  event->run_id.clear();
  event->clock_err_ns = broker ? clock_err_ns(*broker) : std::nullopt;
  return std::move(*event);
}

}  // namespace paceline::drill
