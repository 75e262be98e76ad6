#include "object/folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "env/block_pool.h"

namespace paceline::object {
namespace {

// From here on a read passes the page cache by, as the writes of big objects do: its pages would be
// as fresh as the memory that the bytes are then copied to.
constexpr uint64_t kDirectBytesMin = 64u << 10;

bool is_temporary(const std::string& name) {
  return name.starts_with('.') && name.find(".tmp-") != std::string::npos;
}

std::string temporary_of(const std::string& path, uint64_t nonce) {
  const size_t name_at = path.rfind('/') + 1;
  return fmt::format("{}.{}.tmp-{:016x}", path.substr(0, name_at), path.substr(name_at), nonce);
}

// The error of something that was given up before it took effect.
std::unexpected<Error> not_put(Error error, const std::string& key) {
  if (error.code != Code::no_space && error.code != Code::permission_denied)
    error.code = Code::unavailable;
  error.message = fmt::format("object '{}' was not put: {}", key, error.message);
  return fail(std::move(error));
}

std::unexpected<Error> maybe_put(const Error& error, const std::string& key) {
  return fail(Code::maybe_written,
              fmt::format("object '{}' may have been put: {}", key, error.message));
}

std::unexpected<Error> no_object(const std::string& key) {
  return fail(Code::not_found, fmt::format("there is no object '{}'", key));
}

}  // namespace

Result<void> Folder::open() {
  TRY_VOID(disk_.make_dirs(root_));
  return recover(root_);
}

Result<void> Folder::recover(const std::string& dir) {
  TRY(const auto names, disk_.list(dir));
  for (const std::string& name : names) {
    const std::string path = dir + "/" + name;
    if (is_temporary(name)) {
      // Its writer may be alive in another process and finish or remove it first.
      auto removed = disk_.remove(path);
      if (!removed && removed.error().code != Code::not_found) return removed;
    } else if (disk_.list(path)) {
      TRY_VOID(recover(path));
    }
  }
  return disk_.sync_dir(dir);
}

Result<void> Folder::make_folder(const std::string& key) {
  for (size_t slash = key.find('/'); slash != std::string::npos; slash = key.find('/', slash + 1)) {
    const std::string folder = key.substr(0, slash);
    if (durable_folders_.contains(folder)) continue;
    // Another process may have created it and not yet synced it, so it is synced here in any case.
    auto made = disk_.make_dirs(path_of(folder));
    if (made) made = disk_.sync_dir(folder_of(folder));
    if (!made) return not_put(std::move(made).error(), key);
    durable_folders_.insert(folder);
  }
  return {};
}

Result<void> Folder::put(const std::string& key, uint64_t nonce, const std::vector<Slice>& body) {
  const std::string path = path_of(key);
  const std::string temporary = temporary_of(path, nonce);
  auto there = disk_.exists(path);
  if (!there) return not_put(std::move(there).error(), key);
  Result<void> named = fail(Code::already_exists, std::string());
  if (!*there) {
    auto written = write_temporary(temporary, body);
    if (!written) {
      (void)disk_.remove(temporary);
      return not_put(std::move(written).error(), key);
    }
    named = disk_.rename_new(temporary, path);
  }
  if (!named && named.error().code != Code::already_exists) {
    (void)disk_.remove(temporary);
    // Not found: another process has cleaned up the temporary, so it has become nothing.
    const bool nothing =
        named.error().code == Code::not_found || named.error().code == Code::no_space;
    return nothing ? not_put(std::move(named).error(), key) : maybe_put(named.error(), key);
  }
  // The other body's name is made durable as well: a caller may rely on it being there.
  auto synced = settle(folder_of(key));
  if (!*there && !named) (void)disk_.remove(temporary);
  if (!synced) return maybe_put(synced.error(), key);
  if (!named)
    return fail(Code::already_exists, fmt::format("there is an object '{}' already", key));
  return {};
}

Result<void> Folder::write_temporary(const std::string& path, const std::vector<Slice>& body) {
  std::vector<Bytes> pieces;
  pieces.reserve(body.size());
  for (const Slice& slice : body)
    if (!slice.empty()) pieces.push_back(slice.bytes());
  return env::write_new_file(disk_, path, pieces);
}

Result<void> Folder::settle(const std::string& dir) {
#ifdef PACELINE_PLANT_object_name_unsynced
  if (!dir.empty()) return {};
#endif
  auto synced = disk_.sync_dir(dir);
  if (!synced) names_in_doubt_ = true;
  return synced;
}

Result<Folder::Opened> Folder::open_object(const std::string& key, bool direct) {
  env::OpenMode mode{.direct = direct};
  auto file = disk_.open(path_of(key), mode);
  // A folder opens like a file on some systems, but only a folder can be listed.
  if (disk_.list(path_of(key))) return no_object(key);
  if (!file) {
    // A component of the key may be an object: then there is none below it.
    auto there = disk_.exists(path_of(key));
    if (file.error().code == Code::not_found || (there && !*there)) return no_object(key);
    return fail(std::move(file).error());
  }
  if (names_in_doubt_) TRY_VOID(settle(folder_of(key)));
  Opened opened;
  TRY(opened.bytes, (*file)->size());
  opened.file = std::move(*file);
  return opened;
}

Result<Slice> Folder::get(const std::string& key, uint64_t from, uint64_t bytes) {
  const bool direct = bytes >= kDirectBytesMin;
  TRY(Opened object, open_object(key, direct));
  if (from > object.bytes || bytes > object.bytes - from)
    return fail(Code::out_of_range,
                fmt::format("object '{}' has {} bytes: [{}, +{}) is not all there", key,
                            object.bytes, from, bytes));
  // Whole pages, if it is direct, of which the caller gets what was asked for.
  const uint64_t unit = direct ? env::kDirectAlignment : 1;
  const uint64_t start = from / unit * unit;
  const uint64_t before = from - start;
  const uint64_t span = (before + bytes + unit - 1) / unit * unit;
  Buffer buffer = direct ? env::allocate_roomy(span) : Buffer::allocate(span);
  TRY(const size_t count, object.file->read_at(start, buffer.writable().first(span)));
  if (count < before + bytes)
    return fail(Code::io_error, fmt::format("object '{}' became shorter", key));
  return Slice(std::move(buffer)).subslice(before, bytes);
}

Result<uint64_t> Folder::size(const std::string& key) {
  TRY(const Opened object, open_object(key, false));
  return object.bytes;
}

Result<std::optional<Folder::Retired>> Folder::retire(const std::string& key, uint64_t nonce) {
  const std::string path = path_of(key);
  Retired retired{.path = temporary_of(path, nonce), .file = nullptr};
  auto file = disk_.open(path, {.writable = true});
  uint64_t bytes = 0;
  if (file) {
    TRY(bytes, (*file)->size());
    retired.file = std::move(*file);
  }
  const bool big = bytes > piece_freed_;
  auto removed = big ? disk_.rename(path, retired.path) : disk_.remove(path);
  if (!removed && removed.error().code != Code::not_found) return fail(std::move(removed).error());
  // Also when it is absent: the sync of an earlier removal may have failed.
  auto synced = disk_.sync_dir(folder_of(key));
  if (!synced && synced.error().code != Code::not_found) return fail(std::move(synced).error());
  if (!removed || !big) return std::nullopt;
  return retired;
}

Result<bool> Folder::shrink(Retired& retired) {
  TRY(const bool last, env::shrink(*retired.file, 0, piece_freed_));
  if (!last) return false;
  retired.file.reset();
  auto removed = disk_.remove(retired.path);
  // Another process that opens the folder removes what looks like a crash's.
  if (!removed && removed.error().code != Code::not_found) return fail(std::move(removed).error());
  return true;
}

struct Folder::Listing {
  const std::string& prefix;
  const std::string& after;
  size_t count_max;
  ListPage page;

