#include <fmt/format.h>

#include "stream/core.h"
#include "stream/log_part.h"
#include "stream/retry.h"
#include "stream/uploader.h"

// What a lane of another broker has left to us: its reading, which the heirs share, and its end.

namespace paceline::stream {
namespace {

// An heir that reads the log answers within the first, also if only that it has not read it yet.
// Whoever asked for the last in vain reads it himself.
constexpr env::Duration kTellWithin = std::chrono::milliseconds(50);
constexpr env::Duration kAnswerWithin = std::chrono::milliseconds(150);
constexpr env::Duration kAskFor = std::chrono::milliseconds(500);
// For so long after its share is open here an heir has a log for others that come late.
constexpr env::Duration kToldUntil = std::chrono::seconds(1);

}  // namespace

void Core::inherit(Lane lane, LogShare share) {
  if (lost || estates_.contains(lane)) return;
  auto estate = std::make_shared<Estate>(owner());
  estate->share = std::move(share);
  estates_.emplace(lane, estate);
  owner().spawn(load_estate(shared_from_this(), lane, std::move(estate)));
}

// The log of `lane`, the estate's own or of one that comes under it; null: nobody elsewhere or here
// has read it, or tells it in time.
Task<SharedLog> Core::ask_for_log(std::shared_ptr<Core> core, std::shared_ptr<Estate> estate,
                                  Lane lane) {
  const env::Instant began = core->owner().now();
  for (const Lane& reader : estate->share.readers(lane)) {
    if (core->owner().now() - began > kAskFor) break;
    auto told = co_await ask_one(core, estate, {lane, reader, 0, estate->share.streams}, began);
    if (!told) continue;
    estate->told = told->only;
    co_return std::make_shared<const SealedLog>(*std::move(told));
  }
  // Of several that die at once, the first is left to us twice: directly, and under the others.
  const auto found = core->estates_.find(lane);
  if (found == core->estates_.end() || found->second == estate) co_return nullptr;
  const std::shared_ptr<Estate> direct = found->second;
  while (!direct->log) co_await core->log_read_.wait();
  co_return *direct->log;
}

Task<std::optional<SealedLog>> Core::ask_one(std::shared_ptr<Core> core,
                                             std::shared_ptr<Estate> estate, LogQuestion question,
                                             env::Instant began) {
  env::Shard& home = core->owner();
  SealedLog log;
  log.teller = question.reader.broker;
  log.only = {question.streams.begin(), question.streams.end()};
  for (;;) {
    auto answer = co_await estate->share.ask(home, question, home.now() + kAnswerWithin);
    auto part = answer ? decode_log_part(*answer) : fail(answer.error());
    if (!part) {
      log_info("storage: broker {} tells nothing of the log of lane {}: {}",
               question.reader.broker.value, question.lane.to_string(), part.error().message);
      co_return std::nullopt;
    }
    if (!part->there && home.now() - began > kAskFor) co_return std::nullopt;
    if (!part->there) continue;
    if (question.from_group == 0) log.took = home.now() - began;
    log.end = part->end;
    for (wal::Group& group : part->groups) log.groups.push_back(std::move(group));
    if (part->last) co_return log;
    if (part->next <= question.from_group) co_return std::nullopt;
    question.from_group = part->next;
  }
}

void Core::note_log(Estate& estate, SharedLog log) {
  if (log && !(estate.share.readers && log->is_whole())) log.reset();
  estate.log = std::move(log);
  log_read_.notify_all();
}

Task<Result<Slice>> Core::tell_log(LogQuestion question) {
  if (question.reader != options.lane)
    co_return fail(Code::unavailable, "that incarnation is gone");
  const env::Instant until = owner().now() + kTellWithin;
  for (;;) {
    // Whoever asks may have heard of the fence before us.
    const auto found = estates_.find(question.lane);
    if (found != estates_.end() && found->second->log) {
      const SharedLog log = *found->second->log;
      if (log) co_return encode_log_part(*log, question);
      co_return fail(Code::unavailable, "its log is not to be had here");
    }
    if (!co_await log_read_.wait_until(until)) co_return encode_not_yet();
  }
}

Task<void> Core::forget_log(env::Shard* home, std::shared_ptr<Estate> estate) {
  co_await env::sleep_for(*home, kToldUntil);
  estate->log = SharedLog();
}

Task<Result<Revision>> Core::still_open() {
  CO_TRY(const auto entry, co_await meta.get(owner(), meta::lane_key(options.lane)));
  bool sealed = !entry;
  if (entry) {
    CO_TRY(const auto record, meta::decode<meta::LaneRecord>(entry->value));
    sealed = record.sealed;
  }
  if (!sealed) co_return entry->modified;
  co_return fail(Code::fenced,
                 fmt::format("lane {} is not registered any more", options.lane.to_string()));
}

// Whoever was fenced while it read what another has left must not answer even reads of it. Asked
// beside the reading, and once more if that took long: a broker may have stood still in it.
Task<void> Core::load_estate(std::shared_ptr<Core> core, Lane lane,
                             std::shared_ptr<Estate> estate) {
  constexpr env::Duration kLong = std::chrono::milliseconds(100);
  const env::Instant began = core->owner().now();
  auto ask_store = [core] {
    return retry_transient(core->owner(), [core] { return core->still_open(); });
  };
  Result<Revision> registered;
  auto ask = [](auto once, Result<Revision>* answer, env::Gate::Pass) -> Task<void> {
    *answer = co_await once();
  };
  env::Gate asking(core->owner());
  core->owner().spawn(ask(ask_store, &registered, asking.enter()));
  RecoverOptions recovering{.own = {lane.broker, lane.incarnation + 1},
                            .of_another = true,
                            .left_to = core->options.left_to};
  if (estate->share.readers)
    recovering.ask_for_log = [core, estate](Lane of) { return ask_for_log(core, estate, of); };
  recovering.on_log = [core, estate](SharedLog log) { core->note_log(*estate, std::move(log)); };
  auto recovery = co_await recover(core->sources(), std::move(recovering), core->events);
  if (!estate->log) core->note_log(*estate, {});
  co_await asking.wait_empty();
  if (registered && core->owner().now() - began > kLong) registered = co_await ask_store();
#ifndef PACELINE_PLANT_fenced_heir_serves
  if (!registered) {
    recovery = fail(registered.error());
    core->lose(registered.error());
  }
#endif
  estate->recovery = std::move(recovery);
  const Result<Recovery>& got = *estate->recovery;
  if (got) {
    core->events(tell_recovered(*got, core->owner().now() - began));
  } else {
    log_error("storage: what lane {} has left cannot be read: {}", lane.to_string(),
              got.error().to_string());
  }
  estate->arrived.notify_all();
  if (estate->settled) core->settle(lane);
}

void Core::settle(Lane lane) {
  const auto found = estates_.find(lane);
  if (found == estates_.end()) return;
  found->second->settled = true;  // what was not read yet is settled when it is
  if (!found->second->recovery || !*found->second->recovery) return;
  if (std::exchange(found->second->handed_over, true)) return;
  owner().spawn(forget_log(&owner(), found->second));
  Recovery& recovery = **found->second->recovery;
  // Streams of others, and of topics that are gone. How many were damaged still counts.
  recovery.image.streams.clear();
  // Of a damaged one the WAL is the evidence: it never gets our mark.
  if (recovery.damaged.empty() && recovery.estate_damaged.empty())
    uploader->inherit(lane, recovery);
}

// An estate that knows all there was of the stream, once it has been read.
Task<Result<std::shared_ptr<Core::Estate>>> Core::estate_with(Lane lane, StreamId id) {
  for (;;) {
    const auto found = estates_.find(lane);
    if (found == estates_.end())
      co_return fail(Code::unavailable,
                     fmt::format("lane {} is not inherited yet", lane.to_string()));
    const std::shared_ptr<Estate> estate = found->second;
    while (!estate->recovery) co_await estate->arrived.wait();
    if (!*estate->recovery) co_return fail(estate->recovery->error());
    const Recovery& read = **estate->recovery;
    if (!read.damaged.empty()) co_return fail(Code::corrupt, read.damaged);
    if (!read.estate_damaged.empty() && !read.image.streams.contains(id) &&
        !parts.front()->find(id))
      co_return fail(Code::corrupt, read.estate_damaged);
    if (!estate->told || estate->told->contains(id) || estate->handed_over) co_return estate;
    // It was not known to be ours when the log was asked for: read here, and not told by others.
    if (estates_[lane] == estate) {
      estates_.erase(lane);
      inherit(lane, {});
    }
  }
}

}  // namespace paceline::stream
