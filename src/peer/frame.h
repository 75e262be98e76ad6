#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "env/shard.h"
#include "peer/ended.h"

// What brokers say to each other: docs/format/peer.md. Pure.

namespace paceline::peer {

inline constexpr uint32_t kFrameMagic = 0x50'4c'50'52;  // "PLPR"
inline constexpr uint8_t kFrameVersion = 1;
inline constexpr size_t kFrameHeaderBytes = 28;
// Of every body but that of a call and its reply.
inline constexpr uint32_t kControlBytesMax = 4096;
// No call is bigger, whatever the options say: Kafka's own bound of a request, and its envelope.
inline constexpr uint32_t kCallBytesMax = 128u << 20;

// Numbers never change.
enum class FrameKind : uint8_t {
  hello = 1,      // the first frame of who connects
  welcome = 2,    // the answer to hello, or
  refusal = 3,    // why not; the connection ends
  ping = 4,       // by who connected; answered by
  pong = 5,       // with the same number
  question = 6,   // "do you hear X.i?", answered by
  hearsay = 7,    // with the same number
  ended = 8,      // the first and only frame of a guardian
  goodbye = 9,    // of either side: it stops as planned
  call = 10,      // answered by
  reply = 11,     // with the same number, or
  unserved = 12,  // why there is none
};

struct FrameHeader {
  FrameKind kind = FrameKind::ping;
  uint32_t body_bytes = 0;
  uint64_t number = 0;  // pairs a question with its answer; 0 where there is none
  uint32_t body_crc = 0;
  bool operator==(const FrameHeader&) const = default;
};

struct Hello {
  Uuid cluster_id;
  Lane from;
  Lane to;  // who is meant to be at this address
  bool operator==(const Hello&) const = default;
};
struct Welcome {
  Lane from;
  uint32_t call_bytes_max = 0;  // of one call
  // What the welcomed may have under way at once.
  uint32_t calls_max = 0;
  uint64_t calls_bytes_max = 0;
  bool operator==(const Welcome&) const = default;
};
enum class RefusalReason : uint8_t {
  other_cluster = 1,
  other_broker = 2,       // the incarnation that was meant is not this one
  stale_incarnation = 3,  // of the caller: a later one is known here
  busy = 4,               // as many connections as are allowed
};
struct Refusal {
  RefusalReason reason = RefusalReason::busy;
  Lane from;
  std::string words;
  bool operator==(const Refusal&) const = default;
};
struct Question {
  Lane about;
  bool operator==(const Question&) const = default;
};
// What a witness says of a peer: how long it has listened without hearing it, its own sleep not
// counted. Nothing if it never heard that incarnation.
struct Hearsay {
  std::optional<env::Duration> heard_ago;
  bool operator==(const Hearsay&) const = default;
};
struct Ended {
  Uuid cluster_id;
  Lane lane;
  int32_t status = 0;  // as waitpid() gives it, kStatusNotYet or kStatusUnplanned
  bool operator==(const Ended&) const = default;
};
struct Words {  // of `unserved`
  std::string words;
  bool operator==(const Words&) const = default;
};

// A whole frame of a kind with a small body.
std::string encode_frame(const Hello& hello);
std::string encode_frame(const Welcome& welcome);
std::string encode_frame(const Refusal& refusal);
std::string encode_frame(const Ended& ended);
std::string encode_frame(uint64_t number, const Question& question);
std::string encode_frame(uint64_t number, const Hearsay& hearsay);
std::string encode_unserved(uint64_t number, const std::string& words);
std::string encode_empty(FrameKind kind, uint64_t number);  // ping, pong, goodbye
// The header of a body that follows as it is.
std::string encode_header(FrameKind kind, uint64_t number, Bytes body);

// REQUIRES: kFrameHeaderBytes. corrupt, unsupported (another version), too_large.
Result<FrameHeader> decode_frame_header(Bytes header, uint32_t call_bytes_max);
// The body as its kind says; empty kinds and calls have none of these. corrupt.
Result<void> check_body(const FrameHeader& header, Bytes body);
Result<Hello> decode_hello(Bytes body);
Result<Welcome> decode_welcome(Bytes body);
Result<Refusal> decode_refusal(Bytes body);
Result<Question> decode_question(Bytes body);
Result<Hearsay> decode_hearsay(Bytes body);
Result<Ended> decode_ended(Bytes body);
Result<Words> decode_words(Bytes body);

}  // namespace paceline::peer
