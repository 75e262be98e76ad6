#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paceline::env {

// A socket address of either family.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  uint16_t port() const;
  std::string host() const;       // "1.2.3.4", "::1"
  std::string to_string() const;  // "1.2.3.4:5", "[::1]:5"
};

struct HostPort {
  std::string host;
  uint16_t port = 0;
};
// "host:port", "[v6]:port" or ":port". invalid_argument: what is wrong with it.
Result<HostPort> parse_host_port(std::string_view text);

// Numbers and names; names may block for as long as the resolver likes. An empty host is every
// address of this machine. invalid_argument: no such host; unavailable: the resolver failed.
Result<std::vector<Address>> resolve(const std::string& host, uint16_t port);
// Only if `host` is written in numbers: never blocks.
Result<std::vector<Address>> resolve_number(const std::string& host, uint16_t port);

}  // namespace paceline::env
