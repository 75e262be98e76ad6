#pragma once

#include <map>
#include <set>

#include "base/ids.h"
#include "env/sync.h"

namespace paceline::broker {

// Requests that have come for partitions before they were open here: who has read of a failover
// sooner than we have opened what it brought sends us what its clients want. They wait, and go on
// in the order in which they came. Of one shard.
class Early {
 public:
  // `changed`: somebody may be able to go on.
  explicit Early(env::Event& changed) : changed_(changed) {}

  bool any(const StreamId& stream) const { return places_.contains(stream); }

  class Place {
   public:
    Place(Early& early, const StreamId& stream)
        : early_(early), stream_(stream), number_(early.next_++) {
      early_.places_[stream_].insert(number_);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      auto& places = early_.places_.at(stream_);
      places.erase(number_);
      if (places.empty()) early_.places_.erase(stream_);
      early_.changed_.notify_all();
    }
    bool first() const { return *early_.places_.at(stream_).begin() == number_; }

   private:
    Early& early_;
    const StreamId stream_;
    const uint64_t number_;
  };

 private:
  env::Event& changed_;
  uint64_t next_ = 0;
  std::map<StreamId, std::set<uint64_t>> places_;
};

}  // namespace paceline::broker
