#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cluster/member.h"

// Planned moves: one write of the pages, compared with the version the source has seen. The source
// may void it by writing a page first, the target by failing; nothing else can come between.

namespace paceline::cluster {
namespace {

constexpr int kAttemptsMax = 20;
constexpr env::Duration kRetryAfter = std::chrono::milliseconds(20);
// How long one call tries to learn what became of a move.
constexpr env::Duration kSettleFor = std::chrono::seconds(2);

std::string page_key_of(const StreamId& stream) {
  return meta::page_key(stream.owner, stream.index / meta::kPartitionsPerPage);
}

std::unexpected<Error> moved_on(const StreamId& stream) {
  return fail(Code::conflict, fmt::format("{} has changed in the metadata", stream.to_string()));
}

}  // namespace

Task<Result<std::vector<Moving>>> Member::begin_moves(env::Shard& home,
                                                      std::vector<StreamId> streams) {
  auto look = [this, streams = std::move(streams)]() mutable {
    return describe(std::move(streams));
  };
  co_return co_await env::call_on(shard_, home, std::move(look));
}
Task<Result<Revision>> Member::take_over(env::Shard& home, Lane source, std::vector<Moving> moves,
                                         meta::Transaction own) {
  auto make = [this, source, moves = std::move(moves), own = std::move(own)]() mutable {
    return take(source, std::move(moves), std::move(own));
  };
  co_return co_await env::call_on(shard_, home, std::move(make));
}
Task<Result<bool>> Member::call_off(env::Shard& home, std::vector<Moving> moves) {
  CHECK(!moves.empty());
  const Moving move = moves.front();
  auto settle = [this, move] { return settle_move(move); };
  CO_TRY(const auto term, co_await env::call_on(shard_, home, settle));
  co_return term && term->epoch > move.epoch;
}
Task<Result<void>> Member::prefer(env::Shard& home, std::vector<Preference> preferences) {
  auto write = [this, preferences = std::move(preferences)]() mutable {
    return write_preferences(std::move(preferences));
  };
  co_return co_await env::call_on(shard_, home, std::move(write));
}

Task<Result<Member::OpenPage>> Member::read_page(StreamId stream) {
  OpenPage page;
  page.key = page_key_of(stream);
  CO_TRY(auto entry, co_await store_.get(shard_, page.key));
  if (!entry) co_return fail(Code::not_found, fmt::format("{} is gone", stream.to_string()));
  CO_TRY(page.record, meta::decode<meta::PageRecord>(entry->value));
  page.modified = entry->modified;
  co_return page;
}

// While it is asked for nobody serves: what was followed already is not read again.
Task<Result<Member::OpenPage>> Member::know_page(const Moving& move) {
  const auto topic = model_.pages().find(move.stream.owner);
  if (topic != model_.pages().end()) {
    const auto page = topic->second.find(move.stream.index / meta::kPartitionsPerPage);
    if (page != topic->second.end() && page->second.modified == move.page)
      co_return OpenPage{page_key_of(move.stream), page->second.record, move.page};
  }
  co_return co_await read_page(move.stream);
}

Result<meta::PartitionRecord*> Member::find_led(OpenPage& page, StreamId stream, Lane by) const {
  for (meta::PartitionRecord& partition : page.record.partitions) {
    if (partition.index != stream.index) continue;
    const auto live = model_.live_term(partition, stream.owner);
    if (!live || live->lane != by) break;
    return &partition;
  }
  return fail(Code::conflict,
              fmt::format("{} is not led by {}", stream.to_string(), by.to_string()));
}

Task<Result<std::vector<Moving>>> Member::describe(std::vector<StreamId> streams) {
  std::map<std::string, OpenPage> pages;
  std::vector<Moving> moves;
  for (const StreamId& stream : streams) {
    auto [page, fresh] = pages.try_emplace(page_key_of(stream));
    if (fresh) {
      CO_TRY(page->second, co_await read_page(stream));
    }
    CO_TRY(const auto partition, find_led(page->second, stream, registration_.lane));
    const auto live = model_.live_term(*partition, stream.owner);
    moves.push_back({stream, page->second.modified, live->epoch});
  }
  co_return moves;
}

// All of them as they are to be, each page read once.
Task<Result<std::vector<Member::OpenPage>>> Member::rewrite_pages(
    Lane source, const std::vector<Moving>& moves) {
  std::map<std::string, OpenPage> pages;
  for (const Moving& move : moves) {
    auto [page, fresh] = pages.try_emplace(page_key_of(move.stream));
    if (fresh) {
      CO_TRY(page->second, co_await know_page(move));
    }
    if (page->second.modified != move.page) co_return moved_on(move.stream);
    CO_TRY(const auto partition, find_led(page->second, move.stream, source));
    if (model_.live_term(*partition, move.stream.owner)->epoch != move.epoch)
      co_return moved_on(move.stream);
    partition->term = {move.epoch + 1, registration_.lane};
  }
  std::vector<OpenPage> all;
  for (auto& [key, page] : pages) all.push_back(std::move(page));
  co_return all;
}

Task<Result<Revision>> Member::take(Lane source, std::vector<Moving> moves, meta::Transaction own) {
  CHECK(!moves.empty());
  const auto registered = model_.registered();
  const auto from = std::ranges::find(registered, source, &std::pair<Lane, Revision>::first);
  if (from == registered.end())
    co_return fail(Code::conflict, fmt::format("{} is not registered", source.to_string()));
  CO_TRY(const auto pages, co_await rewrite_pages(source, moves));
  own.if_modified_at(meta::broker_key(source.broker), from->second);
  const std::string guard = meta::broker_key(options_.broker);
  if (std::ranges::find(own.compares, guard, &meta::Compare::key) == own.compares.end())
    own.if_modified_at(guard, registration_.at);
  for (const OpenPage& page : pages) {
#ifndef PACELINE_PLANT_move_unchecked
    own.if_modified_at(page.key, page.modified);
#endif
    own.put(page.key, meta::encode(page.record));
  }
  auto done = co_await commit_and_take_in(std::move(own));
  if (!done && done.error().code == Code::maybe_written)
    co_return co_await read_back(moves.front());
  co_return done;
}

// It may still happen, at any time, until a page is another one. Where that cannot be reached
// whoever gave its part of the transaction goes on asking.
Task<Result<Revision>> Member::read_back(Moving move) {
  auto settled = co_await settle_move(move);
  if (!settled && settled.error().code == Code::fenced) co_return fail(settled.error());
  if (!settled) co_return fail(Code::maybe_written, settled.error().message);
  const bool ours =
      *settled && (*settled)->lane == registration_.lane && (*settled)->epoch == move.epoch + 1;
  if (!ours) co_return moved_on(move.stream);
  // Nobody but a fence writes the record of our lane, and we wait here. Who was fenced since the
  // move must not serve what it brought.
  auto entry = co_await store_.get(shard_, meta::lane_key(registration_.lane));
  if (!entry || !*entry) co_return fail(Code::maybe_written, "our lane cannot be read");
  CO_TRY(const auto lane, meta::decode<meta::LaneRecord>((*entry)->value));
  if (lane.sealed) co_return fail(Code::fenced, "this broker was fenced after the move");
  co_return (*entry)->modified;
}

Task<Result<std::optional<meta::TermRecord>>> Member::settle_move(Moving move) {
  const env::Instant until = shard_.now() + kSettleFor;
  while (!stopping_) {
    auto settled = co_await settle_move_once(move);
    if (settled || settled.error().code == Code::fenced || shard_.now() >= until) co_return settled;
    co_await stop_.wait_until(shard_.now() + kRetryAfter);
  }
  co_return fail(Code::closed, "the broker leaves the cluster");
}

// A page of another version: the move is done, or its compare fails for ever. One of the same
// version is written again, so that it does.
Task<Result<std::optional<meta::TermRecord>>> Member::settle_move_once(const Moving& move) {
  const std::string key = page_key_of(move.stream);
  CO_TRY(auto entry, co_await store_.get(shard_, key));
  if (!entry) co_return std::optional<meta::TermRecord>();
  CO_TRY(const auto record, meta::decode<meta::PageRecord>(entry->value));
  if (entry->modified == move.page) {
    meta::Transaction bump = guarded();
    bump.if_modified_at(key, move.page).put(key, entry->value);
    auto done = co_await store_.commit(shard_, std::move(bump));
    if (!done && done.error().code != Code::conflict) co_return fail(std::move(done).error());
    if (!done) {
      CO_TRY(auto broker, co_await store_.get(shard_, meta::broker_key(options_.broker)));
      if (!broker || broker->modified != registration_.at)
        co_return fail(Code::fenced, "a newer incarnation of this broker is registered");
      co_return fail(Code::unavailable, "the page is being written by somebody else");
    }
  }
  for (const meta::PartitionRecord& partition : record.partitions)
    if (partition.index == move.stream.index) co_return std::optional(partition.term);
  co_return std::optional<meta::TermRecord>();
}

Task<Result<void>> Member::write_preferences(std::vector<Preference> preferences) {
  std::map<std::string, std::vector<Preference>> by_page;
  for (Preference& one : preferences) by_page[page_key_of(one.stream)].push_back(std::move(one));
  for (const auto& [key, wanted] : by_page) {
    Result<Revision> done = fail(Code::conflict, "");
    for (int attempt = 0; attempt < kAttemptsMax && !done; ++attempt) {
      CO_TRY(OpenPage page, co_await read_page(wanted.front().stream));
      for (const Preference& one : wanted) {
        CO_TRY(const auto partition, find_led(page, one.stream, registration_.lane));
        const auto live = model_.live_term(*partition, one.stream.owner);
        // The preference of a partition in a sealed lane would say who takes it over.
        partition->term = {live->epoch, live->lane};
        partition->preferred = one.brokers;
      }
      const std::string value = meta::encode(page.record);
      meta::Transaction transaction = guarded();
      transaction.if_modified_at(key, page.modified).put(key, value);
      done = co_await commit(std::move(transaction), key, value);
      if (!done && done.error().code != Code::conflict) co_return fail(std::move(done).error());
    }
    if (!done) co_return fail(Code::unavailable, "the page keeps changing; try again");
    CO_TRY_VOID(co_await wait_shown(*done));
  }
  co_return Result<void>{};
}

}  // namespace paceline::cluster
