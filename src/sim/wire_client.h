#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "env/network.h"
#include "env/sync.h"
#include "protocol/header.h"

namespace paceline::sim {

// One connection to a broker that speaks Kafka's protocol and nothing else: no retries, no
// metadata. Requests may be in flight side by side; the broker must answer in their order, and an
// answer out of it breaks the connection. On one shard; calls still running when it is destroyed
// end with Code::closed.
class WireClient {
 private:
  struct Waiting {
    explicit Waiting(env::Shard& shard) : changed(shard) {}
    std::optional<Result<Slice>> answer;
    env::Event changed;
  };

 public:
  // The deadline of connect and of every call after it: `patience` from its start.
  static Task<Result<std::unique_ptr<WireClient>>> connect(env::Shard& shard, std::string host,
                                                           uint16_t port, env::Duration patience);
  ~WireClient();

  // The answer, or closed, io_error, timed_out: then the outcome is unknown and the connection is
  // of no more use. corrupt: an answer that this version does not allow. The records of an answer
  // are shared with its frame.
  template <class Response, class Request>
  Task<Result<Response>> call(int16_t version, const Request& request) {
    auto begun = begin(version, request);
    co_return co_await end<Response>(std::move(begun));
  }
  // The two halves of call(): what has begun side by side shares the connection.
  struct Begun {
    int16_t api_key;
    int16_t version;
    int32_t id;
    std::shared_ptr<Waiting> waiting;
  };
  template <class Request>
  Begun begin(int16_t version, const Request& request) {
    const int32_t id = next_id_++;
    auto frame = protocol::request_frame(version, id, kClientId, request);
    CHECK(frame);
    return {Request::kApiKey, version, id, send(std::move(*frame))};
  }
  template <class Response>
  Task<Result<Response>> end(Begun begun) {
    CO_TRY(Slice answer, co_await wait(std::move(begun.waiting)));
    protocol::Cursor cursor(answer);
    CO_TRY(const int32_t got,
           protocol::decode_response_header(begun.api_key, begun.version, cursor));
    if (got != begun.id) co_return fail(Code::corrupt, "an answer to another request");
    co_return Response::decode(begun.version, cursor);
  }
  // As call(), for requests that have no answer (acks=0), or that only a bad client would send.
  Task<Result<void>> send_only(std::vector<Slice> frame);
  // The next frame that arrives, without its length: after send_only().
  Task<Result<Slice>> receive();

  bool broken() const { return state_->broken.has_value(); }
  void close();

  static constexpr std::string_view kClientId = "sim";

 private:
  struct State {
    State(env::Shard& on, std::unique_ptr<env::Socket> to)
        : shard(on), socket(std::move(to)), changed(on) {}
    env::Shard& shard;
    std::unique_ptr<env::Socket> socket;
    std::deque<std::vector<Slice>> outgoing;
    std::deque<std::shared_ptr<Waiting>> pending;  // in the order of requests
    std::optional<Error> broken;
    env::Event changed;  // outgoing, pending or broken
  };
  WireClient(std::shared_ptr<State> state, env::Duration patience)
      : state_(std::move(state)), patience_(patience) {}

  std::shared_ptr<Waiting> send(std::vector<Slice> frame);
  Task<Result<Slice>> wait(std::shared_ptr<Waiting> waiting);
  static Task<void> write_loop(std::shared_ptr<State> state);
  static Task<void> read_loop(std::shared_ptr<State> state);
  static void fail_all(State& state, Error why);

  std::shared_ptr<State> state_;
  env::Duration patience_;
  int32_t next_id_ = 1;
};

}  // namespace paceline::sim
