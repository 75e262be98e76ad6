#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

// Every message behind one face that does not depend on its type, generated for tests, fuzzers and
// the dump program. Not linked into the broker.
namespace paceline::protocol {

enum class Kind { request, response, data };

// What the fields of a sample hold: the schema's defaults; values far from them, with two elements
// in every array; or null wherever the version permits it and maximal values elsewhere.
enum class Fill { defaults, maximal, nulls };

struct Sample {
  std::string bytes;   // encode()
  size_t size = 0;     // size()
  bool equal = false;  // decode(bytes) is what was encoded
};

struct Seen {
  std::string text;     // the fields that the version has, in schema order, as JSON
  std::string bytes;    // encoded again
  bool stable = false;  // decoding those gives the same message
};

struct Probe {
  std::string_view name;
  Kind kind;
  int16_t api_key;  // -1 for data
  int16_t version_min;
  int16_t version_max;
  int16_t flexible_min;
  Result<Sample> (*sample)(int16_t version, Fill fill);
  Result<Seen> (*look)(int16_t version, Bytes bytes);
};

std::vector<Probe> probes();

}  // namespace paceline::protocol
