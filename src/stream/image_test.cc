#include "stream/image.h"

#include <gtest/gtest.h>

#include "stream/passport.h"

// A stream that went to another broker's lane and came back by what that lane has left, while our
// own lane still tells of its former stay, and at last that it went.

namespace paceline::stream {
namespace {

constexpr Lane kOurs{BrokerId(3), Incarnation(1)};
constexpr Epoch kThen{1};
constexpr Epoch kNow{3};
const StreamId kStream{};

Batch batch_at(int64_t base, uint32_t count, Epoch epoch) {
  return {.base = Offset(base),
          .count = count,
          .epoch = epoch,
          .bytes = Slice::copy_of(as_bytes("batch"))};
}

// 10 in an object, the rest up to 15 in the log.
Passport passport() {
  Passport one;
  one.stream = kStream;
  one.uploaded_end = Offset(10);
  one.epoch = kThen;
  one.extents = {{.base = Offset(0), .end = Offset(10), .object = {kOurs, 1}, .bytes = 5}};
  one.tail = {batch_at(10, 5, kThen)};
  return one;
}

Image left_to_us() {
  Image image;
  apply_inherited(image, kStream, image_of(passport()));
  return image;
}

void apply_ours(Image& image, wal::EntryKind kind, Epoch epoch, int64_t base, uint32_t count,
                Slice payload = {}) {
  apply_entry(
      image,
      {{.stream = kStream, .kind = kind, .epoch = epoch, .base = Offset(base), .count = count},
       std::move(payload)},
      kOurs);
}

void apply_delta(Image& image, std::vector<Extent> extents, int64_t end) {
  DirectoryRecord record;
  record.stream = kStream;
  record.end = Offset(end);
  record.epoch = kThen;
  record.extents = std::move(extents);
  Directory delta;
  delta.records.push_back(std::move(record));
  apply_directory(image, std::move(delta), {kOurs, 2});
}

// The release was logged late, when the stream was about to be ours again.
void expect_to_go_on(Image& image) {
  apply_ours(image, wal::EntryKind::release, kThen, 15, 0);
  apply_ours(image, wal::EntryKind::batch, kNow, 15, 2, Slice::copy_of(as_bytes("batch")));
  const StreamImage& stream = image.streams[kStream];
  EXPECT_EQ(stream.offline, "");
  EXPECT_EQ(stream.end, Offset(17));
  EXPECT_FALSE(stream.extents.empty());
}

TEST(Image, WhatComesBackGoesOn) {
  Image image = left_to_us();
  expect_to_go_on(image);
}

TEST(Image, ADeltaThatPutsTheSameIntoAnObjectDoesNotMakeItOurs) {
  Image image = left_to_us();
  apply_delta(image, {{.base = Offset(10), .end = Offset(15), .object = {kOurs, 2}, .bytes = 5}},
              15);
  EXPECT_TRUE(image.streams[kStream].tail.empty());
  expect_to_go_on(image);
}

TEST(Image, ADeltaOfNothingNewDoesNotEither) {
  Image image;
  const Extent all{.base = Offset(0), .end = Offset(15), .object = {kOurs, 1}, .bytes = 5};
  apply_delta(image, {all}, 15);
  apply_inherited(image, kStream, image_of(passport()));
  apply_delta(image, {}, 15);
  expect_to_go_on(image);
}

TEST(Image, NorItsFormerAdoption) {
  Image image = left_to_us();
  apply_ours(image, wal::EntryKind::adopt, kThen, 15, 0, *encode_passport(passport()));
  expect_to_go_on(image);
}

// What was added since is ours: when that goes, it is gone.
TEST(Image, WhatWentWithMoreThanWasLeftIsGone) {
  Image image = left_to_us();
  apply_ours(image, wal::EntryKind::batch, kNow, 15, 2, Slice::copy_of(as_bytes("batch")));
  apply_ours(image, wal::EntryKind::release, kNow, 17, 0);
  EXPECT_FALSE(image.streams.contains(kStream));
}

TEST(Image, AndSoIsWhatNobodyLeftToUs) {
  Image image;
  apply_ours(image, wal::EntryKind::adopt, kThen, 15, 0, *encode_passport(passport()));
  apply_ours(image, wal::EntryKind::release, kThen, 15, 0);
  EXPECT_FALSE(image.streams.contains(kStream));
}

}  // namespace
}  // namespace paceline::stream
