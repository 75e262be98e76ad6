#include "stream/passport.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/codec.h"
#include "base/crc32c.h"
#include "stream/object_format.h"

namespace paceline::stream {
namespace {

constexpr uint32_t kMagic = 0x504c5050;  // "PLPP"
constexpr uint16_t kVersion = 1;
constexpr size_t kCrcBytes = 4;

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Code::corrupt, fmt::format("a passport {}", what));
}

// Everything from the start on, and what the snapshot does not cover, is there exactly once.
Result<void> check_row(const Passport& passport) {
  const Offset end = passport.end();
  if (passport.start < Offset{} || passport.start > end || passport.snapshot_end < Offset{} ||
      passport.snapshot_end > end)
    return damaged("has a start or a snapshot that is not of its stream");
  Offset next = passport.extents.empty() ? passport.uploaded_end : passport.extents.front().base;
  if (next < Offset{} || next > std::min(passport.start, passport.snapshot_end))
    return damaged("lacks the front of its stream");
  for (const Extent& extent : passport.extents) {
    if (extent.base != next || extent.end <= extent.base) return damaged("has a gap");
    next = extent.end;
  }
  if (next != passport.uploaded_end) return damaged("has objects up to another offset");
  for (const Batch& batch : passport.tail) {
    if (batch.base != next || batch.count == 0 || batch.base.value > INT64_MAX - batch.count ||
        batch.epoch > passport.epoch)
      return damaged("has a tail that is not in a row");
    next = batch.end();
  }
  return {};
}

}  // namespace

Result<Slice> encode_passport(const Passport& passport) {
  TRY_VOID(check_row(passport));
  Encoder front;
  front.put(kMagic).put(kVersion).put(passport.stream);
  front.put(passport.start).put(passport.uploaded_end).put(passport.epoch);
  front.put(passport.snapshot_end).text(passport.snapshot);
  front.varint(passport.extents.size());
  for (const Extent& extent : passport.extents) put_extent(front, extent);
  front.varint(passport.tail.size());
  uint64_t tail_bytes = 0;
  for (const Batch& batch : passport.tail) {
    put_batch_row(front, batch);
    tail_bytes += batch.bytes.size();
  }
  const uint64_t bytes = front.size() + tail_bytes + kCrcBytes;
  if (tail_bytes > kPassportTailBytesMax || bytes > kPassportBytesMax)
    return fail(Code::too_large,
                fmt::format("the passport of stream {} would have {} bytes, {} of its tail",
                            passport.stream.to_string(), bytes, tail_bytes));
  const Buffer all = Buffer::allocate(bytes);
  std::byte* at = all.data();
  auto add = [&at](Bytes some) {
    if (!some.empty()) std::memcpy(at, some.data(), some.size());
    at += some.size();
  };
  add(front.bytes());
  for (const Batch& batch : passport.tail) add(batch.bytes.bytes());
  store_be(at, crc32c(all.bytes().first(bytes - kCrcBytes)));
  return Slice(all);
}

Result<Passport> decode_passport(const Slice& bytes) {
  if (bytes.size() > kPassportBytesMax) return damaged("is too large");
  if (bytes.size() < kCrcBytes) return damaged("is cut");
  const Bytes body = bytes.bytes().first(bytes.size() - kCrcBytes);
  if (load_be<uint32_t>(bytes.data() + body.size()) != crc32c(body))
    return damaged("does not match its checksum");
  Decoder in(body);
  const auto magic = in.get<uint32_t>();
  const auto version = in.get<uint16_t>();
  if (!in.ok() || magic != kMagic || version == 0) return damaged("is something else");
  if (version > kVersion)
    return fail(
        Code::unsupported,
        fmt::format("a passport has format {}; this build knows up to {}", version, kVersion));
  Passport passport;
  passport.stream = in.stream_id();
  passport.start = in.get<Offset>();
  passport.uploaded_end = in.get<Offset>();
  passport.epoch = in.get<Epoch>();
  passport.snapshot_end = in.get<Offset>();
  passport.snapshot = std::string(in.text());
  passport.extents.resize(in.count(kExtentBytes));
  for (Extent& extent : passport.extents) extent = get_extent(in);
  passport.tail.resize(in.count(kBatchRowBytes));
  std::vector<uint32_t> sizes(passport.tail.size());
  // The bytes stand behind all rows.
  for (size_t i = 0; i < sizes.size(); ++i) passport.tail[i] = get_batch_row(in, sizes[i]);
  for (size_t i = 0; i < sizes.size(); ++i)
    passport.tail[i].bytes = Slice(bytes.buffer(), in.raw(sizes[i]));
  if (!in.done()) return damaged("does not have the fields of its format");
  TRY_VOID(check_row(passport));
  return passport;
}

StreamImage image_of(Passport passport) {
  StreamImage image;
  image.start = passport.start;
  image.uploaded_end = passport.uploaded_end;
  image.end = passport.end();
  image.epoch = passport.epoch;
  image.snapshot_end = passport.snapshot_end;
#ifndef PACELINE_PLANT_passport_without_snapshot
  image.snapshot = std::move(passport.snapshot);
#endif
  image.extents = std::move(passport.extents);
  image.tail = std::move(passport.tail);
  return image;
}

}  // namespace paceline::stream
