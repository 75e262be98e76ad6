#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/cursor.h"
#include "protocol/gen/api.h"
#include "protocol/output.h"

// What stands in front of every message: a 32-bit length that does not count itself, then a header,
// then the body. Flexible versions add a tag buffer to both headers; client_id keeps its old
// encoding, and an ApiVersions response never has tags, because a client reads it before it knows
// which versions the broker speaks.
namespace paceline::protocol {

struct RequestHeader {
  int16_t api_key = 0;
  int16_t api_version = 0;
  int32_t correlation_id = 0;
  std::optional<std::string_view> client_id;  // a view into the request
};

// True if this version of this API is flexible; false for a key that is none of ours.
bool is_flexible(int16_t api_key, int16_t api_version);

// Reads the header and leaves `in` at the body. Keys and versions that nobody serves are no error
// here: the caller must answer them (ApiVersions) or close. For an unknown key the body's place is
// not known, so nothing after the header may be read.
Result<RequestHeader> decode_request_header(Cursor& in);
void encode_request_header(const RequestHeader& header, Output& out);

void encode_response_header(int16_t api_key, int16_t api_version, int32_t correlation_id,
                            Output& out);
// Returns the correlation id and leaves `in` at the body.
Result<int32_t> decode_response_header(int16_t api_key, int16_t api_version, Cursor& in);

// The two ends of a frame: start_frame leaves room for the length, finish_frame fills it in and
// takes the whole frame. REQUIRES: start_frame was the first write to `out`.
void start_frame(Output& out);
std::vector<Slice> finish_frame(Output& out);

// A whole frame, ready for the socket. Fails like encode().
template <class Response>
Result<std::vector<Slice>> response_frame(int16_t version, int32_t correlation_id,
                                          const Response& response) {
  Output out;
  start_frame(out);
  encode_response_header(Response::kApiKey, version, correlation_id, out);
  TRY_VOID(response.encode(version, out));
  return finish_frame(out);
}

template <class Request>
Result<std::vector<Slice>> request_frame(int16_t version, int32_t correlation_id,
                                         std::optional<std::string_view> client_id,
                                         const Request& request) {
  Output out;
  start_frame(out);
  RequestHeader header{Request::kApiKey, version, correlation_id, client_id};
  encode_request_header(header, out);
  TRY_VOID(request.encode(version, out));
  return finish_frame(out);
}

}  // namespace paceline::protocol
