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
      shown_(shard),
      producer_ids_(shard),
      stop_(shard),
      background_(shard) {}

Task<Result<void>> Member::start() {
  CO_TRY_VOID(co_await list());
  publish();
  shard_.spawn(follow(background_.enter()));
  if (options_.lease.count() > 0) {
    shard_.spawn(stay_alive(background_.enter()));
    shard_.spawn(watch_others(background_.enter()));
  }
  auto shown = co_await wait_shown(followed_.whole);
  if (!shown) co_await end();
  co_return shown;
}

void Member::on_image(std::function<void(std::shared_ptr<const Image>)> listener) {
  listeners_.push_back(std::move(listener));
}

// Replaces all that is known, and watches it from there. What changed while its pages were read
// comes again by the watch; until then what is known is how the metadata never were.
Task<Result<void>> Member::list() {
  CO_TRY(auto range, co_await meta::range_prefix(store_, shard_, ""));
  CO_TRY(auto watch, store_.watch(shard_, "", range.revision));
  model_.clear();
  followed_.watch = std::move(watch);
  followed_.whole = std::max(followed_.seen, range.revision);
  followed_.seen = range.revision;
  followed_.own = {};
  for (const meta::Entry& entry : range.entries) {
    if (const auto part = part_of(entry.key))
      model_.put(*part, entry.key, entry.value, entry.modified);
    followed_.whole = std::max(followed_.whole, entry.modified);
  }
  co_return Result<void>{};
}

Task<void> Member::follow(env::Gate::Pass) {
  while (!stopping_) {
    auto changes = co_await followed_.watch->next();
    if (stopping_) break;
    if (changes) {
      std::erase_if(*changes, [&](const auto& one) { return one.revision <= followed_.own; });
      for (const meta::Change& change : *changes) take_in(change);
      if (!changes->empty()) publish();
      continue;
    }
    if (changes.error().code != Code::compacted)
      log_warn("the metadata cannot be followed: {}", changes.error().to_string());
    for (;;) {
      auto listed = co_await list();
      if (listed) break;
      co_await stop_.wait_until(shard_.now() + kRetryAfter);
      if (stopping_) co_return;
    }
    publish();
  }
}

void Member::take_in(const meta::Change& change) {
  followed_.seen = std::max(followed_.seen, change.revision);
  const auto part = part_of(change.key);
  if (!part) return;
  if (change.value)
    model_.put(*part, change.key, *change.value, change.revision);
  else
    model_.remove(*part, change.key);
}

// The store's answer to a change tells all of it, and its revision whether anything else came
// first. So whoever fences does not wait for the watch, which may take its time.
void Member::take_in_own(const std::vector<meta::Write>& writes, Revision revision) {
  if (revision.value != followed_.seen.value + 1) return;
  for (const meta::Write& write : writes) {
    meta::Change change{revision, write.key, std::nullopt};
    if (write.what == meta::Write::What::put) change.value = write.value;
    take_in(change);
  }
  followed_.own = followed_.seen = revision;
  publish();
}

// One watch brings each revision whole, so an image is how the metadata were at one revision. A
// broker that knew the end of a lane, and not yet a preference that was written before it, would
// lead what another one leads, in the same epoch.
void Member::publish() {
  if (followed_.seen < followed_.whole) return;
  auto image = model_.make_image(followed_.seen, shard_.now());
  image_.store(image);
  for (const auto& listener : listeners_) listener(image);
  shown_.notify_all();
}

Task<Result<void>> Member::wait_shown(Revision revision) {
  const env::Instant until = shard_.now() + kPatience;
  while (!image_.load() || image_.load()->revision < revision) {
    if (stopping_) co_return fail(Code::closed, "the broker leaves the cluster");
    if (shard_.now() >= until) co_return not_seen();
    co_await shown_.wait_until(until);
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
  followed_.watch->cancel();
  stop_.notify_all();
  shown_.notify_all();
  turn_.notify_all();
  co_await background_.wait_empty();
}

Task<void> Member::stop(env::Shard& home) {
  co_await env::call_on(shard_, home, [this] { return end(); });
}

}  // namespace paceline::cluster