  bool full() const { return page.more; }
  // Whether a key that starts with `start` could be wanted.
  bool may_hold(const std::string& start) const {
    const bool fits = start.starts_with(prefix) || prefix.starts_with(start);
    return fits && (start > after || after.starts_with(start));
  }
};

Result<ListPage> Folder::list(const std::string& prefix, const std::string& after,
                              size_t count_max) {
  Listing listing{prefix, after, count_max, {}};
  TRY_VOID(list_dir("", listing));
  return std::move(listing.page);
}

// `dir` is empty or ends with a slash.
Result<void> Folder::list_dir(const std::string& dir, Listing& listing) {
  auto names = disk_.list(root_ + "/" + dir);
  if (!names) return fail(std::move(names).error());
  // A name stands where its key sorts if it is an object, and where its keys sort if it is a
  // folder.
  std::vector<std::string> places;
  for (const std::string& name : *names) {
    if (name.starts_with('.')) continue;
    places.push_back(name);
    places.push_back(name + "/");
  }
  std::ranges::sort(places);
  for (const std::string& place : places) {
    if (listing.full()) return {};
    const std::string key = dir + place;
    if (place.ends_with('/')) {
      if (listing.may_hold(key) && disk_.list(path_of(key.substr(0, key.size() - 1))))
        TRY_VOID(list_dir(key, listing));
    } else if (key.starts_with(listing.prefix) && key > listing.after) {
      TRY_VOID(list_name(key, listing));
    }
  }
  return {};
}

Result<void> Folder::list_name(const std::string& key, Listing& listing) {
  auto bytes = size(key);
  // Removed since, or a folder.
  if (!bytes && bytes.error().code == Code::not_found) return {};
  if (!bytes) return fail(std::move(bytes).error());
  if (listing.page.objects.size() == listing.count_max) {
    listing.page.more = true;
  } else {
    listing.page.objects.push_back({key, *bytes});
  }
  return {};
}

}  // namespace paceline::object
