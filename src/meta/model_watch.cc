#include "meta/model_core.h"

namespace paceline::meta {
namespace {

using namespace std::chrono_literals;
using CorePtr = std::shared_ptr<ModelCore>;
using WatcherPtr = std::shared_ptr<ModelWatcher>;

// Until there is a stream again: nothing that happens in the meantime is lost, it is read by
// revision.
Task<void> reconnect(CorePtr core, WatcherPtr watcher) {
  watcher->cut = core->cuts;
  const env::Instant back = watcher->shard.now() + 10ms + core->draw(200ms);
  const env::Instant until = std::max(back, core->down_end);
  while (!watcher->cancelled && watcher->shard.now() < until)
    co_await watcher->event.wait_until(until);
}

Task<Result<std::vector<Change>>> next_changes(CorePtr core,
                                               std::weak_ptr<ModelConnection> connection,
                                               WatcherPtr watcher) {
  env::Shard& shard = watcher->shard;
  while (!watcher->cancelled) {
    if (connection.expired()) co_return fail(Code::closed, "the metadata store is closed");
    if (watcher->cut != core->cuts || core->down(shard.now())) {
      co_await reconnect(core, watcher);
      continue;
    }
    core->settle(shard.now());
    auto changes = core->state.changes(watcher->prefix, watcher->after);
    if (!changes) co_return changes;
    if (changes->empty()) {
      // As by etcd's notices of progress: what does not concern us does not hold us back.
      watcher->after = std::max(watcher->after, core->state.revision());
      co_await watcher->event.wait_until(core->next_due());
      continue;
    }
    co_await env::sleep_for(shard, core->delay());
    if (watcher->cancelled) break;
    if (core->random.chance(core->faults.watch_cut)) {
      co_await reconnect(core, watcher);
      continue;
    }
    watcher->after = changes->back().revision;
    co_return changes;
  }
  co_return fail(Code::cancelled, "the watch was cancelled");
}

class ModelWatch final : public Watch {
 public:
  ModelWatch(CorePtr core, std::weak_ptr<ModelConnection> connection, WatcherPtr watcher)
      : core_(std::move(core)), connection_(std::move(connection)), watcher_(std::move(watcher)) {}
  ~ModelWatch() override { ModelWatch::cancel(); }
  Task<Result<std::vector<Change>>> next() override {
    return next_changes(core_, connection_, watcher_);
  }
  void cancel() override {
    watcher_->cancelled = true;
    watcher_->event.notify_all();
  }

 private:
  CorePtr core_;
  std::weak_ptr<ModelConnection> connection_;
  WatcherPtr watcher_;
};

}  // namespace

std::unique_ptr<Watch> watch_model(CorePtr core, std::weak_ptr<ModelConnection> connection,
                                   env::Shard& shard, std::string prefix, Revision after) {
  auto watcher = std::make_shared<ModelWatcher>(shard, std::move(prefix), after);
  watcher->cut = core->cuts;
  core->watchers.push_back(watcher);
  return std::make_unique<ModelWatch>(std::move(core), std::move(connection), std::move(watcher));
}

}  // namespace paceline::meta
