#pragma once

#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "env/disk.h"
#include "object/object.h"

namespace paceline::object {

// The blocking half of the folder store. The object of key "a/b" is the file "a/b" below the root;
// while it is written it is "a/.b.tmp-<nonce>", which no key can name. Every call blocks; all may
// run in parallel on any threads, except make_folder(), which runs one at a time.
class Folder {
 public:
  Folder(env::Disk& disk, std::string root) : disk_(disk), root_(std::move(root)) {}

  // Creates the root, removes temporaries that a crash left, and makes every name durable that a
  // crash may have left in between: what is visible from here on stays.
  Result<void> open();

  // The folder of `key` exists and its name is durable, with all its parents.
  Result<void> make_folder(const std::string& key);
  Result<void> put(const std::string& key, uint64_t nonce, const std::vector<Slice>& body);
  Result<Slice> get(const std::string& key, uint64_t from, uint64_t bytes);
  Result<uint64_t> size(const std::string& key);
  Result<void> remove(const std::string& key);
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
  // Folders (relative to the root) whose names are known to be durable; only make_folder() uses it.
  std::set<std::string> durable_folders_;
  // Once a folder could not be synced, a name in it may be visible and not durable: from then on
  // reads sync the folder before they rely on a name.
  std::atomic<bool> names_in_doubt_ = false;
};

}  // namespace paceline::object
