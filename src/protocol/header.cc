#include "protocol/header.h"

#include "protocol/sink.h"

namespace paceline::protocol {
namespace {

bool response_has_tags(int16_t api_key, int16_t api_version) {
  return api_key != static_cast<int16_t>(ApiKey::api_versions) && is_flexible(api_key, api_version);
}

}  // namespace

bool is_flexible(int16_t api_key, int16_t api_version) {
  const Api* api = find_api(api_key);
  return api && api_version >= api->flexible_min;
}

Result<RequestHeader> decode_request_header(Cursor& in) {
  RequestHeader header;
  in.read(header.api_key);
  in.read(header.api_version);
  in.read(header.correlation_id);
  in.text(false, header.client_id);
  if (is_flexible(header.api_key, header.api_version)) in.skip_tags();
  if (!in.ok()) return bad_bytes("RequestHeader", header.api_version, in.why());
  return header;
}

void encode_request_header(const RequestHeader& header, Output& out) {
  Writer writer(out);
  writer.num(header.api_key);
  writer.num(header.api_version);
  writer.num(header.correlation_id);
  if (header.client_id) {
    put_text(writer, false, *header.client_id);
  } else {
    put_null_text(writer, false);
  }
  if (is_flexible(header.api_key, header.api_version)) writer.uvarint(0);
}

void encode_response_header(int16_t api_key, int16_t api_version, int32_t correlation_id,
                            Output& out) {
  Writer writer(out);
  writer.num(correlation_id);
  if (response_has_tags(api_key, api_version)) writer.uvarint(0);
}

Result<int32_t> decode_response_header(int16_t api_key, int16_t api_version, Cursor& in) {
  const auto correlation_id = in.num<int32_t>();
  if (response_has_tags(api_key, api_version)) in.skip_tags();
  if (!in.ok()) return bad_bytes("ResponseHeader", api_version, in.why());
  return correlation_id;
}

void start_frame(Output& out) {
  CHECK(out.size() == 0);
  out.put(uint32_t{0});
}

std::vector<Slice> finish_frame(Output& out) {
  CHECK(out.size() - sizeof(uint32_t) <= INT32_MAX);
  out.patch_front_u32(static_cast<uint32_t>(out.size() - sizeof(uint32_t)));
  return out.take();
}

}  // namespace paceline::protocol
