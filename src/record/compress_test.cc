#include "record/compress.h"

#include <gtest/gtest.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zstd.h>

#include <random>

#include "base/endian.h"
#include "record/test_vectors.h"

namespace paceline::record {
namespace {

constexpr Codec kCompressing[] = {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

std::string noise(size_t size, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}
std::string text(size_t size) {
  std::string out;
  for (size_t i = 0; out.size() < size; ++i) out += std::to_string(i * i) + " paceline ";
  out.resize(size);
  return out;
}
Code code_of(Codec codec, std::string_view compressed, size_t bytes_max = kDecompressedBytesMax) {
  auto out = decompress(codec, as_bytes(compressed), bytes_max);
  EXPECT_FALSE(out) << codec_name(codec);
  return out ? Code::already_exists : out.error().code;
}
std::string be32(uint32_t value) {
  std::string out(4, '\0');
  store_be(reinterpret_cast<std::byte*>(out.data()), value);
  return out;
}
const std::string kXerial = from_hex(
    "82534e4150505900"
    "00000001"
    "00000001");

TEST(Compress, RoundTripsInEveryCodecAtItsExactLimit) {
  for (Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    for (size_t size : {0u, 1u, 100u, 32767u, 32768u, 32769u, 65536u, 65537u, 1u << 20, 5u << 20}) {
      for (const std::string& plain : {noise(size), text(size), std::string(size, 'z')}) {
        auto packed = compress(codec, as_bytes(plain));
        ASSERT_TRUE(packed);
        auto opened = decompress(codec, as_bytes(*packed), plain.size());
        ASSERT_TRUE(opened) << codec_name(codec) << size << opened.error().to_string();
        ASSERT_TRUE(*opened == plain) << codec_name(codec) << size;
        if (size > 0) EXPECT_EQ(code_of(codec, *packed, size - 1), Code::too_large);
      }
    }
  }
}

TEST(Compress, LevelsAreTheCodecs) {
  const std::string plain = text(200'000);
  for (auto [codec, fast, best] :
       {std::tuple{Codec::gzip, 1, 9}, {Codec::lz4, 1, 9}, {Codec::zstd, -5, 19}}) {
    const std::string quick = *compress(codec, as_bytes(plain), fast);
    const std::string small = *compress(codec, as_bytes(plain), best);
    EXPECT_LT(small.size(), quick.size()) << codec_name(codec);
    EXPECT_EQ(*decompress(codec, as_bytes(small), plain.size()), plain);
  }
  EXPECT_EQ(compress(Codec::gzip, as_bytes(plain), 77).error().code, Code::invalid_argument);
}

TEST(Decompress, EveryCutIsCorrupt) {
  const std::string plain = text(3000);
  for (Codec codec : kCompressing) {
    const std::string packed = *compress(codec, as_bytes(plain));
    for (size_t cut = codec == Codec::snappy ? 17 : 0; cut < packed.size(); ++cut)
      EXPECT_EQ(code_of(codec, packed.substr(0, cut)), Code::corrupt) << codec_name(codec) << cut;
  }
}

TEST(Decompress, BombsStopAtTheLimit) {
  // 256 MiB of zeros in some hundred kilobytes or less, against a limit of 1 MiB.
  const std::string zeros(size_t{16} << 20, '\0');
  for (Codec codec : {Codec::gzip, Codec::lz4, Codec::zstd}) {
    const std::string packed = *compress(codec, as_bytes(zeros));
    EXPECT_EQ(code_of(codec, packed, 1 << 20), Code::too_large) << codec_name(codec);
  }
  std::string frames;
  const std::string frame = *compress(Codec::zstd, as_bytes(zeros));
  for (int i = 0; i < 16; ++i) frames += frame;
  EXPECT_EQ(code_of(Codec::zstd, frames), Code::too_large);
}

TEST(Decompress, GzipMembersAndZstdFramesMayFollowOneAnother) {
  for (Codec codec : {Codec::gzip, Codec::zstd}) {
    const std::string two = *compress(codec, as_bytes("hello ")) + *compress(codec, as_bytes("")) +
                            *compress(codec, as_bytes("world"));
    EXPECT_EQ(*decompress(codec, as_bytes(two), 11), "hello world");
    EXPECT_EQ(code_of(codec, two, 10), Code::too_large);
    EXPECT_EQ(code_of(codec, two + "garbage"), Code::corrupt);
  }
  const std::string skippable = from_hex("502a4d1803000000616263");
  EXPECT_EQ(
      *decompress(Codec::zstd, as_bytes(skippable + *compress(Codec::zstd, as_bytes("x"))), 9),
      "x");
}

TEST(Decompress, Lz4IsOneFrameOfIndependentBlocks) {
  const std::string frame = *compress(Codec::lz4, as_bytes("hello"));
  EXPECT_EQ(code_of(Codec::lz4, frame + frame), Code::corrupt);
  LZ4F_preferences_t linked{};
  linked.frameInfo.blockMode = LZ4F_blockLinked;
  const std::string plain = text(200'000);
  std::string out(LZ4F_compressFrameBound(plain.size(), &linked), '\0');
  out.resize(LZ4F_compressFrame(out.data(), out.size(), plain.data(), plain.size(), &linked));
  EXPECT_EQ(code_of(Codec::lz4, out), Code::corrupt);
  EXPECT_EQ(code_of(Codec::lz4, from_hex("502a4d1803000000616263")), Code::corrupt);
}

TEST(Decompress, Lz4ChecksumsOfContentAndBlocksHold) {
  LZ4F_preferences_t checked{};
  checked.frameInfo.blockMode = LZ4F_blockIndependent;
  checked.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  const std::string plain = noise(1000);
  std::string out(LZ4F_compressFrameBound(plain.size(), &checked), '\0');
  out.resize(LZ4F_compressFrame(out.data(), out.size(), plain.data(), plain.size(), &checked));
  EXPECT_EQ(*decompress(Codec::lz4, as_bytes(out), 1000), plain);
  out[500] = static_cast<char>(out[500] ^ 1);
  EXPECT_EQ(code_of(Codec::lz4, out), Code::corrupt);
}

TEST(Decompress, SnappyComesRawOrInJavasFrames) {
  std::string block;
  ::snappy::Compress("paceline", 8, &block);
  EXPECT_EQ(block, from_hex("081c") + "paceline");  // length 8, a literal of 8 bytes
  EXPECT_EQ(*decompress(Codec::snappy, as_bytes(block), 8), "paceline");
  const std::string framed = kXerial + be32(10) + block;
  EXPECT_EQ(*decompress(Codec::snappy, as_bytes(framed + be32(10) + block), 16),
            "pacelinepaceline");
  EXPECT_EQ(*decompress(Codec::snappy, as_bytes(framed + framed), 16), "pacelinepaceline");
  EXPECT_EQ(*compress(Codec::snappy, as_bytes("paceline")), framed);
  const std::string longer = from_hex("091c") + "paceline";  // states a byte more than it has
  EXPECT_EQ(code_of(Codec::snappy, longer), Code::corrupt);
}

TEST(Decompress, SnappyLengthsThatLieAllocateNothing) {
  // A stated length of 4 GiB - 1, alone and in a frame; and block lengths beyond the input.
  const std::string liar = from_hex("ffffffff0f") + std::string(20, 'x');
  EXPECT_EQ(code_of(Codec::snappy, liar), Code::corrupt);
  EXPECT_EQ(code_of(Codec::snappy, kXerial + be32(25) + liar), Code::corrupt);
  for (uint32_t size : {0u, 26u, 0x7fffffffu, 0x80000000u, 0xffffffffu})
    EXPECT_EQ(code_of(Codec::snappy, kXerial + be32(size) + liar), Code::corrupt) << size;
  EXPECT_EQ(code_of(Codec::snappy, kXerial.substr(0, 12)), Code::corrupt);
  EXPECT_EQ(code_of(Codec::snappy, kXerial.substr(0, 8) + be32(0) + be32(0)), Code::corrupt);
}

TEST(Decompress, ZstdWindowsAreBoundedAndLargeOnesStillOpen) {
  // Magic, a frame header with only a window descriptor, one raw last block of one byte.
  const auto frame = [](std::string_view descriptor) {
    return from_hex(
               "28b52ffd"
               "00") +
           from_hex(descriptor) + from_hex("090000") + "x";
  };
  EXPECT_EQ(*decompress(Codec::zstd, as_bytes(frame("68")), 1), "x");  // 2^23
  EXPECT_EQ(*decompress(Codec::zstd, as_bytes(frame("70")), 1), "x");  // 2^24
  EXPECT_EQ(*decompress(Codec::zstd, as_bytes(frame("88")), 1), "x");  // 2^27
  EXPECT_EQ(code_of(Codec::zstd, frame("89")), Code::too_large);       // 2^27 and an eighth
  EXPECT_EQ(code_of(Codec::zstd, frame("a8")), Code::too_large);       // 2^31
  EXPECT_EQ(code_of(Codec::zstd, frame("ff")), Code::corrupt);         // 2^41: not zstd's any more

  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 26);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  const std::string plain = text(12 << 20);
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  ZSTD_inBuffer from{plain.data(), plain.size(), 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  while (from.pos < from.size) ZSTD_compressStream2(context, &to, &from, ZSTD_e_continue);
  while (ZSTD_compressStream2(context, &to, &from, ZSTD_e_end) != 0) {
  }
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  EXPECT_TRUE(*decompress(Codec::zstd, as_bytes(out), plain.size()) == plain);
  EXPECT_EQ(code_of(Codec::zstd, out, plain.size() - 1), Code::too_large);
}

TEST(Decompress, WhatIsOpenedInOnePieceIsKnownBefore) {
  const auto frame = [](std::string_view descriptor) {
    return from_hex("28b52ffd00") + from_hex(descriptor) + from_hex("090000") + "x";
  };
  const auto in_one = [](Codec codec, std::string_view bytes) {
    return opens_in_one_piece(codec, as_bytes(bytes));
  };
  EXPECT_FALSE(in_one(Codec::zstd, frame("68")));  // 2^23
  EXPECT_TRUE(in_one(Codec::zstd, frame("69")));
  EXPECT_TRUE(in_one(Codec::zstd, frame("68") + frame("80")));
  EXPECT_FALSE(in_one(Codec::zstd, "nothing"));
  const std::string plain(9 << 20, 'x');
  EXPECT_FALSE(in_one(Codec::snappy, *compress(Codec::snappy, as_bytes(plain))));  // xerial
  EXPECT_TRUE(in_one(Codec::snappy, from_hex("8080c004") + plain));                // 9 MiB
  EXPECT_FALSE(in_one(Codec::snappy, from_hex("808004")));                         // 64 KiB
  EXPECT_FALSE(in_one(Codec::gzip, plain));
}

TEST(Decompress, ABrokenByteNeverCrashes) {
  const std::string plain = text(5000);
  for (Codec codec : kCompressing) {
    const std::string packed = *compress(codec, as_bytes(plain));
    for (size_t at = 0; at < packed.size(); ++at) {
      std::string bad = packed;
      bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
      auto out = decompress(codec, as_bytes(bad), 1 << 20);
      if (!out)
        EXPECT_TRUE(out.error().code == Code::corrupt || out.error().code == Code::too_large);
    }
  }
}

}  // namespace
}  // namespace paceline::record
