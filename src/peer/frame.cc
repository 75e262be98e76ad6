#include "peer/frame.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/codec.h"
#include "base/crc32c.h"

namespace paceline::peer {
namespace {

constexpr size_t kWordsBytesMax = 1024;

std::string encode(FrameKind kind, uint64_t number, const Encoder& body) {
  return encode_header(kind, number, body.bytes()) + body.str();
}

std::string_view cut(const std::string& words) {
  return std::string_view(words).substr(0, kWordsBytesMax);
}

// A body fills its frame exactly, and an incarnation is never 0.
std::unexpected<Error> bad(std::string_view what) {
  return fail(Code::corrupt, fmt::format("a peer sent a {} that does not decode", what));
}

bool valid(const Lane& lane) {
  return lane.broker.value >= 0 && lane.incarnation.value > 0;
}

bool bodiless(FrameKind kind) {
  return kind == FrameKind::ping || kind == FrameKind::pong || kind == FrameKind::goodbye;
}

}  // namespace

std::string encode_header(FrameKind kind, uint64_t number, Bytes body) {
  Encoder out;
  out.put(kFrameMagic).put(kFrameVersion).put(static_cast<uint8_t>(kind)).put(uint16_t{0});
  out.put(static_cast<uint32_t>(body.size())).put(number).put(crc32c(body));
  out.put(crc32c(out.bytes()));
  CHECK(out.size() == kFrameHeaderBytes);
  return out.take();
}

std::string encode_empty(FrameKind kind, uint64_t number) {
  CHECK(bodiless(kind));
  return encode_header(kind, number, {});
}

std::string encode_frame(const Hello& hello) {
  Encoder body;
  body.put(hello.cluster_id).put(hello.from).put(hello.to);
  return encode(FrameKind::hello, 0, body);
}

std::string encode_frame(const Welcome& welcome) {
  Encoder body;
  body.put(welcome.from)
      .put(welcome.call_bytes_max)
      .put(welcome.calls_max)
      .put(welcome.calls_bytes_max);
  return encode(FrameKind::welcome, 0, body);
}

std::string encode_frame(const Refusal& refusal) {
  Encoder body;
  body.put(static_cast<uint8_t>(refusal.reason)).put(refusal.from).text(cut(refusal.words));
  return encode(FrameKind::refusal, 0, body);
}

std::string encode_frame(const Ended& ended) {
  Encoder body;
  body.put(ended.cluster_id).put(ended.lane).put(ended.status);
  return encode(FrameKind::ended, 0, body);
}

std::string encode_frame(uint64_t number, const Question& question) {
  Encoder body;
  body.put(question.about);
  return encode(FrameKind::question, number, body);
}

std::string encode_frame(uint64_t number, const Hearsay& hearsay) {
  Encoder body;
  body.put(static_cast<uint8_t>(hearsay.heard_ago ? 1 : 0));
  const auto ago = hearsay.heard_ago.value_or(env::Duration{0});
  body.put(static_cast<uint64_t>(std::max<int64_t>(ago.count(), 0)));
  return encode(FrameKind::hearsay, number, body);
}

std::string encode_unserved(uint64_t number, const std::string& words) {
  Encoder body;
  body.text(cut(words));
  return encode(FrameKind::unserved, number, body);
}

Result<FrameHeader> decode_frame_header(Bytes bytes, uint32_t call_bytes_max) {
  CHECK(bytes.size() == kFrameHeaderBytes);
  Decoder in(bytes);
  const auto magic = in.get<uint32_t>();
  if (magic != kFrameMagic) return fail(Code::corrupt, "a peer does not speak our protocol");
  const auto version = in.get<uint8_t>();
  const auto kind = in.get<uint8_t>();
  const auto reserved = in.get<uint16_t>();
  FrameHeader header;
  header.body_bytes = in.get<uint32_t>();
  header.number = in.get<uint64_t>();
  header.body_crc = in.get<uint32_t>();
  if (in.get<uint32_t>() != crc32c(bytes.first(kFrameHeaderBytes - 4)))
    return fail(Code::corrupt, "the header of a peer's frame does not match its checksum");
  if (version != kFrameVersion)
    return fail(Code::unsupported,
                fmt::format("a peer speaks version {}, not {}", version, kFrameVersion));
  if (kind < 1 || kind > static_cast<uint8_t>(FrameKind::unserved) || reserved != 0)
    return fail(Code::corrupt, fmt::format("a peer sent a frame of kind {}", kind));
  header.kind = static_cast<FrameKind>(kind);
  const bool call = header.kind == FrameKind::call || header.kind == FrameKind::reply;
  const uint32_t bytes_max = bodiless(header.kind) ? 0
                             : call                ? std::min(call_bytes_max, kCallBytesMax)
                                                   : kControlBytesMax;
  if (header.body_bytes > bytes_max)
    return fail(Code::too_large, fmt::format("a peer sent {} bytes where {} are allowed",
                                             header.body_bytes, bytes_max));
  return header;
}

Result<void> check_body(const FrameHeader& header, Bytes body) {
  CHECK(body.size() == header.body_bytes);
  if (crc32c(body) != header.body_crc)
    return fail(Code::corrupt, "the body of a peer's frame does not match its checksum");
  return {};
}

Result<Hello> decode_hello(Bytes body) {
  Decoder in(body);
  Hello hello;
  hello.cluster_id = in.uuid();
  hello.from = in.lane();
  hello.to = in.lane();
  if (!in.done() || !valid(hello.from) || !valid(hello.to)) return bad("hello");
  return hello;
}

Result<Welcome> decode_welcome(Bytes body) {
  Decoder in(body);
  Welcome welcome;
  welcome.from = in.lane();
  welcome.call_bytes_max = in.get<uint32_t>();
  welcome.calls_max = in.get<uint32_t>();
  welcome.calls_bytes_max = in.get<uint64_t>();
  if (!in.done() || !valid(welcome.from)) return bad("welcome");
  return welcome;
}

Result<Refusal> decode_refusal(Bytes body) {
  Decoder in(body);
  Refusal refusal;
  const auto reason = in.get<uint8_t>();
  refusal.from = in.lane();
  const auto words = in.text();
  if (!in.done() || !valid(refusal.from) || words.size() > kWordsBytesMax || reason < 1 ||
      reason > static_cast<uint8_t>(RefusalReason::busy))
    return bad("refusal");
  refusal.reason = static_cast<RefusalReason>(reason);
  refusal.words = words;
  return refusal;
}

Result<Question> decode_question(Bytes body) {
  Decoder in(body);
  const Question question{in.lane()};
  if (!in.done() || !valid(question.about)) return bad("question");
  return question;
}

Result<Hearsay> decode_hearsay(Bytes body) {
  Decoder in(body);
  const auto heard = in.get<uint8_t>();
  const auto ago = in.get<uint64_t>();
  // A century is longer than any life of a process, and far from an overflow.
  constexpr uint64_t kAgoMax = 100ull * 366 * 86400 * 1'000'000'000;
  if (!in.done() || heard > 1 || ago > kAgoMax || (heard == 0 && ago != 0)) return bad("hearsay");
  Hearsay hearsay;
  if (heard == 1) hearsay.heard_ago = env::Duration(static_cast<int64_t>(ago));
  return hearsay;
}

Result<Ended> decode_ended(Bytes body) {
  Decoder in(body);
  Ended ended;
  ended.cluster_id = in.uuid();
  ended.lane = in.lane();
  ended.status = in.get<int32_t>();
  if (!in.done() || !valid(ended.lane)) return bad("word of an end");
  return ended;
}

Result<Words> decode_words(Bytes body) {
  Decoder in(body);
  const auto words = in.text();
  if (!in.done() || words.size() > kWordsBytesMax) return bad("reason");
  return Words{std::string(words)};
}

}  // namespace paceline::peer
