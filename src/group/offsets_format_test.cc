#include "group/offsets_format.h"

#include <gtest/gtest.h>

#include "group/image.h"
#include "group/subscription.h"

namespace paceline::group {
namespace {

std::string hex(std::string_view text) {
  std::string out;
  for (unsigned char c : text) out += fmt::format("{:02x}", c);
  return out;
}
std::string bytes(std::string_view digits) {
  std::string out;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  return out;
}

constexpr int64_t kTime = 1'700'000'000'000;  // 0x18bcfe56800

GroupRecord sample() {
  GroupRecord record{"consumer", 3, "range", "m-1", kTime, {}};
  record.members.push_back(
      {"m-1", std::nullopt, "c", "127.0.0.1", 300'000, 45'000, std::string("\1\2"), "\xff"});
  return record;
}

TEST(OffsetsFormat, KeysAreKafkasBytes) {
  EXPECT_EQ(hex(encode_key(OffsetKey{"g", {"t", 7}})), "000100016700017400000007");
  EXPECT_EQ(hex(encode_key(GroupKey{"g"})), "0002000167");
  EXPECT_EQ(decode_key(bytes("000000016700017400000007")), Key(OffsetKey{"g", {"t", 7}}));
}

TEST(OffsetsFormat, AnOffsetIsVersion3) {
  const OffsetValue value{Offset(42), Epoch(5), "m", kTime, -1};
  const Record record = encode_offset(OffsetKey{"g", {"t", 7}}, value);
  EXPECT_EQ(hex(*record.value), "0003000000000000002a0000000500016d0000018bcfe56800");
  EXPECT_EQ(decode_offset(*record.value, false), value);
}

TEST(OffsetsFormat, AnOffsetWithAnExpiryIsVersion1) {
  const OffsetValue value{Offset(42), Epoch(-1), "m", kTime, kTime + 1};
  const Record record = encode_offset(OffsetKey{"g", {"t", 7}}, value);
  EXPECT_EQ(hex(*record.value), "0001000000000000002a00016d0000018bcfe568000000018bcfe56801");
  EXPECT_EQ(decode_offset(*record.value, false), value);
}

TEST(OffsetsFormat, OlderAndNewerOffsetsAreRead) {
  const OffsetValue plain{Offset(42), Epoch(-1), "m", kTime, -1};
  EXPECT_EQ(decode_offset(bytes("0000000000000000002a00016d0000018bcfe56800"), false), plain);
  EXPECT_EQ(decode_offset(bytes("0002000000000000002a00016d0000018bcfe56800"), false), plain);
  OffsetValue led = plain;
  led.leader_epoch = Epoch(5);
  // Version 4 is flexible: compact string, a tagged topic id.
  EXPECT_EQ(decode_offset(bytes("0004000000000000002a00000005026d0000018bcfe56800"
                                "01001000112233445566778899aabbccddeeff"),
                          false),
            led);
  EXPECT_FALSE(decode_offset(bytes("0005000000000000002a00000005026d0000018bcfe5680000"), false));
  EXPECT_FALSE(decode_offset(bytes("0003000000000000002a000000050001"), false));
}

TEST(OffsetsFormat, NullAndEmptyMetadataStayApart) {
  for (std::optional<std::string> metadata :
       {std::optional<std::string>(), std::optional<std::string>("")}) {
    const OffsetValue value{Offset(1), Epoch(0), metadata, kTime, -1};
    const Record record = encode_offset(OffsetKey{"g", {"t", 0}}, value);
    EXPECT_EQ(hex(*record.value),
              "0003000000000000000100000000"
              "0000"
              "0000018bcfe56800");
    EXPECT_EQ(decode_offset(*record.value, record.null_metadata)->metadata, metadata);
  }
}

TEST(OffsetsFormat, AGroupIsVersion3) {
  const Record record = encode_group("g", sample());
  EXPECT_EQ(hex(*record.value),
            "0003"
            "0008636f6e73756d6572"
            "00000003"
            "000572616e6765"
            "00036d2d31"
            "0000018bcfe56800"
            "00000001"
            "00036d2d31"
            "ffff"
            "000163"
            "00093132372e302e302e31"
            "000493e0"
            "0000afc8"
            "000000020102"
            "00000001ff");
  EXPECT_EQ(decode_group(*record.value), sample());
}

TEST(OffsetsFormat, OlderAndNewerGroupsAreRead) {
  GroupRecord oldest = sample();
  oldest.state_since_ms = -1;
  oldest.members[0].rebalance_timeout_ms = 45'000;
  EXPECT_EQ(decode_group(bytes("0000"
                               "0008636f6e73756d6572"
                               "00000003"
                               "000572616e6765"
                               "00036d2d31"
                               "00000001"
                               "00036d2d31"
                               "000163"
                               "00093132372e302e302e31"
                               "0000afc8"
                               "000000020102"
                               "00000001ff")),
            oldest);
  EXPECT_EQ(decode_group(bytes("0004"
                               "09636f6e73756d6572"
                               "00000003"
                               "0672616e6765"
                               "046d2d31"
                               "0000018bcfe56800"
                               "02"
                               "046d2d31"
                               "00"
                               "0263"
                               "0a3132372e302e302e31"
                               "000493e0"
                               "0000afc8"
                               "030102"
                               "02ff"
                               "00"
                               "00")),
            sample());
}

TEST(OffsetsFormat, EveryCutOfAGroupIsRefused) {
  const std::string whole = *encode_group("g", sample()).value;
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(decode_group(whole.substr(0, size))) << size;
  EXPECT_FALSE(decode_group(whole + "x"));
  // A count that the bytes cannot hold.
  EXPECT_FALSE(decode_group(bytes("0003000161000000010001610001610000018bcfe568007fffffff")));
}

TEST(Subscription, TopicsAreReadAndOtherBytesAreNot) {
  EXPECT_EQ(parse_subscribed_topics(bytes("00010000000200016100026263ffffffff")),
            (std::set<std::string>{"a", "bc"}));
  EXPECT_FALSE(parse_subscribed_topics(""));
  EXPECT_FALSE(parse_subscribed_topics(bytes("00017fffffff000161")));
  EXPECT_FALSE(parse_subscribed_topics(bytes("000100000001ffff")));
}

TEST(Image, ASnapshotHoldsExactlyWhatIsBelowItsEnd) {
  // Every prefix of a history with overwrites and deletions, asked for when the image is at its
  // end.
  std::vector<Record> history;
  auto offset = [](int at, int partition) {
    return encode_offset(OffsetKey{"g", {"t", partition}},
                         OffsetValue{Offset(at), Epoch(0), std::nullopt, kTime, -1});
  };
  history.push_back(offset(1, 0));
  history.push_back(encode_group("g", sample()));
  history.push_back(offset(2, 0));
  history.push_back(offset(3, 1));
  history.push_back(Record{encode_key(OffsetKey{"g", {"t", 0}}), std::nullopt});
  history.push_back(Record{encode_key(GroupKey{"g"}), std::nullopt});
  history.push_back(offset(4, 0));
  history.push_back(Record{"junk", "junk"});
  history.push_back(encode_group("h", sample()));
  Image whole;
  for (size_t i = 0; i < history.size(); ++i)
    whole.apply(history[i], Offset(static_cast<int64_t>(i)));
  for (size_t end = 0; end <= history.size(); ++end) {
    Image prefix;
    for (size_t i = 0; i < end; ++i) prefix.apply(history[i], Offset(static_cast<int64_t>(i)));
    Image restored;
    ASSERT_TRUE(restored.restore(whole.snapshot(Offset(static_cast<int64_t>(end)))));
    EXPECT_EQ(restored.groups(), prefix.groups()) << end;
  }
}

TEST(Image, ASnapshotOfSomebodyElseIsRefused) {
  Image image;
  EXPECT_FALSE(image.restore("\x02"));
  EXPECT_FALSE(image.restore(std::string("\x01\x05", 2)));
  EXPECT_TRUE(image.restore(""));
  EXPECT_TRUE(image.groups().empty());
}

}  // namespace
}  // namespace paceline::group
