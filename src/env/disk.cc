#include "env/disk.h"

#include <fmt/format.h>

namespace paceline::env {

std::string parent_dir(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::string> read_file(Disk& disk, const std::string& path, uint64_t bytes_max) {
  OpenMode mode{};
  TRY(auto file, disk.open(path, mode));
  TRY(const uint64_t size, file->size());
  if (size > bytes_max)
    return fail(Code::too_large,
                fmt::format("{} has {} bytes, over the limit of {}", path, size, bytes_max));
  std::string text(size, '\0');
  TRY(const size_t count,
      file->read_at(0, MutableBytes(reinterpret_cast<std::byte*>(text.data()), size)));
  text.resize(count);
  return text;
}

Result<void> replace_file(Disk& disk, const std::string& path, Bytes bytes) {
  const std::string temporary = path + ".tmp";
  OpenMode mode{.create = OpenMode::Create::if_missing, .writable = true};
  TRY(auto file, disk.open(temporary, mode));
  TRY_VOID(file->truncate(0));
  TRY_VOID(file->write_at(0, bytes));
  TRY_VOID(file->sync());
  TRY_VOID(disk.rename(temporary, path));
  return disk.sync_dir(parent_dir(path));
}

}  // namespace paceline::env
