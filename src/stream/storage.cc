#include "stream/core.h"
#include "stream/uploader.h"

namespace paceline::stream {
namespace {

// The face; all work is the core's, which background tasks keep alive by themselves.
class RunningStorage final : public Storage {
 public:
  explicit RunningStorage(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  Task<Result<Opened>> open(env::Shard& home, StreamId id, StateOwner& owner,
                            std::optional<Lane> from) override {
    return core_->open(home, id, owner, from);
  }
  Task<void> close(env::Shard& home, StreamId id) override { return core_->close(home, id); }
  Task<Result<void>> erase(env::Shard& home, StreamId id) override {
    return core_->erase(home, id);
  }

  void inherit(Lane lane, LogShare share) override {
    core_->owner().post([core = core_, lane, moved = std::move(share)]() mutable {
      core->inherit(lane, std::move(moved));
    });
  }
  Task<Result<Slice>> tell_log(env::Shard& home, LogQuestion question) override {
    Core* core = core_.get();
    auto telling = [core, moved = std::move(question)]() mutable {
      return core->tell_log(std::move(moved));
    };
    co_return co_await env::call_on(core->owner(), home, std::move(telling));
  }
  void inherited(Lane lane) override {
    core_->owner().post([core = core_, lane] { core->settle(lane); });
  }

  Task<Result<Slice>> passport(env::Shard& home, StreamId id) override {
    return core_->passport(home, id);
  }
  Task<Result<Position>> adopt(env::Shard& home, std::vector<Adoption> adoptions) override {
    Core* core = core_.get();
    auto adopting = [core, moved = std::move(adoptions)]() mutable {
      return core->adopt(std::move(moved));
    };
    co_return co_await env::call_on(core->owner(), home, std::move(adopting));
  }
  Task<Result<void>> commit_adoption(env::Shard& home, Position adopted,
                                     CommitAdoption commit) override {
    Core* core = core_.get();
    auto committing = [core, &home, adopted, moved = std::move(commit)]() mutable {
      return core->commit_adoption(home, adopted, std::move(moved));
    };
    co_return co_await env::call_on(core->owner(), home, std::move(committing));
  }
  void forget_adopted(StreamId id) override {
    core_->owner().post(
        [core = core_, id] { core->owner().spawn(Core::forget_adopted(core, id)); });
  }
  Task<void> release(env::Shard& home, StreamId id) override {
    Core* core = core_.get();
    auto releasing = [core, id] { return core->release(id); };
    co_await env::call_on(core->owner(), home, releasing);
  }

  Task<Result<ReadResult>> read_excerpt(env::Shard& home, Slice excerpt,
                                        ReadRequest request) override {
    return core_->read_excerpt(home, std::move(excerpt), request);
  }

  Task<Result<void>> upload_now(env::Shard& home) override {
    if (!core_->damaged.empty()) co_return fail(Code::corrupt, core_->damaged);
    Core* core = core_.get();
    auto uploading = [core] { return core->uploader->upload_now(); };
    co_return co_await env::call_on(core->owner(), home, uploading);
  }

  Stats stats() const override {
    const Counters& from = core_->counters;
    return {.unuploaded_bytes = from.unuploaded_bytes,
            .log_cache_bytes = from.log_cache_bytes,
            .block_cache_bytes = from.block_cache_bytes,
            .cache_hits = from.cache_hits,
            .cache_misses = from.cache_misses,
            .uploads = from.uploads,
            .upload_failures = from.upload_failures,
            .uploaded_bytes = from.uploaded_bytes,
            .compactions = from.compactions,
            .compaction_failures = from.compaction_failures,
            .compacted_bytes = from.compacted_bytes,
            .deleted_objects = from.deleted_objects,
            .streams = from.streams};
  }

  void on_lost(std::move_only_function<void(Error)> notify) override {
    // Registered and told on the owner shard, whoever calls.
    core_->owner().post([core = core_, notify = std::move(notify)]() mutable {
      if (core->loss) {
        notify(*std::exchange(core->loss, std::nullopt));
      } else {
        core->on_lost = std::move(notify);
      }
    });
  }

  Task<void> stop(env::Shard& home, env::Instant deadline) override {
    Core* core = core_.get();
    auto stopping = [core, deadline] { return core->stop(deadline); };
    co_await env::call_on(core->owner(), home, stopping);
  }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace

Task<Result<std::unique_ptr<Storage>>> Storage::start(std::vector<env::Shard*> shards,
                                                      meta::Store& meta, ObjectStores objects,
                                                      wal::Wal& wal, Options options,
                                                      EventSink events) {
  CHECK(!shards.empty());
  auto core = std::make_shared<Core>(std::move(shards), meta, objects, wal, std::move(options),
                                     std::move(events));
  CO_TRY_VOID(co_await core->start());
  co_return std::unique_ptr<Storage>(std::make_unique<RunningStorage>(std::move(core)));
}

}  // namespace paceline::stream
