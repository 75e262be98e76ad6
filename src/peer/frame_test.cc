#include "peer/frame.h"

#include <gtest/gtest.h>

#include "base/codec.h"
#include "base/crc32c.h"

namespace paceline::peer {
namespace {

using namespace std::chrono_literals;

constexpr Uuid kCluster{{1, 2, 3}};
constexpr Lane kA{BrokerId(1), Incarnation(7)};
constexpr Lane kB{BrokerId(2), Incarnation(9)};

Result<FrameHeader> header_of(std::string_view frame, uint32_t call_bytes_max = 1000) {
  return decode_frame_header(as_bytes(frame.substr(0, kFrameHeaderBytes)), call_bytes_max);
}
Bytes body_of(std::string_view frame) {
  return as_bytes(frame.substr(kFrameHeaderBytes));
}

TEST(PeerFrame, WhatIsEncodedIsReadBack) {
  const Hello hello{kCluster, kA, kB};
  EXPECT_EQ(decode_hello(body_of(encode_frame(hello))), hello);
  const Welcome welcome{kB, 1000, 64, 1 << 20};
  EXPECT_EQ(decode_welcome(body_of(encode_frame(welcome))), welcome);
  const Refusal refusal{RefusalReason::stale_incarnation, kB, "too old"};
  EXPECT_EQ(decode_refusal(body_of(encode_frame(refusal))), refusal);
  EXPECT_EQ(decode_question(body_of(encode_frame(5, Question{kA}))), Question{kA});
  for (const Hearsay& hearsay : {Hearsay{}, Hearsay{0ns}, Hearsay{1234ms}})
    EXPECT_EQ(decode_hearsay(body_of(encode_frame(5, hearsay))), hearsay);
  const Ended ended{kCluster, kA, 9};
  EXPECT_EQ(decode_ended(body_of(encode_frame(ended))), ended);
  EXPECT_EQ(decode_words(body_of(encode_unserved(5, "no"))), Words{"no"});
  const auto header = header_of(encode_frame(5, Question{kA}));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->kind, FrameKind::question);
  EXPECT_EQ(header->number, 5u);
  EXPECT_EQ(header->body_bytes, 12u);
}

TEST(PeerFrame, EveryDamagedBitIsNoticed) {
  const std::string whole = encode_frame(Hello{kCluster, kA, kB});
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const auto header = header_of(damaged);
    if (bit < kFrameHeaderBytes * 8) {
      EXPECT_FALSE(header) << bit;
    } else {
      ASSERT_TRUE(header);
      EXPECT_FALSE(check_body(*header, body_of(damaged))) << bit;
    }
  }
}

TEST(PeerFrame, ShortLongAndSenselessBodiesAreRefused) {
  const std::string hello = encode_frame(Hello{kCluster, kA, kB}).substr(kFrameHeaderBytes);
  for (size_t size = 0; size < hello.size(); ++size)
    EXPECT_FALSE(decode_hello(as_bytes(std::string_view(hello).substr(0, size))));
  EXPECT_FALSE(decode_hello(as_bytes(hello + '\0')));
  Lane none{BrokerId(1), Incarnation(0)};
  EXPECT_FALSE(decode_hello(body_of(encode_frame(Hello{kCluster, none, kB}))));
  EXPECT_FALSE(
      decode_ended(body_of(encode_frame(Ended{kCluster, {BrokerId(-1), kA.incarnation}}))));
  Encoder far;
  far.put(uint8_t{1}).put(~uint64_t{0});
  EXPECT_FALSE(decode_hearsay(far.bytes()));
  Encoder reason;
  reason.put(uint8_t{0}).put(kA).text("");
  EXPECT_FALSE(decode_refusal(reason.bytes()));
}

TEST(PeerFrame, SizesHaveBoundsBeforeAnythingIsRead) {
  const std::string body(1001, 'x');
  EXPECT_TRUE(header_of(encode_header(FrameKind::call, 1, as_bytes(body)), 1001));
  auto header = header_of(encode_header(FrameKind::call, 1, as_bytes(body)), 1000);
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code, Code::too_large);
  const std::string control(kControlBytesMax + 1, 'x');
  EXPECT_FALSE(header_of(encode_header(FrameKind::hello, 0, as_bytes(control)), 1 << 20));
  EXPECT_FALSE(header_of(encode_header(FrameKind::ping, 0, as_bytes("x")), 1 << 20));
}

TEST(PeerFrame, AnotherVersionIsNamed) {
  std::string frame = encode_empty(FrameKind::ping, 1);
  frame[4] = 2;
  Encoder again;
  again.raw(as_bytes(frame));
  again.patch_u32(kFrameHeaderBytes - 4, crc32c(again.bytes().first(kFrameHeaderBytes - 4)));
  EXPECT_EQ(header_of(again.str()).error().code, Code::unsupported);
}

TEST(PeerFrame, LongWordsAreCut) {
  const auto words = decode_words(body_of(encode_unserved(1, std::string(5000, 'w'))));
  ASSERT_TRUE(words);
  EXPECT_EQ(words->words.size(), 1024u);
}

}  // namespace
}  // namespace paceline::peer
