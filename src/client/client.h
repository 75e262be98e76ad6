#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/security.h"
#include "env/network.h"
#include "protocol/header.h"

namespace paceline::client {

// The brokers that a text names, HOST:PORT with commas between them.
std::vector<std::string> addresses_of(const std::string& bootstrap);

// A small Kafka client for the command line: one connection, one request at a time.
class Client {
 public:
  // `bootstrap` is "host:port". `patience`: with each call. permission_denied: one of both sides
  // has not proved who it is.
  static Task<Result<std::unique_ptr<Client>>> connect(
      env::Shard& shard, std::string bootstrap, env::Duration patience = std::chrono::seconds(30),
      Security security = {});

  // Sends a request at `version` and decodes its answer.
  template <class Response, class Request>
  Task<Result<Response>> call(int16_t version, const Request& request) {
    auto frame = protocol::request_frame(version, ++correlation_, "paceline", request);
    if (!frame) co_return fail(frame.error());
    CO_TRY(Slice answer, co_await exchange(std::move(*frame)));
    protocol::Cursor cursor(answer);
    CO_TRY(int32_t correlation,
           protocol::decode_response_header(Request::kApiKey, version, cursor));
    if (correlation != correlation_)
      co_return fail(Code::corrupt, "the broker answered another request");
    answer_ = answer.subslice(answer.size() - cursor.remaining(), cursor.remaining());
    co_return Response::decode(version, protocol::Cursor(answer_));
  }

 private:
  Client(env::Shard& shard, std::unique_ptr<env::Socket> socket, env::Duration patience)
      : shard_(shard), socket_(std::move(socket)), patience_(patience) {}
  Task<Result<Slice>> exchange(std::vector<Slice> frame);
  Task<Result<void>> read_exactly(MutableBytes into);

  env::Shard& shard_;
  std::unique_ptr<env::Socket> socket_;
  const env::Duration patience_;
  int32_t correlation_ = 0;
  Slice answer_;  // what the last response's views point into
};

}  // namespace paceline::client
