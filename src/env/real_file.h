#pragma once

#include <memory>
#include <string>

#include "env/commits_first.h"
#include "env/disk.h"

namespace paceline::env {

// Owns the descriptor. Reads that pass the page cache by give way to commits, unless urgent.
class RealFile final : public File {
 public:
  RealFile(int fd, std::string path, bool gives_way, std::shared_ptr<CommitsFirst> commits)
      : fd_(fd), path_(std::move(path)), gives_way_(gives_way), commits_(std::move(commits)) {}
  RealFile(const RealFile&) = delete;
  RealFile& operator=(const RealFile&) = delete;
  ~RealFile() override;

  Result<size_t> read_at(uint64_t position, MutableBytes into) override;
  Result<void> write_at(uint64_t position, std::span<const Bytes> pieces) override;
  Result<void> sync() override;
  Result<uint64_t> size() override;
  Result<void> truncate(uint64_t size) override;
  Result<void> allocate(uint64_t size) override;
  Result<bool> forget() override;
  Result<std::optional<uint64_t>> next_data(uint64_t position) override;

 private:
  // Where the file system cannot reserve: zeros are written from the end of the file on.
  Result<void> write_zeros(uint64_t size);

  const int fd_;
  const std::string path_;
  const bool gives_way_;
  const std::shared_ptr<CommitsFirst> commits_;
};

}  // namespace paceline::env
