#include <gtest/gtest.h>

#include "base/codec.h"
#include "base/crc32c.h"
#include "base/result.h"

namespace paceline {
namespace {

TEST(Crc32c, KnownValueAndChaining) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283u);
  std::string text(1000, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7);
  Bytes bytes = as_bytes(text);
  for (size_t cut : {0u, 1u, 7u, 127u, 128u, 500u, 1000u})
    EXPECT_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), crc32c(bytes)) << cut;
}

TEST(Crc32c, CombinesToTheChecksumOfBoth) {
  std::string text(70'000, '\0');
  uint32_t seed = 1;
  for (char& c : text) c = static_cast<char>(seed = seed * 1664525u + 1013904223u, seed >> 24);
  const Bytes bytes = as_bytes(text);
  for (size_t cut : {0, 1, 3, 21, 4095, 4096, 65'537, 69'999, 70'000}) {
    const uint32_t a = crc32c(bytes.first(cut));
    const uint32_t b = crc32c(bytes.subspan(cut));
    EXPECT_EQ(crc32c_combine(a, b, bytes.size() - cut), crc32c(bytes)) << cut;
  }
  // Zeros behind: lengths that no buffer has, by way of their halves.
  const uint32_t a = crc32c(bytes);
  uint32_t zeros = crc32c(Bytes(bytes.data(), 0));
  for (uint64_t length : {1ull << 20, 1ull << 33, (1ull << 40) + 12'345})
    EXPECT_EQ(crc32c_combine(crc32c_combine(a, zeros, length / 2), zeros, length - length / 2),
              crc32c_combine(a, zeros, length));
}

TEST(Uuid, TextRoundTripsAndNeverLooksLikeAnOption) {
  uint64_t seed = 1;
  for (int i = 0; i < 10000; ++i) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    Uuid id = Uuid::from_random(seed, seed ^ 0x5555);
    std::string text = id.to_string();
    EXPECT_EQ(text.size(), 22u);
    EXPECT_NE(text[0], '-');
    EXPECT_EQ(Uuid::parse(text), id);
  }
  EXPECT_EQ(Uuid{}.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
  EXPECT_FALSE(Uuid::parse("short"));
}

TEST(Codec, RoundTripsAndRefusesShortInput) {
  Encoder out;
  Lane lane{BrokerId(3), Incarnation(7)};
  out.put(int16_t{-2}).put(lane).varint(0).varint(~0ull).text("hello").put(Offset(-1));
  Decoder in(out.bytes());
  EXPECT_EQ(in.get<int16_t>(), -2);
  EXPECT_EQ(in.lane(), lane);
  EXPECT_EQ(in.varint(), 0u);
  EXPECT_EQ(in.varint(), ~0ull);
  EXPECT_EQ(in.text(), "hello");
  EXPECT_EQ(in.get<Offset>(), Offset(-1));
  EXPECT_TRUE(in.done());
  for (size_t cut = 0; cut < out.size(); ++cut) {
    Decoder shorter(out.bytes().first(cut));
    shorter.get<int16_t>();
    shorter.lane();
    shorter.varint();
    shorter.varint();
    shorter.text();
    shorter.get<Offset>();
    EXPECT_FALSE(shorter.ok()) << cut;
  }
}

TEST(Codec, AListLengthBeyondTheInputAllocatesNothing) {
  Encoder out;
  out.varint(1u << 30).put(uint32_t{1});
  Decoder in(out.bytes());
  EXPECT_EQ(in.count(4), 0u);
  EXPECT_FALSE(in.ok());
}

TEST(Buffer, LastReferenceReturnsTheMemory) {
  struct Counting final : Buffer::Origin {
    int released = 0;
    void release(std::byte*, size_t) noexcept override { ++released; }
  } origin;
  std::byte memory[16]{};
  {
    Buffer buffer = Buffer::adopt(memory, sizeof memory, origin);
    EXPECT_TRUE(buffer.unique());
    Slice slice = Slice(buffer).subslice(4, 8);
    EXPECT_FALSE(buffer.unique());
    buffer = Buffer();
    EXPECT_EQ(origin.released, 0);
    EXPECT_EQ(slice.data(), memory + 4);
  }
  EXPECT_EQ(origin.released, 1);
}

Result<int> half(int n) {
  if (n % 2) return fail(Code::invalid_argument, "odd");
  return n / 2;
}
Result<int> quarter(int n) {
  TRY(int h, half(n));
  TRY(int q, half(h));
  return q;
}

TEST(Result, TryReturnsEarly) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace paceline
