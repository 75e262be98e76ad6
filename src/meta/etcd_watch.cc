#include <algorithm>

#include "base/log.h"
#include "env/sync.h"
#include "meta/etcd_store.h"
#include "meta/gen/etcd.pb.h"

// A watch has a stream of its own; all streams of a store share its connections. When a stream ends
// the watch opens the next one behind the last revision it has seen, for as long as it takes.

namespace paceline::meta {
namespace {

namespace pb = etcdserverpb;

// Touched on its own shard alone.
struct EtcdWatcher {
  EtcdWatcher(env::Shard& home, std::string under, Revision seen)
      : shard(home), prefix(std::move(under)), after(seen), stop(home) {}
  env::Shard& shard;
  const std::string prefix;
  Revision after;
  EtcdClient::Opened opened;
  int refusals = 0;    // of streams in a row
  bool renew = false;  // the token, before the next stream
  bool cancelled = false;
  env::Event stop;
};

using WatcherPtr = std::shared_ptr<EtcdWatcher>;

std::string create_request(const EtcdClient& client, const EtcdWatcher& watcher) {
  const std::string key = client.prefix() + watcher.prefix;
  pb::WatchRequest request;
  pb::WatchCreateRequest& create = *request.mutable_create_request();
  create.set_key(key);
  create.set_range_end(prefix_end(key));
  create.set_start_revision(watcher.after.value + 1);
  // Where nobody writes under the prefix the watch still moves on, and is not compacted away.
  create.set_progress_notify(true);
  return request.SerializeAsString();
}

std::vector<Change> to_changes(const pb::WatchResponse& response, size_t prefix_bytes) {
  std::vector<Change> changes;
  for (const pb::Event& event : response.events()) {
    Change change{Revision(event.kv().mod_revision()), event.kv().key().substr(prefix_bytes), {}};
    if (event.type() == pb::Event::PUT) change.value = event.kv().value();
    changes.push_back(std::move(change));
  }
  auto by_key = [](const Change& change) { return std::tie(change.revision, change.key); };
  std::ranges::sort(changes, {}, by_key);
  return changes;
}

// Waits a little longer each time; cancel() ends it.
Task<void> pause(EtcdWatcher& watcher) {
  const int64_t ms = 20 << std::min(watcher.refusals, 5);
  const int64_t jitter = static_cast<int64_t>(watcher.shard.random() % static_cast<uint64_t>(ms));
  co_await watcher.stop.wait_until(watcher.shard.now() +
                                   std::chrono::milliseconds(ms / 2 + jitter));
}

// Every step gives changes, or none when there are none yet, or why the watch is over.
using Step = Result<std::vector<Change>>;

Task<Step> open_stream(std::shared_ptr<EtcdClient> client, WatcherPtr watcher) {
  auto opened = co_await client->open(watcher->shard, "/etcdserverpb.Watch/Watch",
                                      create_request(*client, *watcher), watcher->renew);
  if (opened) {
    watcher->renew = false;
    watcher->opened = std::move(*opened);
    co_return Step();
  }
  if (opened.error().code != Code::unavailable) co_return fail(std::move(opened).error());
  ++watcher->refusals;
  co_await pause(*watcher);
  co_return Step();
}

// The member is behind what we have seen: either it lags, or the store has gone back, and then the
// watch would wait for revisions that mean something else by now. A read tells.
Task<Step> compare_revisions(std::shared_ptr<EtcdClient> client, WatcherPtr watcher) {
  pb::RangeRequest request;
  request.set_key(client->prefix());
  request.set_keys_only(true);
  auto answer = co_await client->call(watcher->shard, "/etcdserverpb.KV/Range",
                                      request.SerializeAsString(), CallKind::repeatable);
  if (!answer) co_return Step();
  CO_TRY(const auto response, read_message<pb::RangeResponse>(answer));
  CO_TRY_VOID(client->note_revision(watcher->after.value, response.header().revision()));
  co_return Step();
}

Task<Step> take_message(std::shared_ptr<EtcdClient> client, WatcherPtr watcher, std::string bytes) {
  constexpr int kRefusalsMax = 3;
  pb::WatchResponse response;
  if (!response.ParseFromString(bytes))
    co_return fail(Code::corrupt, "etcd's answer cannot be read");
  if (response.compact_revision() != 0)
    co_return fail(Code::compacted, fmt::format("etcd keeps no changes before revision {}",
                                                response.compact_revision()));
  if (response.canceled()) {
    // A token that is no longer good looks like a right that is missing.
    watcher->opened.stream.reset();
    watcher->renew = true;
    if (++watcher->refusals <= kRefusalsMax) co_return Step();
    co_return fail(Code::permission_denied, "etcd ended a watch: " + response.cancel_reason());
  }
  watcher->refusals = 0;
  const Revision newest(response.header().revision());
  if (response.created()) {
    if (newest < watcher->after) co_return co_await compare_revisions(client, watcher);
    co_return Step();
  }
  auto changes = to_changes(response, client->prefix().size());
  watcher->after = changes.empty() ? std::max(watcher->after, newest) : changes.back().revision;
  co_return changes;
}

Task<Step> leave_stream(std::shared_ptr<EtcdClient> client, WatcherPtr watcher) {
  const RpcStatus status = watcher->opened.stream->status();
  watcher->opened.stream.reset();
  const Verdict verdict = judge(status, CallKind::repeatable, true);
  if (verdict.what == Verdict::What::failed) co_return fail(verdict.error);
  watcher->renew = verdict.what == Verdict::What::authenticate;
  client->leave_member(watcher->opened.member, status);
  ++watcher->refusals;
  co_await pause(*watcher);
  co_return Step();
}

Task<Step> next_changes(std::weak_ptr<EtcdClient> store, WatcherPtr watcher) {
  while (!watcher->cancelled) {
    auto client = store.lock();
    if (!client || client->closed()) co_return fail(Code::closed, "the metadata store is closed");
    Step step;
    if (!watcher->opened.stream) {
      step = co_await open_stream(std::move(client), watcher);
    } else {
      client.reset();  // a store does not stay because of a watch that sleeps
      auto bytes = co_await watcher->opened.stream->read();
      client = store.lock();
      if (watcher->cancelled || !client || client->closed()) continue;
      step = bytes ? co_await take_message(std::move(client), watcher, std::move(*bytes))
                   : co_await leave_stream(std::move(client), watcher);
    }
    if (watcher->cancelled) break;
    if (!step || !step->empty()) co_return step;
  }
  co_return fail(Code::cancelled, "the watch was cancelled");
}

class EtcdWatch final : public Watch {
 public:
  EtcdWatch(std::weak_ptr<EtcdClient> client, WatcherPtr watcher)
      : client_(std::move(client)), watcher_(std::move(watcher)) {}
  ~EtcdWatch() override { EtcdWatch::cancel(); }
  Task<Result<std::vector<Change>>> next() override { return next_changes(client_, watcher_); }
  void cancel() override {
    watcher_->cancelled = true;
    if (watcher_->opened.stream) watcher_->opened.stream->cancel();
    watcher_->stop.notify_all();
  }

 private:
  std::weak_ptr<EtcdClient> client_;
  WatcherPtr watcher_;
};

}  // namespace

Result<std::unique_ptr<Watch>> watch_etcd(std::weak_ptr<EtcdClient> client, env::Shard& shard,
                                          std::string prefix, Revision after) {
  auto watcher = std::make_shared<EtcdWatcher>(shard, std::move(prefix), after);
  return std::make_unique<EtcdWatch>(std::move(client), std::move(watcher));
}

}  // namespace paceline::meta
