#include <map>

#include "base/log.h"
#include "cluster/member.h"

// The backstop of all notice: a key with a lease for each registered lane. Whoever sees one gone
// ends that incarnation; a wrong guess costs a leader's move, never data.

namespace paceline::cluster {
namespace {

constexpr env::Duration kLook = std::chrono::milliseconds(500);
constexpr env::Duration kRetryAfter = std::chrono::milliseconds(200);

// By which the time of a lease passes: whatever becomes of the wall clock is nobody's end.
env::Instant lease_clock(env::Shard& shard) {
#ifdef PACELINE_PLANT_lease_by_wall_clock
  return {std::chrono::milliseconds(shard.wall_ms())};
#endif
  return shard.now();
}

}  // namespace

// Tells that we live, for as long as we do.
Task<void> Member::stay_alive(env::Gate::Pass) {
  const env::Duration pause = env::Duration(options_.lease) / 4;
  while (!stopping_) {
    Result<void> done;
    if (!co_await can_lead()) {
      if (lease_) {
        log_warn(
            "the log has not been written for a while and its place does not answer: "
            "others that reach it may take over");
        (void)co_await store_.revoke(shard_, lease_->id);
        lease_.reset();
      }
      done = fail(Code::unavailable, "the log does not answer");
    } else if (lease_) {
      done = co_await store_.keep_alive(shard_, lease_->id);
      if (done) note_kept();
      if (!done && done.error().code == Code::not_found) lease_.reset();
    } else {
      auto granted = co_await store_.grant(shard_, options_.lease);
      if (granted) {
        meta::Transaction transaction = guarded();
        transaction.put(meta::alive_key(registration_.lane), "", granted->id);
        auto put = co_await store_.commit(shard_, std::move(transaction));
        if (put) lease_ = *granted;
        if (put) kept_ = kept_since_ = lease_clock(shard_);
        if (!put) done = fail(put.error());
      } else {
        done = fail(granted.error());
      }
    }
    if (stopping_) break;
    const bool in_doubt = !done || log_wait() > kRetryAfter;
    co_await stop_.wait_until(shard_.now() + (in_doubt ? kRetryAfter : pause));
  }
  // A planned end is known at once.
  if (lease_) (void)co_await store_.revoke(shard_, lease_->id);
}

env::Duration Member::log_wait() const {
  return options_.log.waits ? options_.log.waits() : env::Duration{};
}

// A part of the lease, so that neither a renewal nor a judgement comes too late by it.
Task<bool> Member::log_answers() {
  if (!options_.log.answers || co_await options_.log.answers(env::Duration(options_.lease) / 5))
    co_return true;
  log_missed_ = lease_clock(shard_);
  co_return false;
}

// A leader that cannot write is none, however well it reaches the metadata. That a write waits is
// not enough, since a single request may: the place has to leave two questions unanswered as well.
Task<bool> Member::can_lead() {
#ifdef PACELINE_PLANT_renewal_not_gated
  co_return true;
#endif
  auto waits = [this] { return log_wait() > env::Duration(options_.lease) / 4; };
  for (int asked = 0; asked < 2; ++asked)
    if (!waits() || co_await log_answers()) co_return true;
  co_return !waits();
}

void Member::note_kept() {
  const env::Instant now = lease_clock(shard_);
  if (now > kept_ + env::Duration(options_.lease) / 2) kept_since_ = now;
  kept_ = now;
}

// Whether the end of another's lease says anything: only to who could keep its own all along. While
// the store is away everybody's lease ends, and an old leader of it may end those of the living;
// then all make new keys, and have the time of a lease to do so. Half of a lease: the others' may
// end three quarters of one after we have renewed ours for the last time. So too with the place of
// the log: while nobody reaches it, all who write let go of their leases, and all have the time of
// one to come back.
Task<bool> Member::may_judge() {
  const env::Duration lease(options_.lease);
  const env::Instant now = lease_clock(shard_);
  if (!lease_ || now < kept_since_ + lease || now > kept_ + lease / 2) co_return false;
  if (!co_await log_answers() || (log_missed_ && lease_clock(shard_) < *log_missed_ + lease))
    co_return false;
  if (!lease_) co_return false;
  const auto kept = co_await store_.keep_alive(shard_, lease_->id);
  co_return kept.has_value();
}

// Of a fence that took several attempts only what led to it is told.
void Member::tell_fenced(Lane lane, Fenced fenced, env::Instant since, env::Instant noticed) {
  if (!options_.events) return;
  options_.events(Event(Event::Plane::control, "broker.noticed")
                      .caused_by(lane.to_string())
                      .about(lane)
                      .at(noticed)
                      .took(noticed - since)
                      .with("evidence", "lease_ended"));
  options_.events(Event(Event::Plane::control, "broker.fenced")
                      .caused_by(lane.to_string())
                      .about(lane)
                      .took(shard_.now() - noticed)
                      .with("revision", fenced.at.value)
                      .with("successors", fenced.successors));
}

Task<void> Member::watch_others(env::Gate::Pass) {
  // Since when a registered lane has had no key. One that nobody has ever seen gets the time of a
  // lease to make its own.
  std::map<Lane, env::Instant> silent;
  while (!stopping_) {
    std::map<Lane, env::Instant> now_silent;
    for (const auto& [lane, at] : model_.registered()) {
      if (lane.broker == options_.broker || model_.is_alive(lane)) continue;
      const auto known = silent.find(lane);
      const env::Instant since = known == silent.end() ? lease_clock(shard_) : known->second;
      now_silent.emplace(lane, since);
      const env::Instant due = since + env::Duration(options_.lease);
      if (!model_.was_alive(lane) && lease_clock(shard_) < due) continue;
      if (!co_await may_judge() || model_.is_alive(lane)) continue;
      log_warn("lane {}: its lease has ended", lane.to_string());
      const env::Instant noticed = shard_.now();
      auto fenced = co_await end_incarnation(lane, {});
      if (!fenced && !stopping_)
        log_warn("lane {} is not fenced: {}", lane.to_string(), fenced.error().to_string());
      if (fenced && fenced->by_us) tell_fenced(lane, *fenced, since, noticed);
    }
    silent = std::move(now_silent);
    if (!stopping_) co_await shown_.wait_until(shard_.now() + kLook);
  }
}

}  // namespace paceline::cluster
