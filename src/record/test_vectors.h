#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

// Batches as other people's clients put them on the wire, for tests.

namespace paceline::record {

inline MutableBytes writable(std::string& bytes) {
  return {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()};
}

inline std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return out;
}

// kafka-python 2.0.2: k1=v1 with headers h=x and n=null; null="value " eight times, 5 ms later;
// k3=null, 2 ms later. The first from producer 4711, epoch 3, sequence 9.
inline constexpr std::string_view kKafkaPythonPlain =
    "0000000000000000000000830000000002154e7f800000000000020000018bcfe568000000018bcfe5680500"
    "000000000012670003000000090000000322000000046b310476310402680278026e016c000a02016076616c"
    "75652076616c75652076616c75652076616c75652076616c75652076616c75652076616c75652076616c7565"
    "200010000404046b330100";
inline constexpr std::string_view kKafkaPythonGzip =
    "00000000000000000000006f0000000002916234110001000000020000018bcfe568000000018bcfe56805ff"
    "ffffffffffffffffffffffffff000000031f8b08009b1c046b02ff5362606060c9366429336461ca60aa60ca"
    "63cc61e062624c284bcc294d55209e641060606161c9366664000004856f1f52000000";

// librdkafka 2.0.2: key0="paceline " twenty times with header h=x; null=the same, 5 ms later;
// key2=null, 10 ms later. That of zstd from producer 4711, epoch 0, sequence 0.
inline constexpr std::string_view kLibrdkafkaGzip =
    "000000000000000000000075000000000203920c1e0001000000020000018bcfe568000000018bcfe5680aff"
    "ffffffffffffffffffffffffff000000031f8b08000000000000036b63666060e0c84ead3478c15490989c9a"
    "939997aa3084184c4c194c15df9818b8981887a6071844184458401160c4c80000a824daa08d010000";
inline constexpr std::string_view kLibrdkafkaSnappy =
    "0000000000000000000000740000000002a642c83c0002000000020000018bcfe568000000018bcfe5680aff"
    "ffffffffffffffffffffffffff000000038d03508603000000086b657930e802706163656c696e6520fe0900"
    "fe0900aa0900280202680278f602000a0201fec100fec100d6c1002c0014001404086b6579320100";
inline constexpr std::string_view kLibrdkafkaLz4 =
    "0000000000000000000000760000000002101493fb0003000000020000018bcfe568000000018bcfe5680aff"
    "ffffffffffffffffffffffffff0000000304224d1860408236000000ff068603000000086b657930e8027061"
    "63656c696e6520090098bf0202680278f602000a0201c100a3c00014001404086b657932010000000000";
inline constexpr std::string_view kLibrdkafkaZstd =
    "000000000000000000000072000000000209d2ab080004000000020000018bcfe568000000018bcfe5680a00"
    "000000000012670000000000000000000328b52ffd0058c50100c4028603000000086b657930e80270616365"
    "6c696e65200202680278f602000a02010014001404086b6579320100020033a2a17c14a9c204";

}  // namespace paceline::record
