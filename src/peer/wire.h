#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "env/network.h"
#include "env/sync.h"
#include "peer/frame.h"

namespace paceline::peer {

struct Frame {
  FrameHeader header;
  Slice body;
};

// A socket that carries frames. Small frames overtake bodies that wait, so that a ping never stands
// behind a queue. One reader; anybody sends. Of one shard, owned by shared_ptr.
class Wire : public std::enable_shared_from_this<Wire> {
 public:
  Wire(env::Shard& shard, std::unique_ptr<env::Socket> socket, uint32_t call_bytes_max,
       uint64_t queue_bytes_max);
  ~Wire() { close(); }
  // Starts to write. The pass is held until the writer has ended.
  void start(env::Gate::Pass pass);

  // The next whole frame with a good checksum. One at a time.
  Task<Result<Frame>> read();
  // Called whenever bytes have come.
  void on_bytes(std::function<void()> listener) { on_bytes_ = std::move(listener); }

  // Queues; a peer that takes so little that a queue fills up is given up.
  void send(std::string frame);
  // `begun`, if any, turns true when its first byte may have left.
  void send_body(FrameKind kind, uint64_t number, Slice body, std::shared_ptr<bool> begun = {});
  // Closes when everything queued has been written.
  void finish();
  void close();
  bool open() const { return open_; }
  std::string name() const { return socket_->peer(); }

 private:
  struct Queued {
    std::vector<Slice> pieces;
    std::shared_ptr<bool> begun;
  };
  static Task<void> write_loop(std::shared_ptr<Wire> self, env::Gate::Pass);
  Task<Result<void>> fill(MutableBytes into);

  env::Shard& shard_;
  const std::unique_ptr<env::Socket> socket_;
  const uint32_t call_bytes_max_;
  const uint64_t queue_bytes_max_;
  std::function<void()> on_bytes_;
  std::deque<Queued> small_;
  std::deque<Queued> bodies_;
  uint64_t queued_bytes_ = 0;
  env::Event queued_;
  std::vector<std::byte> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool open_ = true;
  bool finishing_ = false;
};

}  // namespace paceline::peer
