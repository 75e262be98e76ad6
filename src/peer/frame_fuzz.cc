#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "peer/frame.h"

// Arbitrary bytes as a header, and as a body of every kind. What decodes is written as it was read.

namespace paceline::peer {
namespace {

template <class T>
void again(const Result<T>& read, Bytes body) {
  if (!read) {
    CHECK(read.error().code == Code::corrupt);
    return;
  }
  std::string frame;
  if constexpr (requires { encode_frame(*read); }) {
    frame = encode_frame(*read);
  } else if constexpr (requires { encode_frame(7, *read); }) {
    frame = encode_frame(7, *read);
  } else {
    frame = encode_unserved(7, read->words);
  }
  // A varint may be longer than it need be; everything else has one form.
  if constexpr (!requires { read->words; })
    CHECK(std::ranges::equal(as_bytes(frame).subspan(kFrameHeaderBytes), body));
  const auto header = decode_frame_header(as_bytes(frame).first(kFrameHeaderBytes), 1000);
  CHECK(header && check_body(*header, as_bytes(frame).subspan(kFrameHeaderBytes)));
}

}  // namespace
}  // namespace paceline::peer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace paceline;
  using namespace paceline::peer;
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  again(decode_hello(input), input);
  again(decode_welcome(input), input);
  again(decode_refusal(input), input);
  again(decode_question(input), input);
  again(decode_hearsay(input), input);
  again(decode_ended(input), input);
  again(decode_words(input), input);
  if (size < kFrameHeaderBytes) return 0;
  const auto header = decode_frame_header(input.first(kFrameHeaderBytes), 1 << 20);
  if (!header) return 0;
  const Bytes rest = input.subspan(kFrameHeaderBytes);
  if (rest.size() >= header->body_bytes) (void)check_body(*header, rest.first(header->body_bytes));
  return 0;
}
