#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "peer/mesh.h"

namespace paceline::peer {

Task<void> Mesh::accept_loop(Mesh& mesh, env::Gate::Pass) {
  for (;;) {
    auto socket = co_await mesh.listener_->accept(mesh.shard_);
    if (!socket) co_return;
    const Options& options = mesh.options_;
    auto wire = std::make_shared<Wire>(mesh.shard_, std::move(*socket), options.call_bytes_max,
                                       2 * options.calls_bytes_max + options.call_bytes_max);
    wire->start(mesh.gate_.enter());
    std::erase_if(mesh.incoming_, [](const auto& one) { return one.expired(); });
    if (mesh.incoming_.size() >= options.connections_max) {
      wire->send(encode_frame(Refusal{RefusalReason::busy, options.self, "too many connections"}));
      wire->finish();
      continue;
    }
    mesh.incoming_.push_back(wire);
    mesh.shard_.spawn(serve(mesh, std::move(wire), mesh.gate_.enter()));
  }
}

Task<void> Mesh::serve(Mesh& mesh, std::shared_ptr<Wire> wire, env::Gate::Pass) {
  const auto timer = mesh.shard_.run_at(mesh.shard_.now() + mesh.options_.bounds.silent_after,
                                        [wire] { wire->close(); });
  auto first = co_await wire->read();
  mesh.shard_.cancel_timer(timer);
  if (!first) {
    if (first.error().code == Code::corrupt || first.error().code == Code::unsupported)
      log_warn("a connection of {} to the port for peers: {}", wire->name(), first.error().message);
    wire->close();
    co_return;
  }
  auto caller = mesh.greet(*first, wire);
  if (!caller) {
    wire->finish();
    co_return;
  }
  co_await mesh.listen_to(std::move(caller));
}

std::shared_ptr<Mesh::Caller> Mesh::greet(const Frame& frame, std::shared_ptr<Wire> wire) {
  if (stopping_) return nullptr;
  if (frame.header.kind == FrameKind::ended) {
    const auto ended = decode_ended(frame.body.bytes());
    if (ended && ended->cluster_id == options_.cluster_id)
      feed(Detector::GuardianSaid{ended->lane, ended->status});
    return nullptr;
  }
  if (frame.header.kind != FrameKind::hello) return nullptr;
  const auto hello = decode_hello(frame.body.bytes());
  if (!hello) return nullptr;
  auto refuse = [&](RefusalReason reason, std::string words) -> std::shared_ptr<Caller> {
    stranger(hello->from, fmt::format("{} is refused here: {}", wire->name(), words));
    wire->send(encode_frame(Refusal{reason, options_.self, std::move(words)}));
    return nullptr;
  };
  if (hello->cluster_id != options_.cluster_id)
    return refuse(RefusalReason::other_cluster,
                  fmt::format("this is cluster {}", options_.cluster_id.to_string()));
  if (hello->to != options_.self || hello->from.broker == options_.self.broker)
    return refuse(RefusalReason::other_broker,
                  fmt::format("this is broker {}", options_.self.to_string()));
  const auto living = detector_.living(hello->from.broker);
  if (living && hello->from.incarnation < *living)
    return refuse(RefusalReason::stale_incarnation,
                  fmt::format("incarnation {} is known here", living->value));
  wire->send(encode_frame(Welcome{options_.self, options_.call_bytes_max, options_.calls_max,
                                  options_.calls_bytes_max}));
  feed(Detector::Met{hello->from});
  return std::make_shared<Caller>(Caller{.lane = hello->from, .wire = std::move(wire)});
}

Task<void> Mesh::listen_to(std::shared_ptr<Caller> caller) {
  const std::shared_ptr<Wire> wire = caller->wire;
  const Lane lane = caller->lane;
  callers_.push_back(caller);
  wire->on_bytes([this, lane] { feed(Detector::Heard{lane}); });
  feed(Detector::Came{lane});
  for (;;) {
    auto frame = co_await wire->read();
    if (!frame) {
      if (frame.error().code == Code::corrupt || frame.error().code == Code::too_large)
        log_warn("broker {}: {}", lane.broker.value, frame.error().message);
      break;
    }
    if (take(caller, *frame)) continue;
    log_warn("broker {} sent a frame out of turn, or over its bounds", lane.broker.value);
    break;
  }
  wire->on_bytes(nullptr);
  wire->close();
  std::erase(callers_, caller);
  feed(Detector::Went{lane});
}

bool Mesh::take(const std::shared_ptr<Caller>& caller, const Frame& frame) {
  const uint64_t number = frame.header.number;
  switch (frame.header.kind) {
    case FrameKind::ping:
      caller->wire->send(encode_empty(FrameKind::pong, number));
      return true;
    case FrameKind::question: {
      const auto question = decode_question(frame.body.bytes());
      if (!question) return false;
      caller->wire->send(encode_frame(number, detector_.hearsay(shard_.now(), question->about)));
      return true;
    }
    case FrameKind::goodbye:
      feed(Detector::SaidGoodbye{caller->lane});
      return true;
    case FrameKind::call:
      return take_call(caller, frame);
    default:
      return false;
  }
}

// Reading never waits for a call: a ping behind it would. So the bounds are the caller's promise.
bool Mesh::take_call(const std::shared_ptr<Caller>& caller, const Frame& frame) {
  const uint64_t bytes = frame.body.size();
  const bool fits = caller->calls == 0 || (caller->calls < options_.calls_max &&
                                           caller->calls_bytes + bytes <= options_.calls_bytes_max);
  if (!fits) return false;
  ++caller->calls;
  caller->calls_bytes += bytes;
  shard_.spawn(serve_call(*this, caller, frame.header.number, frame.body, gate_.enter()));
  return true;
}

Task<void> Mesh::serve_call(Mesh& mesh, std::shared_ptr<Caller> caller, uint64_t number, Slice body,
                            env::Gate::Pass) {
  const uint64_t bytes = body.size();
  Result<Slice> answer = fail(Code::unsupported, "this broker serves no calls");
  if (mesh.serve_) answer = co_await mesh.serve_(caller->lane, std::move(body));
  --caller->calls;
  caller->calls_bytes -= bytes;
  if (answer && answer->size() > mesh.options_.call_bytes_max)
    answer = fail(Code::too_large, fmt::format("the answer has {} bytes", answer->size()));
  if (answer) {
    caller->wire->send_body(FrameKind::reply, number, std::move(*answer));
  } else {
    caller->wire->send(encode_unserved(number, answer.error().message));
  }
}

// An incarnation that the image has left behind is not heard any more.
void Mesh::close_stale_callers() {
  for (const auto& caller : callers_) {
    const auto living = detector_.living(caller->lane.broker);
    if (living && caller->lane.incarnation < *living) caller->wire->close();
  }
}

}  // namespace paceline::peer
