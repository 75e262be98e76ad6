#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "shared.h"

namespace paceline::proxy {

// Bytes that have come and not gone on.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes) {}
  char* room() { return bytes_.data() + to_; }
  size_t room_bytes() const { return bytes_.size() - to_; }
  void grew(size_t bytes) { to_ += bytes; }
  char* data() { return bytes_.data() + from_; }
  std::string_view view() const { return {bytes_.data() + from_, to_ - from_}; }
  size_t bytes() const { return to_ - from_; }
  void drop(size_t bytes) {
    from_ += bytes;
    if (from_ == to_) from_ = to_ = 0;
  }
  void compact() {
    if (from_ == 0) return;
    std::memmove(bytes_.data(), bytes_.data() + from_, to_ - from_);
    to_ -= from_;
    from_ = 0;
  }

 private:
  std::vector<char> bytes_;
  size_t from_ = 0, to_ = 0;
};

// A client's connection, one request after the other, with a connection of its own to the store. A
// late request is one whose client has gone: it is sent to the store all the same.
class Exchange : public Socket {
 public:
  Exchange(Shared& shared, int client);
  Exchange(Shared& shared, std::string late, const Request& request, Asked asked, uint64_t ms);
  ~Exchange() override;

  void ready(int fd, uint32_t events) override;
  // The outages: whoever is connected is reset; whoever waits for an answer waits for ever.
  void reset();
  void hang();

 private:
  enum class Phase { head, wait, forward, drain, discard, answer, gather, hang, ended };

  // The steps of a request, in this order (exchange.cc).
  void advance();
  bool begin();
  bool discard();
  bool drain();
  bool gather();
  void start_answer();
  bool flush_reply();
  void start_forward();
  void finish(int told_status);
  void end();
  void wait_then(uint64_t ms, void (Exchange::*body)());

  // While it is forwarded (forward.cc).
  bool forward();
  bool move_up();
  bool move_down();
  bool read_response_head();
  void approve_response();
  void damage(char* bytes, size_t count, uint64_t payload_from);
  void keep_donor(std::string_view bytes, uint64_t payload_from);
  bool response_is_complete() const;
  void complete_response();
  void answer_shorter_list();

  void read_client();
  void client_is_gone();
  void drop_client();
  void pace();
  void read_store();
  void close_store();
  void update_interest();

  Shared& shared_;
  int client_, store_ = -1;
  uint32_t client_events_ = 0, store_events_ = 0;
  Phase phase_ = Phase::head;
  uint64_t timer_ = 0, pace_timer_ = 0;

  // The request: `in_` begins with `approved_up_` bytes that may go to the store.
  Buffer in_;
  size_t approved_up_ = 0;
  uint64_t sent_up_ = 0;
  bool up_blocked_ = false;
  Request request_;
  Asked asked_;
  Verdict verdict_;
  Entry entry_;

  // The answer of the store, or `reply_`, which is ours.
  Buffer back_;
  size_t approved_down_ = 0;
  uint64_t sent_down_ = 0;
  bool down_blocked_ = false, held_ = false, store_ended_ = false, unheard_ = false;
  bool has_response_ = false;
  Response response_;
  std::string gathered_;  // a late request, or a list that will be shorter
  std::string reply_;
};

}  // namespace paceline::proxy
