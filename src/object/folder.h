#pragma once

#include <atomic>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/disk.h"
#include "env/pieces.h"
#include "object/object.h"

namespace paceline::object {

// The blocking half of the folder store. The object of key "a/b" is the file "a/b" below the root;
// while it is written or removed it is "a/.b.tmp-<nonce>", which no key can name. Every call
// blocks; all may run in parallel on any threads, except make_folder(), which runs one at a time.
class Folder {
 public:
  Folder(env::Disk& disk, std::string root, uint64_t piece_freed = env::kPieceFreed)
      : disk_(disk), root_(std::move(root)), piece_freed_(piece_freed) {}

  // Creates the root, removes temporaries that a crash left, and makes every name durable that a
  // crash may have left in between: what is visible from here on stays.
  Result<void> open();

  // The folder of `key` exists and its name is durable, with all its parents.
  Result<void> make_folder(const std::string& key);
  Result<void> put(const std::string& key, uint64_t nonce, const std::vector<Slice>& body);
  Result<Slice> get(const std::string& key, uint64_t from, uint64_t bytes);
  Result<uint64_t> size(const std::string& key);
  // The name goes at once, durable on return; the bytes of something big go piece by piece after
  // that (env/pieces.h).
  struct Retired {
    std::string path;
    std::unique_ptr<env::File> file;
  };
  // Nothing: there is nothing left of it. `nonce`: as for put().
  Result<std::optional<Retired>> retire(const std::string& key, uint64_t nonce);
  // Frees one more piece. True: there is nothing left of it.
  Result<bool> shrink(Retired& retired);
  Result<ListPage> list(const std::string& prefix, const std::string& after, size_t count_max);

 private:
  struct Opened {
    std::unique_ptr<env::File> file;
    uint64_t bytes = 0;
  };
  struct Listing;

  std::string path_of(const std::string& key) const { return root_ + "/" + key; }
  std::string folder_of(const std::string& key) const { return env::parent_dir(path_of(key)); }
  Result<void> recover(const std::string& dir);
  Result<void> write_temporary(const std::string& path, const std::vector<Slice>& body);
  Result<void> settle(const std::string& dir);
  Result<Opened> open_object(const std::string& key, bool direct);
  Result<void> list_dir(const std::string& dir, Listing& listing);
  Result<void> list_name(const std::string& key, Listing& listing);

  env::Disk& disk_;
  const std::string root_;
  const uint64_t piece_freed_;
  // Folders (relative to the root) whose names are known to be durable; only make_folder() uses it.
  std::set<std::string> durable_folders_;
  // Once a folder could not be synced, a name in it may be visible and not durable: from then on
  // reads sync the folder before they rely on a name.
  std::atomic<bool> names_in_doubt_ = false;
};

}  // namespace paceline::object
