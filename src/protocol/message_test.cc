#include <gtest/gtest.h>

#include "base/endian.h"
#include "protocol/cursor.h"
#include "protocol/gen/api.h"
#include "protocol/probe.h"

// Properties that hold for every version of every message.
namespace paceline::protocol {
namespace {

constexpr Fill kFills[] = {Fill::defaults, Fill::maximal, Fill::nulls};

template <class Check>
void for_every_version(Check check) {
  for (const Probe& probe : probes()) {
    for (int16_t version = probe.version_min; version <= probe.version_max; ++version) {
      SCOPED_TRACE(fmt::format("{} version {}", probe.name, version));
      check(probe, version);
      if (testing::Test::HasFailure()) return;  // the first is enough to read
    }
  }
}

std::string sample(const Probe& probe, int16_t version, Fill fill) {
  auto made = probe.sample(version, fill);
  EXPECT_TRUE(made) << made.error().message;
  return made ? made->bytes : "";
}

// Visits every byte of a small sample and about `places` of a big one; odd, so that the versions of
// a message, whose sizes differ a little, are met at different places.
size_t step_over(const std::string& bytes, size_t places) {
  return bytes.size() / places | 1;
}

TEST(Message, round_trips_with_default_maximal_and_null_values) {
  for_every_version([](const Probe& probe, int16_t version) {
    for (Fill fill : kFills) {
      auto made = probe.sample(version, fill);
      ASSERT_TRUE(made) << made.error().message;
      EXPECT_TRUE(made->equal);
      EXPECT_EQ(made->size, made->bytes.size());
    }
  });
}

TEST(Message, decoding_and_encoding_again_gives_the_same_bytes) {
  for_every_version([](const Probe& probe, int16_t version) {
    for (Fill fill : kFills) {
      const std::string bytes = sample(probe, version, fill);
      auto seen = probe.look(version, as_bytes(bytes));
      ASSERT_TRUE(seen) << seen.error().message;
      EXPECT_TRUE(seen->stable);
      EXPECT_EQ(seen->bytes, bytes);
    }
  });
}

TEST(Message, cut_at_any_byte_is_refused) {
  for_every_version([](const Probe& probe, int16_t version) {
    for (Fill fill : {Fill::defaults, Fill::nulls, Fill::maximal}) {
      const std::string bytes = sample(probe, version, fill);
      const size_t step = step_over(bytes, 256);
      for (size_t size = 0; size < bytes.size(); size += step) {
        // Exactly as many bytes as were received, so that a read past the end is found.
        const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
        EXPECT_FALSE(probe.look(version, as_bytes(std::string_view(cut.data(), cut.size()))))
            << "cut at " << size;
      }
    }
  });
}

// As in Kafka: librdkafka 2.15 sends three bytes after some requests for metadata.
TEST(Message, a_byte_too_many_is_refused_but_after_a_request) {
  for_every_version([](const Probe& probe, int16_t version) {
    for (Fill fill : kFills) {
      auto seen = probe.look(version, as_bytes(sample(probe, version, fill) + '\0'));
      ASSERT_EQ(seen.has_value(), probe.kind == Kind::request);
      if (seen) continue;
      EXPECT_EQ(seen.error().code, Code::corrupt);
    }
  });
}

// Whatever four bytes a length is, it becomes the largest, a negative and an endless varint once.
TEST(Message, hostile_lengths_anywhere_neither_crash_nor_decode_to_more_than_came) {
  for_every_version([](const Probe& probe, int16_t version) {
    const std::string bytes = sample(probe, version, Fill::maximal);
    const size_t step = step_over(bytes, 64);
    for (size_t at = 0; at + 4 <= bytes.size(); at += step) {
      for (uint32_t length : {0x7fffffffu, 0x80000000u, 0xfffffffeu, 0xffffffffu, 0u}) {
        std::string hostile = bytes;
        store_be(reinterpret_cast<std::byte*>(hostile.data()) + at, length);
        auto seen = probe.look(version, as_bytes(hostile));
        if (seen) EXPECT_TRUE(seen->stable);
      }
    }
  });
}

TEST(Message, all_arrays_of_a_request_together_have_a_bound) {
  // Two arrays of three and two elements.
  const std::string bytes("\0\0\0\3abc\0\0\0\2de", 13);
  for (uint32_t bound : {4u, 5u}) {
    Cursor in(as_bytes(bytes));
    in.limit_elements(bound);
    std::vector<int8_t> first, second;
    in.list(false, 1, first, [&](int8_t& one) { in.read(one); });
    in.list(false, 1, second, [&](int8_t& one) { in.read(one); });
    EXPECT_EQ(in.ok(), bound == 5) << bound;
  }
}

TEST(Message, unknown_tags_are_skipped) {
  for_every_version([](const Probe& probe, int16_t version) {
    if (version < probe.flexible_min) return;
    const std::string plain = sample(probe, version, Fill::defaults);
    ASSERT_EQ(plain.back(), '\0');
    const std::string tagged = plain.substr(0, plain.size() - 1) + "\x01\x64\x03xyz";
    auto seen = probe.look(version, as_bytes(tagged));
    ASSERT_TRUE(seen) << seen.error().message;
    EXPECT_EQ(seen->bytes, plain);
  });
}

TEST(Message, repeated_descending_and_too_many_tags_are_refused) {
  for_every_version([](const Probe& probe, int16_t version) {
    if (version < probe.flexible_min) return;
    std::string start = sample(probe, version, Fill::defaults);
    start.pop_back();
    using namespace std::string_literals;
    EXPECT_FALSE(probe.look(version, as_bytes(start + "\x02\x64\x00\x64\x00"s)));
    EXPECT_FALSE(probe.look(version, as_bytes(start + "\x02\x64\x00\x63\x00"s)));
    EXPECT_FALSE(probe.look(version, as_bytes(start + "\x01\x64\x05xyz"s)));
    std::string many = start + "\x81\x01"s;  // 129
    for (int tag = 100; tag < 229; ++tag) {
      if (tag < 128) {
        many += static_cast<char>(tag);
      } else {
        many += static_cast<char>(tag | 0x80);
        many += '\x01';
      }
      many += '\0';
    }
    EXPECT_FALSE(probe.look(version, as_bytes(many)));
  });
}

TEST(Message, every_api_has_both_messages_in_its_versions) {
  for (const Api& api : kApis) {
    int found = 0;
    for (const Probe& probe : probes()) {
      if (probe.api_key != static_cast<int16_t>(api.key)) continue;
      ++found;
      EXPECT_EQ(probe.version_min, api.version_min);
      EXPECT_EQ(probe.version_max, api.version_max);
      EXPECT_EQ(probe.flexible_min, api.flexible_min);
    }
    EXPECT_EQ(found, 2) << api.name;
  }
}

}  // namespace
}  // namespace paceline::protocol
