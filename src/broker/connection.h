#pragma once

#include <deque>
#include <memory>

#include "broker/node.h"
#include "broker/receive_buffer.h"
#include "broker/request.h"
#include "env/network.h"

namespace paceline::broker {

// One client connection, on one shard: frames in, requests through handlers, answers out in the
// order of the requests. Produce requests run side by side, so that what one connection sends fits
// into one group commit; every other request waits for those before it and holds those behind it,
// as a Kafka broker does. Reading stops while the broker's memory budget, the pipeline or the
// unsent answers are full.
class Connection {
 public:
  Connection(Node& node, env::Shard& shard, std::unique_ptr<env::Socket> socket,
             std::string listener);

  // Serves until the peer goes, errs or idles too long. REQUIRES: outlives the task.
  Task<void> serve();
  // Ends serve() soon, from this shard.
  void close() { end("the broker stops"); }

 private:
  struct Answer {
    bool ready = false;
    std::vector<Slice> frame;
    size_t bytes = 0;
    AnswerMemory::Hold held;
  };

  Task<Result<Slice>> read_frame();
  Task<bool> admit(const Slice& frame);
  uint64_t memory_for(int16_t api_key, size_t frame_bytes) const;
  Task<Node::FramePermit> charge(int16_t api_key, size_t frame_bytes);
  // Whether the connection holds little with `bytes` more.
  bool modest(uint64_t bytes) const;
  Task<void> wait_for_room();
  Task<void> wait_for_uploads(bool modest);
  bool uploads_behind(bool modest) const;
  Task<void> run_produce(std::shared_ptr<Answer> answer, Request request, Slice frame,
                         Node::FramePermit permit, env::Gate::Pass pass);
  void settle(const std::shared_ptr<Answer>& answer, const Request& request, Reply reply);
  void record(const Request& request, const Reply& reply, env::Instant since);
  Task<void> write_answers();
  // Ends the slowest readers of all shards until there is room for others' answers.
  void shed_slow_readers();
  static void shed_on(ShardHost& host, AnswerMemory& memory, env::Duration patience);
  void count_bad(BadFrame why);
  void complain(std::string_view what);
  void end(std::string reason);
  Task<void> watch_idle(env::Gate::Pass pass);

  Node& node_;
  env::Shard& shard_;
  std::unique_ptr<env::Socket> socket_;
  Peer peer_;
  Metrics& metrics_;
  const bool came_at_parting_;

  ReceiveBuffer receive_;
  Node::FramePermit frame_permit_;              // for a big frame, while it arrives
  env::Instant last_progress_;                  // of reading or answering, for the idle bound
  std::optional<env::Instant> frame_deadline_;  // while a frame arrives: when it must be there

  std::deque<std::shared_ptr<Answer>> answers_;  // in the order of requests
  size_t unsent_bytes_ = 0;
  env::Instant write_began_;   // the write under way
  size_t writing_memory_ = 0;  // that it keeps
  size_t produce_bytes_ = 0;   // of produce requests whose answer is not ready
  bool writing_ = false;
  bool ended_ = false;
  env::Event changed_;  // an answer was settled or sent, or the connection ended
  env::Gate inside_;    // handlers, the writer and the watch
};

}  // namespace paceline::broker
