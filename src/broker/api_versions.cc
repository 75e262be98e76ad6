#include "protocol/gen/api_versions.h"

#include "broker/api.h"
#include "broker/errors.h"
#include "protocol/gen/api.h"

namespace paceline::broker {
namespace {

// Letters, digits, and dots and hyphens inside (KIP-511).
bool valid_software(std::string_view name) {
  auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (name.empty() || !alphanumeric(name.front()) || !alphanumeric(name.back())) return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return alphanumeric(c) || c == '-' || c == '.'; });
}

}  // namespace

Task<Reply> handle_api_versions(Request& request) {
  protocol::ApiVersionsResponse response;
  const protocol::Api& self = *protocol::find_api(request.api_key);
  if (request.version < self.version_min || request.version > self.version_max) {
    // The body cannot be read. The answer is one that every client can: version 0, with the range.
    response.error_code = wire(KafkaError::unsupported_version);
    request.complain(KafkaError::unsupported_version);
    response.api_keys.push_back({request.api_key, self.version_advertised, self.version_max});
    Request oldest = request;
    oldest.version = 0;
    co_return reply_with(oldest, response);
  }
  PACELINE_DECODE(ApiVersionsRequest, message);
  if (request.version >= 3 && (!valid_software(message.client_software_name) ||
                               !valid_software(message.client_software_version))) {
    response.error_code = wire(KafkaError::invalid_request);
    request.complain(KafkaError::invalid_request, "the client's software has no legal name");
  }
  for (const protocol::Api& api : protocol::kApis) {
    if (!api.served) continue;
    response.api_keys.push_back(
        {static_cast<int16_t>(api.key), api.version_advertised, api.version_max});
  }
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
