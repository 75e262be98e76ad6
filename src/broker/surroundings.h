#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "env/shard.h"

// What a broker has around it besides its cluster and its storage.

namespace paceline::broker {

// Questions of brokers to each other; what they mean is their own affair.
class PeerCalls {
 public:
  virtual ~PeerCalls() = default;
  // From any shard; resumes on `home`. too_large; unavailable: not connected, or it refused, and
  // nothing was done; timed_out: nothing has left; maybe_written: it may have been served.
  virtual Task<Result<Slice>> call(env::Shard& home, BrokerId to, Slice body,
                                   env::Instant deadline) = 0;
  // Serves theirs, on the first shard, several at a time; they begin in the order in which one
  // caller has sent them. An error says that nothing was done. Before, and after an empty one, they
  // are told that nobody serves here. On the first shard.
  using Serve = std::function<Task<Result<Slice>>(Lane from, Slice body)>;
  virtual void on_call(Serve serve) = 0;
};

// One line of the timeline. The lines of one failover, or one move, have one cause. From any shard.
using EventLine =
    std::function<void(std::string_view cause, std::string_view name, std::string detail)>;

struct Surroundings {
  PeerCalls* calls = nullptr;  // null: there are no other brokers
  EventLine event = [](std::string_view, std::string_view, std::string) {};
};

}  // namespace paceline::broker
