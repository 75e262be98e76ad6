#include "wal/lane_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace paceline::wal {
namespace {

constexpr std::string_view kSegmentSuffix = ".wal";
constexpr uint64_t kEndFileBytesMax = 64u << 20;  // marks of a commit to a million streams

std::optional<uint64_t> segment_number(std::string_view name) {
  if (!name.ends_with(kSegmentSuffix)) return std::nullopt;
  name.remove_suffix(kSegmentSuffix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number == 0) return std::nullopt;
  return number;
}

// Creates an empty file; already_exists from an earlier one is passed on.
Result<void> create_empty(env::Disk& disk, const std::string& path) {
  env::OpenMode mode{.create = env::OpenMode::Create::exclusive, .writable = true};
  TRY(auto file, disk.open(path, mode));
  return {};
}

}  // namespace

std::string LaneFiles::segment_path(uint64_t number) const {
  return fmt::format("{}/{:016}{}", folder, number, kSegmentSuffix);
}

std::string LaneFiles::spare_path(uint64_t number) const {
  return fmt::format("{}/{:016}.spare.tmp", folder, number);
}

Result<void> LaneFiles::claim() const {
  TRY_VOID(disk->make_dirs(folder));
  TRY_VOID(create_empty(*disk, claim_path()));
  TRY_VOID(disk->sync_dir(folder));
  TRY(const bool sealed, disk->exists(seal_path()));
  if (sealed)
    return fail(Code::already_exists, fmt::format("lane {} is sealed", owner.lane.to_string()));
  return {};
}

Result<std::vector<uint64_t>> LaneFiles::segments() const {
  std::vector<uint64_t> numbers;
  auto names = disk->list(folder);
  if (!names && names.error().code == Code::not_found) return numbers;
  if (!names) return fail(std::move(names).error());
  for (const std::string& name : *names)
    if (const auto number = segment_number(name)) numbers.push_back(*number);
  std::ranges::sort(numbers);
  return numbers;
}

Result<LaneFiles::Prepared> LaneFiles::prepare_segment(uint64_t number, uint64_t bytes,
                                                       std::optional<uint64_t> spare) const {
  const std::string path = segment_path(number);
  // Whatever keeps it from being used, a new file does as well.
  const bool reused = spare && disk->rename_new(spare_path(*spare), path);
  env::OpenMode mode{.create = env::OpenMode::Create::if_missing, .writable = true, .direct = true};
  TRY(std::shared_ptr<env::File> file, disk->open(path, mode));
  bool written = reused;
  const auto reserve = [&]() -> Result<void> {
    // Whoever seals the lane looks behind its end for what proves that nothing is missing: what is
    // forgotten costs no reading there.
    if (reused) {
      TRY(const bool forgotten, file->forget());
      written = !forgotten;
    }
    TRY_VOID(file->allocate(bytes));
    TRY_VOID(file->sync());
    return disk->sync_dir(folder);
  };
  if (Result<void> reserved = reserve(); !reserved) {
    // Nothing was ever written to it: what it did reserve helps whoever waits for space.
    (void)disk->remove(path);
    return fail(std::move(reserved).error());
  }
  return Prepared{.file = std::move(file), .written = written};
}

Result<void> LaneFiles::retire_segment(uint64_t number) const {
  return disk->rename(segment_path(number), spare_path(number));
}

Result<void> LaneFiles::create_seal() const {
  TRY_VOID(disk->make_dirs(folder));
  Result<void> created = create_empty(*disk, seal_path());
  if (!created && created.error().code != Code::already_exists) return created;
  return disk->sync_dir(folder);
}

Result<std::optional<LaneEnd>> LaneFiles::read_end() const {
  auto text = env::read_file(*disk, end_path(), kEndFileBytesMax);
  if (!text && text.error().code == Code::not_found) return std::optional<LaneEnd>();
  if (!text && text.error().code != Code::too_large) return fail(std::move(text).error());
  auto end = text ? decode_end(as_bytes(*text)) : std::nullopt;
  if (!end) return fail(Code::corrupt, fmt::format("{} is damaged", end_path()));
  if (end->owner != owner)
    return fail(Code::corrupt,
                fmt::format("{} belongs to lane {} of cluster {}", end_path(),
                            end->owner.lane.to_string(), end->owner.cluster_id.to_string()));
  return end;
}

Result<Position> LaneFiles::decide_end(Position end, std::string marks, uint64_t unique) const {
  const std::string bytes = encode_end({.owner = owner, .end = end, .marks = std::move(marks)});
  const std::string temporary = fmt::format("{}.{:016x}.tmp", end_path(), unique);
  {
    env::OpenMode mode{.create = env::OpenMode::Create::if_missing, .writable = true};
    TRY(auto file, disk->open(temporary, mode));
    TRY_VOID(file->write_at(0, as_bytes(bytes)));
    TRY_VOID(file->sync());
  }
  Result<void> renamed = disk->rename_new(temporary, end_path());
  if (!renamed) {
    (void)disk->remove(temporary);
    if (renamed.error().code != Code::already_exists) return fail(std::move(renamed).error());
  }
  TRY_VOID(disk->sync_dir(folder));
  TRY(const auto decided, read_end());
  if (!decided) return fail(Code::io_error, fmt::format("{} vanished", end_path()));
  return decided->end;
}

}  // namespace paceline::wal
