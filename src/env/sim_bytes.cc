#include "env/sim_bytes.h"

#include <algorithm>

namespace paceline::env {

SimBytes& SimBytes::operator=(const SimBytes& other) {
  if (this == &other) return *this;
  chunks_.clear();
  for (const auto& [index, chunk] : other.chunks_) {
    auto copy = std::make_unique<std::byte[]>(kChunk);
    std::copy_n(chunk.get(), kChunk, copy.get());
    chunks_.emplace(index, std::move(copy));
  }
  size_ = other.size_;
  return *this;
}

size_t SimBytes::read(uint64_t position, MutableBytes into) const {
  if (position >= size_) return 0;
  const size_t total = std::min<uint64_t>(into.size(), size_ - position);
  for (size_t done = 0; done < total;) {
    const size_t skip = (position + done) % kChunk;
    const size_t count = std::min(kChunk - skip, total - done);
    const auto chunk = chunks_.find((position + done) / kChunk);
    if (chunk == chunks_.end()) {
      std::fill_n(into.data() + done, count, std::byte{0});
    } else {
      std::copy_n(chunk->second.get() + skip, count, into.data() + done);
    }
    done += count;
  }
  return total;
}

void SimBytes::write(uint64_t position, Bytes bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const size_t skip = (position + done) % kChunk;
    const size_t count = std::min(kChunk - skip, bytes.size() - done);
    Chunk& chunk = chunks_[(position + done) / kChunk];
    if (!chunk) chunk = std::make_unique<std::byte[]>(kChunk);
    std::copy_n(bytes.data() + done, count, chunk.get() + skip);
    done += count;
  }
  if (!bytes.empty()) size_ = std::max(size_, position + bytes.size());
}

void SimBytes::resize(uint64_t size) {
  if (size < size_) {
    const uint64_t last = size / kChunk;
    chunks_.erase(chunks_.upper_bound(last), chunks_.end());
    if (const auto chunk = chunks_.find(last); chunk != chunks_.end())
      std::fill(chunk->second.get() + size % kChunk, chunk->second.get() + kChunk, std::byte{0});
  }
  size_ = size;
}

}  // namespace paceline::env
