#include <algorithm>

#include "base/log.h"
#include "cluster/member.h"

namespace paceline::cluster {
namespace {

constexpr env::Duration kRetryAfter = std::chrono::milliseconds(200);

}  // namespace

Member::Member(env::Shard& shard, meta::Store& store, Options options, Uuid cluster_id,
               Registration registration)
    : shard_(shard),
      store_(store),
      options_(std::move(options)),
      cluster_id_(cluster_id),
      registration_(registration),
      model_(options_.broker, cluster_id),
      turn_(shard),
      seen_(shard),
      producer_ids_(shard),
      stop_(shard),
      background_(shard) {}

Task<Result<void>> Member::start() {
  for (Part part : kParts) CO_TRY_VOID(co_await list(part));
  publish();
  for (Part part : kParts) shard_.spawn(follow(part, background_.enter()));
  if (options_.lease.count() > 0) {
    shard_.spawn(stay_alive(background_.enter()));
    shard_.spawn(watch_others(background_.enter()));
  }
  co_return Result<void>{};
}

void Member::on_image(std::function<void(std::shared_ptr<const Image>)> listener) {
  listeners_.push_back(std::move(listener));
}

// Replaces all that is known of a part, and watches it from there. What changed while its pages
// were read comes again by the watch.
Task<Result<void>> Member::list(Part part) {
  CO_TRY(auto range, co_await meta::range_prefix(store_, shard_, part_prefix(part)));
  CO_TRY(auto watch, store_.watch(shard_, part_prefix(part), range.revision));
  model_.clear(part);
  for (const meta::Entry& entry : range.entries)
    model_.put(part, entry.key, entry.value, entry.modified);
  Followed& followed = followed_[static_cast<size_t>(part)];
  followed.watch = std::move(watch);
  followed.seen = std::max(followed.seen, range.revision);
  co_return Result<void>{};
}

Task<void> Member::follow(Part part, env::Gate::Pass) {
  Followed& followed = followed_[static_cast<size_t>(part)];
  while (!stopping_) {
    auto changes = co_await followed.watch->next();
    if (stopping_) break;
    if (changes) {
      for (const meta::Change& change : *changes) {
        if (change.value)
          model_.put(part, change.key, *change.value, change.revision);
        else
          model_.remove(part, change.key);
        followed.seen = std::max(followed.seen, change.revision);
      }
      publish();
      continue;
    }
    if (changes.error().code != Code::compacted)
      log_warn("metadata under '{}' cannot be followed: {}", part_prefix(part),
               changes.error().to_string());
    for (;;) {
      auto listed = co_await list(part);
      if (listed) break;
      co_await stop_.wait_until(shard_.now() + kRetryAfter);
      if (stopping_) co_return;
    }
    publish();
  }
}

void Member::publish() {
  Revision newest;
  for (const Followed& followed : followed_) newest = std::max(newest, followed.seen);
  auto image = model_.make_image(newest);
  image_.store(image);
  for (const auto& listener : listeners_) listener(image);
  seen_.notify_all();
}

Task<Result<void>> Member::wait_seen(Part part, Revision revision) {
  const env::Instant until = shard_.now() + kPatience;
  while (followed_[static_cast<size_t>(part)].seen < revision) {
    if (stopping_) co_return fail(Code::closed, "the broker leaves the cluster");
    if (shard_.now() >= until) co_return not_seen();
    co_await seen_.wait_until(until);
  }
  co_return Result<void>{};
}

std::unexpected<Error> Member::not_seen() {
  return fail(
      Code::timed_out,
      "the change is made, but the metadata store does not answer: it is in force here when "
      "it does");
}

Task<void> Member::end() {
  stopping_ = true;
  for (Followed& followed : followed_) followed.watch->cancel();
  stop_.notify_all();
  seen_.notify_all();
  turn_.notify_all();
  co_await background_.wait_empty();
}

Task<void> Member::stop(env::Shard& home) {
  co_await env::call_on(shard_, home, [this] { return end(); });
}

}  // namespace paceline::cluster
