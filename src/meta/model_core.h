#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "env/random.h"
#include "env/sync.h"
#include "meta/model.h"
#include "meta/model_state.h"

namespace paceline::meta {

// What a store of the model is known by: its watches end with it.
struct ModelConnection {};

// On its own shard; the model only holds it weakly and wakes it.
struct ModelWatcher {
  ModelWatcher(env::Shard& home, std::string under, Revision seen)
      : shard(home), prefix(std::move(under)), after(seen), event(home) {}
  env::Shard& shard;
  const std::string prefix;
  Revision after;
  uint64_t cut = 0;  // the count of cuts its stream has seen
  bool cancelled = false;
  env::Event event;
};

class ModelCore {
 public:
  explicit ModelCore(uint64_t seed) : random(seed) {}

  // Brings the state up to `now`: what was late, and what has expired. Before every look at it.
  void settle(env::Instant now);
  void wake();  // every watch looks again
  void commit_late(Transaction transaction, env::Instant due);
  // When the state changes without anybody's doing.
  env::Instant next_due() const;
  bool down(env::Instant now) const { return now < down_end; }
  env::Duration delay();  // of one message
  env::Duration draw(env::Duration below);

  ModelState state;
  ModelFaults faults;
  env::Random random;
  env::Instant down_end{};
  uint64_t cuts = 0;
  std::vector<std::weak_ptr<ModelWatcher>> watchers;

 private:
  std::multimap<env::Instant, Transaction> late_;
};

std::unique_ptr<Watch> watch_model(std::shared_ptr<ModelCore> core,
                                   std::weak_ptr<ModelConnection> connection, env::Shard& shard,
                                   std::string prefix, Revision after);

}  // namespace paceline::meta
