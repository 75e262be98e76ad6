#pragma once

#include <memory>
#include <string>

#include "env/descriptor.h"
#include "env/network.h"

namespace paceline::env {

class RealSocket final : public Socket {
 public:
  RealSocket(std::shared_ptr<Descriptor> descriptor, std::string peer)
      : descriptor_(std::move(descriptor)), peer_(std::move(peer)) {}
  ~RealSocket() override { descriptor_->close(); }

  Task<Result<size_t>> read_some(MutableBytes into) override;
  Task<Result<void>> write(std::span<const Slice> pieces) override;
  void close() override { descriptor_->close(); }
  std::string peer() const override { return peer_; }

 private:
  std::shared_ptr<Descriptor> descriptor_;
  std::string peer_;
  // Reads that found their bytes without waiting, since the last one that went through the loop.
  int reads_at_once_ = 0;
  bool more_expected_ = true;  // the last read filled its buffer
};

// Options every connection has: no Nagle delay, and a dead peer is noticed within a minute.
void prepare_connection(int fd);

}  // namespace paceline::env
