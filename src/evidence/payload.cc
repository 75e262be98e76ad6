#include <fmt/format.h>

#include <array>
#include <charconv>

#include "base/crc32c.h"
#include "evidence/ledger.h"

namespace paceline::evidence {
namespace {

constexpr char kPadding = '.';

template <class Number>
bool read(std::string_view text, Number& to, int base = 10) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, to, base);
  return !text.empty() && parsed.ec == std::errc{} && parsed.ptr == end;
}

}  // namespace

std::string encode_payload(const Payload& payload, size_t bytes) {
  std::string text =
      fmt::format("{}|{}|{}|{}|{}|{}|{}", payload.run_id, payload.client, payload.partition,
                  payload.seq, payload.key, payload.amount, payload.intended_ns);
  text += fmt::format("|{:08x}|", crc32c(as_bytes(text)));
  if (text.size() < bytes) text.resize(bytes, kPadding);
  return text;
}

Result<Payload> decode_payload(std::string_view value) {
  constexpr size_t kFields = 8;
  std::array<std::string_view, kFields> fields;
  size_t at = 0;
  size_t checked = 0;  // the end of what the checksum covers
  for (std::string_view& field : fields) {
    const size_t bar = value.find('|', at);
    if (bar == std::string_view::npos)
      return fail(Code::corrupt, "a record that is not of a drill");
    field = value.substr(at, bar - at);
    checked = at == 0 ? 0 : at - 1;
    at = bar + 1;
  }
  Payload payload;
  payload.run_id = fields[0];
  uint32_t crc = 0;
  if (!read(fields[1], payload.client) || !read(fields[2], payload.partition) ||
      !read(fields[3], payload.seq) || !read(fields[4], payload.key) ||
      !read(fields[5], payload.amount) || !read(fields[6], payload.intended_ns) ||
      !read(fields[7], crc, 16))
    return fail(Code::corrupt, "a record that is not of a drill");
  if (crc != crc32c(as_bytes(value.substr(0, checked))))
    return fail(Code::corrupt, "a record whose checksum is wrong");
  return payload;
}

}  // namespace paceline::evidence
