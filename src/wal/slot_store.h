#pragma once

#include <memory>
#include <string>

#include "env/ask.h"
#include "env/backoff.h"
#include "wal/slot_format.h"

namespace paceline::wal {

using env::Answer;

// One lane's slots in the store, as everybody sees them who works with them on one shard. Copied
// freely; what it makes holds what it needs by itself, but for the store, which nobody may ask any
// more once `ended`.
class SlotStore {
 public:
  SlotStore(object::Store& store, std::shared_ptr<const ObjectWalOptions> options, Lane lane,
            env::Shard& shard)
      : store_(&store),
        options_(std::move(options)),
        owner_{.cluster_id = options_->cluster_id, .lane = lane},
        shard_(&shard),
        ended_(std::make_shared<bool>(false)) {}

  const ObjectWalOptions& options() const { return *options_; }
  ObjectWalCounters& counters() const { return *options_->counters; }
  const Owner& owner() const { return owner_; }
  env::Shard& shard() const { return *shard_; }
  // Nobody waits for the outcome any more: loops end at their next step.
  void end() const { *ended_ = true; }
  bool ended() const { return *ended_; }
  std::string slot_key(uint64_t sequence) const { return wal::slot_key(owner_, sequence); }
  std::string name(uint64_t sequence) const;  // for messages

  // REQUIRES: !ended()
  Task<Answer<void>> put(std::string key, std::vector<Slice> body) const;
  Task<Answer<Slice>> get(std::string key, uint64_t from, uint64_t bytes) const;
  Task<Answer<uint64_t>> size(std::string key) const;
  Task<Answer<void>> remove(std::vector<std::string> keys) const;
  Task<Answer<object::ListPage>> list(std::string after) const;  // of the lane's keys

  // Waits before a request is made again. False once ended.
  Task<bool> pause(env::Backoff& backoff) const;

 private:
  env::Instant deadline() const { return shard_->now() + options_->request_deadline; }
  template <class T>
  Task<Answer<T>> counted(std::atomic<uint64_t>& kind, Task<Result<T>> request) const;

  object::Store* store_;
  std::shared_ptr<const ObjectWalOptions> options_;
  Owner owner_;
  env::Shard* shard_;
  std::shared_ptr<bool> ended_;
};

// Why a request is made again, in words.
template <class T>
std::string reason(const Answer<T>& answer) {
  if (!answer.result) return "no answer within the deadline";
  if (!*answer.result) return answer.result->error().to_string();
  return answer.late ? "the answer came behind the deadline" : "it has succeeded";
}

}  // namespace paceline::wal
