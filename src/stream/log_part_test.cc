#include "stream/log_part.h"

#include <gmock/gmock.h>

namespace paceline::stream {
namespace {

const Uuid kTopic{{1, 2, 3}};
const StreamId kOne{kTopic, 1};
const StreamId kTwo{kTopic, 2};

wal::Entry entry(const StreamId& stream, wal::EntryKind kind, int64_t base, std::string_view text) {
  wal::Entry one;
  one.header = {.stream = stream,
                .kind = kind,
                .epoch = Epoch(3),
                .base = Offset(base),
                .count = kind == wal::EntryKind::batch ? 2u : 0u,
                .append_time_ms = 17,
                .max_timestamp = 18,
                .producer_id = 19};
  one.payload = Slice::copy_of(as_bytes(text));
  return one;
}

// Three groups: both streams, only the second, only the first.
SealedLog log_of_two() {
  SealedLog log;
  log.end = Position(30);
  const auto batch = wal::EntryKind::batch;
  log.groups.push_back(
      {{entry(kOne, batch, 0, "one"), entry(kTwo, batch, 0, "two")}, Position(10), {}});
  log.groups.push_back({{entry(kTwo, wal::EntryKind::adopt, 0, "a passport")}, Position(20), {}});
  log.groups.push_back(
      {{entry(kOne, batch, 2, ""), entry(kOne, wal::EntryKind::trim, 1, "")}, Position(30), {}});
  return log;
}

TEST(LogPart, HasWhatWasAskedForAndNothingElse) {
  const auto part = decode_log_part(encode_log_part(log_of_two(), {{}, {}, 0, {kOne}}));
  ASSERT_TRUE(part);
  EXPECT_TRUE(part->there);
  EXPECT_TRUE(part->last);
  EXPECT_EQ(part->end, Position(30));
  ASSERT_EQ(part->groups.size(), 2u);
  EXPECT_EQ(part->groups[0].end, Position(10));
  ASSERT_EQ(part->groups[0].entries.size(), 1u);
  const wal::Entry& first = part->groups[0].entries[0];
  EXPECT_EQ(first.header.stream, kOne);
  EXPECT_EQ(first.header.epoch, Epoch(3));
  EXPECT_EQ(first.header.base, Offset(0));
  EXPECT_EQ(first.header.count, 2u);
  EXPECT_EQ(first.header.append_time_ms, 17);
  EXPECT_EQ(first.header.max_timestamp, 18);
  EXPECT_EQ(first.header.producer_id, 19u);
  EXPECT_EQ(as_text(first.payload.bytes()), "one");
  ASSERT_EQ(part->groups[1].entries.size(), 2u);
  EXPECT_EQ(part->groups[1].entries[1].header.kind, wal::EntryKind::trim);
  EXPECT_EQ(part->groups[1].end, Position(30));
}

TEST(LogPart, OfNothingIsWholeAndEmpty) {
  const auto part = decode_log_part(encode_log_part(log_of_two(), {{}, {}, 0, {}}));
  ASSERT_TRUE(part);
  EXPECT_TRUE(part->last);
  EXPECT_TRUE(part->groups.empty());
  const auto not_yet = decode_log_part(encode_not_yet());
  ASSERT_TRUE(not_yet);
  EXPECT_FALSE(not_yet->there);
}

TEST(LogPart, ALongLogComesInPieces) {
  SealedLog log;
  const std::string much(3 << 20, 'x');
  for (int i = 0; i < 7; ++i)
    log.groups.push_back(
        {{entry(kOne, wal::EntryKind::batch, 2 * i, much)}, Position(10 * (i + 1)), {}});
  log.end = Position(70);
  LogQuestion question{{}, {}, 0, {kOne}};
  std::vector<size_t> pieces;
  std::vector<int64_t> bases;
  for (bool last = false; !last;) {
    const auto part = decode_log_part(encode_log_part(log, question));
    ASSERT_TRUE(part);
    pieces.push_back(part->groups.size());
    for (const wal::Group& group : part->groups)
      bases.push_back(group.entries.at(0).header.base.value);
    last = part->last;
    question.from_group = part->next;
  }
  EXPECT_THAT(pieces, testing::ElementsAre(3, 3, 1));
  EXPECT_THAT(bases, testing::ElementsAre(0, 2, 4, 6, 8, 10, 12));
}

TEST(LogPart, WhatDoesNotHoldIsRefused) {
  const Slice whole = encode_log_part(log_of_two(), {{}, {}, 0, {kOne, kTwo}});
  const std::string good(as_text(whole.bytes()));
  const auto decodes = [](std::string bytes) {
    return decode_log_part(Slice::copy_of(as_bytes(bytes))).has_value();
  };
  ASSERT_TRUE(decodes(good));
  for (size_t i = 0; i < good.size(); ++i) EXPECT_FALSE(decodes(good.substr(0, i))) << i;
  EXPECT_FALSE(decodes(good + "x"));
  const auto with = [&](size_t at, char byte) {
    std::string bytes = good;
    bytes[at] = byte;
    return bytes;
  };
  EXPECT_FALSE(decodes(with(0, 2))) << "no such state";
  EXPECT_FALSE(decodes(with(8, 5))) << "groups behind the end of the lane";
  EXPECT_FALSE(decodes(with(13, 2))) << "neither the last nor not";
  constexpr size_t kFirstGroup = 1 + 8 + 4 + 1 + 1;
  EXPECT_FALSE(decodes(with(kFirstGroup + 7, 25))) << "groups that go back";
  constexpr size_t kFirstKind = kFirstGroup + 8 + 1 + 20;
  EXPECT_FALSE(decodes(with(kFirstKind, 3))) << "marks are the log's own";
  EXPECT_FALSE(decodes(with(kFirstKind, 9))) << "no such kind";
}

}  // namespace
}  // namespace paceline::stream
