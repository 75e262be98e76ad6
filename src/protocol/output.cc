#include "protocol/output.h"

#include <algorithm>
#include <cstring>

namespace paceline::protocol {

void Output::seal() {
  if (end_ > start_) sealed_.emplace_back(block_, block_.bytes().subspan(start_, end_ - start_));
  start_ = end_;
}

void Output::reserve(size_t size) {
  if (block_.size() - end_ >= size) return;
  // A short beginning (a header) moves along, so that header and body stay one slice.
  const size_t open = end_ - start_;
  const bool moves = open <= kBlockBytesMin;
  if (!moves) seal();
  const size_t moved = moves ? open : 0;
  Buffer block = Buffer::allocate(std::max(size + moved, kBlockBytesMin));
  if (moved) std::memcpy(block.data(), block_.data() + start_, moved);
  block_ = std::move(block);
  start_ = 0;
  end_ = moved;
}

void Output::append(Bytes bytes) {
  if (bytes.empty()) return;
  if (block_.size() - end_ < bytes.size()) reserve(std::max(bytes.size(), block_.size() * 2));
  std::memcpy(block_.data() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
  size_ += bytes.size();
}

void Output::append(Slice slice) {
  if (slice.empty()) return;
  seal();
  size_ += slice.size();
  sealed_.push_back(std::move(slice));
}

void Output::patch_front_u32(uint32_t value) {
  std::byte* front = sealed_.empty() ? block_.data() + start_ : nullptr;
  size_t room = end_ - start_;
  if (!sealed_.empty()) {
    // The first slice is a range of a block of ours: nobody else has been given it yet.
    front = sealed_.front().buffer().data() +
            (sealed_.front().data() - sealed_.front().buffer().data());
    room = sealed_.front().size();
  }
  CHECK(room >= sizeof value);
  store_be(front, value);
}

std::vector<Slice> Output::take() {
  seal();
  block_ = Buffer();
  start_ = end_ = size_ = 0;
  return std::exchange(sealed_, {});
}

std::string join(const std::vector<Slice>& slices) {
  std::string all;
  for (const Slice& slice : slices) all.append(as_text(slice.bytes()));
  return all;
}

}  // namespace paceline::protocol
