#include "env/sim_endpoint.h"

#include <algorithm>
#include <utility>

#include "env/sim_world.h"

namespace paceline::env {

using namespace std::chrono_literals;

SimEndpoint::SimEndpoint(SimEvents& events, SimLinks& links, SimShard& shard, std::string peer)
    : events_(events),
      links_(links),
      shard_(&shard),
      peer_name_(std::move(peer)),
      number_(++links.last_endpoint),
      host_(shard.life().host().index()) {
  links_.endpoints.emplace(number_, this);
}

SimEndpoint::~SimEndpoint() {
  close();
  links_.endpoints.erase(number_);
}

void SimEndpoint::join(const std::shared_ptr<SimEndpoint>& a,
                       const std::shared_ptr<SimEndpoint>& b) {
  a->peer_ = b;
  b->peer_ = a;
  a->peer_host_ = b->host_;
  b->peer_host_ = a->host_;
}

// The callbacks that arrive hold their endpoint: what is on the wire outlives the socket.
bool SimEndpoint::transmit(SimEndpoint& to, Callback arrive) {
  return links_.send(host_, peer_host_, &to.life(), number_, to.last_arrival_, std::move(arrive));
}

Result<size_t> SimEndpoint::take(MutableBytes into) {
  if (closed_) return fail(Code::closed, "the connection was closed here");
  size_t count = 0;
  while (!received_.empty() && count < into.size()) {
    const Bytes rest = as_bytes(received_.front()).subspan(read_of_first_);
    const size_t part = std::min(rest.size(), into.size() - count);
    std::copy_n(rest.data(), part, into.data() + count);
    count += part;
    read_of_first_ += part;
    if (read_of_first_ == received_.front().size()) {
      received_.pop_front();
      read_of_first_ = 0;
    }
  }
  if (count > 0) {
    if (auto peer = peer_.lock())
      transmit(*peer, [peer, count] { peer->arrive_acknowledgement(count); });
    return count;
  }
  if (end_received_) return fail(Code::closed, "the peer closed the connection");
  if (reset_) return fail(Code::io_error, "the connection was reset");
  return 0;
}

Result<size_t> SimEndpoint::send(Bytes bytes) {
  if (closed_) return fail(Code::closed, "the connection was closed here");
  if (reset_) return fail(Code::io_error, "the connection was reset");
  const auto peer = peer_.lock();
  if (!peer || peer->closed_) {
    // The peer's system answers what arrives for nobody with a reset, after all it sent before.
    auto self = shared_from_this();
    links_.send(host_, peer_host_, nullptr, number_, last_arrival_,
                [self] { self->arrive_reset(); });
    return bytes.size();
  }
  const size_t room = std::min(bytes.size(), kWindow - in_window_);
  if (room == 0) return 0;
  Random& random = events_.random();
  if (random.chance(links_.faults.reset)) {
    transmit(*peer, [peer] { peer->arrive_reset(); });
    arrive_reset();
    return fail(Code::io_error, "the connection was reset");
  }
  const size_t count = random.chance(0.3) ? 1 + random.below(room) : room;
  in_window_ += count;
  if (!transmit(*peer, [peer, piece = to_string(bytes.first(count))]() mutable {
        peer->arrive(std::move(piece));
      }))
    watch_cut();
  return count;
}

// A system gives up on bytes that nobody acknowledges.
void SimEndpoint::watch_cut() {
  const Instant since = events_.now();
  events_.add(since + 60s, &life(), SimEvents::Kind::network, number_ | kWireActor,
              [weak = weak_from_this(), since] {
                if (auto self = weak.lock();
                    self && self->links_.cut_since(self->host_, self->peer_host_, since))
                  self->arrive_reset();
              });
}

void SimEndpoint::close() {
  if (closed_) return;
  closed_ = true;
  received_.clear();
  if (auto peer = peer_.lock()) transmit(*peer, [peer] { peer->arrive_end(); });
  wake_later();
}

void SimEndpoint::abandon(bool reset) {
  if (closed_) return;
  closed_ = true;
  received_.clear();
  auto peer = peer_.lock();
  if (!peer) return;
  if (reset) {
    transmit(*peer, [peer] { peer->arrive_reset(); });
  } else {
    transmit(*peer, [peer] { peer->arrive_end(); });
  }
}

void SimEndpoint::wake_later() {
  if (!reader && !writer) return;
  shard_->post([self = shared_from_this()] {
    SimWait::wake(self->reader);
    SimWait::wake(self->writer);
  });
}

void SimEndpoint::arrive(std::string bytes) {
  if (closed_) {
    if (auto peer = peer_.lock()) transmit(*peer, [peer] { peer->arrive_reset(); });
    return;
  }
  events_.mix(bytes.size());
  received_.push_back(std::move(bytes));
  wake_later();
}

void SimEndpoint::arrive_end() {
  end_received_ = true;
  wake_later();
}

void SimEndpoint::arrive_acknowledgement(size_t count) {
  in_window_ -= count;
  wake_later();
}

void SimEndpoint::arrive_reset() {
  if (closed_) return;
  reset_ = true;
  wake_later();
}

}  // namespace paceline::env
