#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "broker/complaints.h"
#include "broker/errors.h"
#include "env/shard.h"
#include "protocol/header.h"

namespace paceline::broker {

class Node;

// Who asks. Everything is dispatched with a principal and a listener from the first day; until
// there is authentication the principal is anonymous.
struct Peer {
  std::string principal = "User:ANONYMOUS";
  std::string listener;
  std::string address;   // "host:port"
  std::string software;  // of the client, once ApiVersions told it
};

// Array elements in one request, all its arrays together: each becomes hundreds of bytes in memory,
// whatever it takes on the wire. Above what clients ask of ten thousands of partitions.
inline constexpr uint32_t kElementsMax = 1u << 18;

// One request on its way through a handler. The frame outlives the handler; views decoded from it
// are good until the handler returns.
struct Request {
  Node& node;
  env::Shard& shard;  // of the connection; the handler runs on it
  const Peer& peer;
  int16_t api_key = 0;
  int16_t version = 0;
  int32_t correlation_id = 0;
  std::string client_id;
  Slice body;
  size_t left_over = 0;  // bytes of the body behind the message, once it is decoded
  // Of the groups that it was about: how many, and where the last one's coordinator is if it has
  // moved away from here and refused it.
  size_t groups = 0;
  struct MovedCoordinator {
    StreamId stream;
    Lane lane;
    Epoch epoch;
  };
  std::optional<MovedCoordinator> moved{};
  // Of what the operator is told: the first error in the answer that is the client's doing.
  KafkaError refused = KafkaError::none;
  std::string refused_why{};

  template <class Message>
  Result<Message> decode() {
    protocol::Cursor cursor(body);
    cursor.limit_elements(kElementsMax);
    return Message::decode(version, std::move(cursor), &left_over);
  }
  void complain(KafkaError error, std::string_view why = {}) {
    if (refused != KafkaError::none || is_routine(error)) return;
    refused = error;
    refused_why = why;
  }
};

// What goes back: a frame; nothing (acks=0); or the end of the connection, with the reason.
struct Reply {
  enum class What { frame, nothing, close };
  What what = What::close;
  std::vector<Slice> frame;
  std::string reason;
  bool unreadable = false;  // closes because the request does not decode
  // Errors told inside the frame, for metrics and the log.
  bool failed = false;

  static Reply close(std::string why) {
    return Reply{What::close, {}, std::move(why), false, true};
  }
  static Reply close_unreadable(std::string why) {
    return Reply{What::close, {}, std::move(why), true, true};
  }
  static Reply nothing() { return Reply{What::nothing, {}, {}, false, false}; }
};

template <class Response>
Reply reply_with(const Request& request, const Response& response) {
  auto frame = protocol::response_frame(request.version, request.correlation_id, response);
  if (!frame) return Reply::close("cannot encode the answer: " + frame.error().message);
  return Reply{Reply::What::frame, std::move(*frame), {}, false, false};
}

// Declares `name` as the decoded message of the request, or ends the connection: a request that
// does not decode leaves no telling where the next one starts.
#define PACELINE_DECODE(Message, name)                                                    \
  auto name##_decoded = request.decode<protocol::Message>();                              \
  if (!name##_decoded) co_return Reply::close_unreadable(name##_decoded.error().message); \
  [[maybe_unused]] protocol::Message& name = *name##_decoded

}  // namespace paceline::broker
