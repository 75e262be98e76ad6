#pragma once

#include <functional>

#include "base/bytes.h"
#include "base/event.h"
#include "base/ids.h"
#include "base/result.h"
#include "env/shard.h"

// What a broker has around it besides its cluster and its storage.

namespace paceline::broker {

// The others: questions of brokers to each other, whose meaning is their own affair, and what is
// known of who is there.
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
  // Where the connection to a broker broke just now: until it is known whether it is dead, and who
  // leads in its place, or for a quarter of a second. At once, where nobody is in doubt. From any
  // shard; resumes on `home`.
  virtual Task<void> decided(env::Shard& home) = 0;
};

struct Surroundings {
  PeerCalls* calls = nullptr;  // null: there are no other brokers
  EventSink event = [](Event) {};
};

}  // namespace paceline::broker
