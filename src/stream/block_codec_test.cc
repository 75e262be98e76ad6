#include "stream/block_codec.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "env/random.h"

namespace paceline::stream {
namespace {

std::string lines(size_t bytes) {
  std::string text;
  for (uint64_t i = 0; text.size() < bytes; ++i)
    text += fmt::format(R"({{"user":{},"item":"{:x}"}})", i * 7919 % 10'007, i * 2654435761u);
  return text;
}
std::string noise(size_t bytes) {
  env::Random random(7);
  std::string text;
  while (text.size() < bytes) text += static_cast<char>(random.below(256));
  return text;
}

TEST(BlockCodec, WhatIsPackedOpensToTheSame) {
  for (size_t bytes : {1000, 70'000, 1'000'000}) {
    const std::string first = lines(bytes);
    const std::string second = lines(bytes / 3);
    const std::vector<Bytes> pieces{as_bytes(first), as_bytes(second)};
    const auto packed = pack_block(pieces);
    ASSERT_TRUE(packed.has_value());
    EXPECT_LT(packed->size(), (first.size() + second.size()) * 3 / 4);
    const auto raw = static_cast<uint32_t>(first.size() + second.size());
    const auto opened = open_block(packed->bytes(), raw);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    EXPECT_EQ(as_text(opened->bytes()), first + second);
  }
}

TEST(BlockCodec, WhatGainsNothingStaysAsItIs) {
  for (size_t bytes : {0, 1, 1000, 70'000, 1'000'000}) {
    const std::string text = noise(bytes);
    const std::vector<Bytes> pieces{as_bytes(text)};
    EXPECT_FALSE(pack_block(pieces).has_value()) << bytes;
  }
}

TEST(BlockCodec, DamageIsCorruptAndOpensToNothingLarger) {
  const std::string text = lines(50'000);
  const std::vector<Bytes> pieces{as_bytes(text)};
  const Slice packed = *pack_block(pieces);
  const auto raw = static_cast<uint32_t>(text.size());
  for (uint32_t wrong : {0u, 1u, raw - 1, raw + 1, UINT32_MAX})
    EXPECT_EQ(open_block(packed.bytes(), wrong).error().code, Code::corrupt);
  for (size_t cut = 0; cut < packed.size(); cut += 1 + cut / 7)
    EXPECT_FALSE(open_block(packed.bytes().first(cut), raw).has_value()) << cut;
}

}  // namespace
}  // namespace paceline::stream
