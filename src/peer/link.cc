#include "peer/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"

namespace paceline::peer {

using namespace std::chrono_literals;

Link::Link(env::Shard& shard, const Options& options, LinkHost& host, Peer peer)
    : shard_(shard),
      options_(options),
      host_(host),
      peer_(std::move(peer)),
      changed_(shard),
      room_(shard) {}

void Link::start(env::Gate& gate) {
  shard_.spawn(run(shared_from_this(), gate, gate.enter()));
}

void Link::retire() {
  stopped_ = true;
  changed_.notify_all();
  room_.notify_all();
}

void Link::stop() {
  retire();
  if (wire_) wire_->close();
}

// A connection that broke is dialled again at once: a refusal is the quickest evidence there is.
// While the peer is silent a second one is tried beside the first.
Task<void> Link::run(std::shared_ptr<Link> self, env::Gate& gate, env::Gate::Pass) {
  constexpr env::Duration kFirstPause = 1ms;
  const Bounds& bounds = self->options_.bounds;
  const auto silent = [&self] { return self->host_.silent(self->peer_.lane.broker); };
  env::Duration pause = kFirstPause;
  std::optional<env::Instant> used_at;
  while (!self->stopped_) {
    if (self->wire_ && !silent()) {
      co_await self->changed_.wait();
      continue;
    }
    // One that does not last must not make us dial in a circle.
    const bool short_lived = used_at && self->shard_.now() - *used_at < bounds.ping_every;
    if (std::exchange(used_at, std::nullopt) && !short_lived) pause = kFirstPause;
    if (short_lived) {
      co_await env::sleep_for(self->shard_, pause);
      pause = std::min(pause * 2, std::max(kFirstPause, bounds.ping_every));
    }
    if (self->stopped_) break;
    auto dialled = co_await self->dial(gate);
    if (self->stopped_) {
      if (dialled) dialled->wire->close();
    } else if (dialled && self->wire_ && !silent()) {
      dialled->wire->close();  // the first one came back meanwhile, with its calls
    } else if (dialled) {
      used_at = self->shard_.now();
      self->use(std::move(*dialled), gate);
    } else {
      const bool refused = dialled.error().code == Code::unavailable;
      if (refused) self->host_.feed(Detector::Refused{self->peer_.lane});
      co_await self->changed_.wait_until(self->shard_.now() + pause);
      pause = std::min(pause * 2,
                       std::max(kFirstPause, refused ? bounds.ping_every : bounds.silent_after));
    }
  }
}

// unavailable: the system there refuses; every other failure says nothing.
Task<Result<Link::Dialled>> Link::dial(env::Gate& gate) {
  const env::Instant deadline = shard_.now() + options_.bounds.silent_after;
  CO_TRY(auto socket,
         co_await shard_.network().connect(peer_.address.host, peer_.address.port, deadline));
  auto wire = std::make_shared<Wire>(shard_, std::move(socket), kCallBytesMax,
                                     options_.calls_bytes_max + options_.call_bytes_max);
  wire->start(gate.enter());
  wire->send(encode_frame(Hello{options_.cluster_id, options_.self, peer_.lane}));
  const auto timer = shard_.run_at(deadline, [wire] { wire->close(); });
  auto frame = co_await wire->read();
  shard_.cancel_timer(timer);
  Result<Welcome> welcome = fail(Code::closed, "no greeting");
  if (frame) welcome = greeted(*frame);
  if (!welcome) {
    wire->close();
    co_return fail(Code::closed, welcome.error().message);
  }
  co_return Dialled{std::move(wire), *welcome};
}

Result<Welcome> Link::greeted(const Frame& frame) {
  if (frame.header.kind == FrameKind::welcome) {
    TRY(auto welcome, decode_welcome(frame.body.bytes()));
    if (welcome.from == peer_.lane) return welcome;
    return fail(Code::corrupt, "a peer welcomes us under another name");
  }
  if (frame.header.kind != FrameKind::refusal) return fail(Code::corrupt, "no greeting");
  TRY(auto refusal, decode_refusal(frame.body.bytes()));
  if (refusal.reason == RefusalReason::other_broker) host_.feed(Detector::Met{refusal.from});
  if (std::exchange(last_refusal_, refusal.words) != refusal.words)
    host_.stranger(peer_.lane, fmt::format("{}:{} refuses us: {}", peer_.address.host,
                                           peer_.address.port, refusal.words));
  return fail(Code::closed, refusal.words);
}

void Link::use(Dialled dialled, env::Gate& gate) {
  if (wire_) {
    wire_->close();
    break_calls();
  }
  wire_ = std::move(dialled.wire);
  welcome_ = dialled.welcome;
  const Lane lane = peer_.lane;
  wire_->on_bytes([this, lane] { host_.feed(Detector::Heard{lane}); });
  host_.feed(Detector::Reached{lane});
  room_.notify_all();
  shard_.spawn(read_loop(shared_from_this(), wire_, gate.enter()));
  ping();
}

Task<void> Link::read_loop(std::shared_ptr<Link> self, std::shared_ptr<Wire> wire,
                           env::Gate::Pass) {
  for (;;) {
    auto frame = co_await wire->read();
    if (!frame) {
      if (frame.error().code == Code::corrupt || frame.error().code == Code::too_large)
        log_warn("broker {}: {}", self->peer_.lane.broker.value, frame.error().message);
      break;
    }
    if (self->take(*frame)) continue;
    log_warn("broker {} sent a frame out of turn", self->peer_.lane.broker.value);
    break;
  }
  wire->on_bytes(nullptr);
  wire->close();
  if (self->wire_ != wire) co_return;  // another one has taken its place
  self->wire_.reset();
  self->break_calls();
  self->changed_.notify_all();
  if (!self->stopped_) self->host_.feed(Detector::Unreached{self->peer_.lane});
}

bool Link::take(const Frame& frame) {
  const uint64_t number = frame.header.number;
  switch (frame.header.kind) {
    case FrameKind::pong:
      if (number == last_ping_) round_trip_ = shard_.now() - pinged_at_;
      return true;
    case FrameKind::hearsay: {
      const auto hearsay = decode_hearsay(frame.body.bytes());
      if (hearsay) host_.feed(Detector::Answered{number, peer_.lane, *hearsay});
      return hearsay.has_value();
    }
    case FrameKind::goodbye:
      host_.feed(Detector::SaidGoodbye{peer_.lane});
      return true;
    case FrameKind::reply:
      settle(number, frame.body);
      return true;
    case FrameKind::unserved: {
      auto words = decode_words(frame.body.bytes());
      if (words) settle(number, fail(Code::unavailable, std::move(words->words)));
      return words.has_value();
    }
    default:
      return false;
  }
}

void Link::ping() {
  if (!wire_) return;
  pinged_at_ = shard_.now();
  wire_->send(encode_empty(FrameKind::ping, ++last_ping_));
}

bool Link::has_room(uint64_t bytes) const {
  if (pending_.empty()) return true;
  return pending_.size() < welcome_.calls_max && pending_bytes_ + bytes <= welcome_.calls_bytes_max;
}

// Calls keep their room: what is late may still be answered on the old connection.
void Link::doubt() {
  for (auto& [number, pending] : pending_) {
    pending->outcome =
        fail(Code::maybe_written, fmt::format("broker {} is silent", peer_.lane.broker.value));
    pending->done.notify_all();
  }
  room_.notify_all();
  changed_.notify_all();
}

Task<Result<Slice>> Link::call(Slice body, env::Instant deadline) {
  const auto self = shared_from_this();
  if (body.size() > options_.call_bytes_max)
    co_return fail(Code::too_large, fmt::format("a call of {} bytes", body.size()));
  const uint64_t turn = ++last_turn_;
  turns_.push_back(turn);
  struct Leave {
    Link& link;
    uint64_t turn;
    ~Leave() {
      std::erase(link.turns_, turn);
      link.room_.notify_all();
    }
  };
  std::shared_ptr<Pending> pending;
  {
    const Leave leave{*this, turn};
    const auto silent = [this] { return host_.silent(peer_.lane.broker); };
    while (wire_ && !stopped_ && !silent() && (turns_.front() != turn || !has_room(body.size())))
      if (!co_await room_.wait_until(deadline))
        co_return fail(Code::timed_out, fmt::format("broker {} has no room for another call",
                                                    peer_.lane.broker.value));
    if (!wire_ || stopped_ || silent())
      co_return fail(Code::unavailable, fmt::format("broker {} is {}", peer_.lane.broker.value,
                                                    wire_ ? "silent" : "not connected"));
    if (body.size() > welcome_.call_bytes_max)
      co_return fail(Code::too_large,
                     fmt::format("broker {} takes calls of {} bytes at most",
                                 peer_.lane.broker.value, welcome_.call_bytes_max));
    pending = std::make_shared<Pending>(shard_);
    pending->bytes = body.size();
    pending_bytes_ += body.size();
    pending_.emplace(++last_call_, pending);
    wire_->send_body(FrameKind::call, last_call_, std::move(body), pending->begun);
  }
  while (!pending->outcome)
    if (!co_await pending->done.wait_until(deadline)) break;
  if (pending->outcome) co_return std::move(*pending->outcome);
  co_return fail(Code::maybe_written,
                 fmt::format("broker {} did not answer a call in time", peer_.lane.broker.value));
}

void Link::settle(uint64_t number, Result<Slice> outcome) {
  auto settled = pending_.extract(number);
  if (!settled) return;
  Pending& pending = *settled.mapped();
  pending_bytes_ -= pending.bytes;
  pending.outcome = std::move(outcome);
  pending.done.notify_all();
  room_.notify_all();
}

// What has not begun to leave was not done.
void Link::break_calls() {
  for (auto& [number, pending] : std::exchange(pending_, {})) {
    const Code code = *pending->begun ? Code::maybe_written : Code::unavailable;
    pending->outcome =
        fail(code, fmt::format("the connection to broker {} broke", peer_.lane.broker.value));
    pending->done.notify_all();
  }
  pending_bytes_ = 0;
  room_.notify_all();
}

}  // namespace paceline::peer
