#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "env/shard.h"

namespace paceline::env {

// A connected byte stream, owned by one shard. At most one read and one write are in flight at a
// time. close() ends both with Code::closed, now or later in this turn; it is safe to call twice.
// The destructor closes.
class Socket {
 public:
  virtual ~Socket() = default;
  // At least one byte, or an error: closed at the end of the stream, io_error otherwise.
  virtual Task<Result<size_t>> read_some(MutableBytes into) = 0;
  // Writes all pieces, in order; they are kept alive by the call.
  virtual Task<Result<void>> write(std::span<const Slice> pieces) = 0;
  virtual void close() = 0;
  virtual std::string peer() const = 0;  // "host:port"
};

class Listener {
 public:
  virtual ~Listener() = default;
  // The next connection, already owned by `owner` (any shard of this process). closed after
  // close().
  virtual Task<Result<std::unique_ptr<Socket>>> accept(Shard& owner) = 0;
  virtual void close() = 0;
  virtual uint16_t port() const = 0;  // the real one when 0 was asked for
};

class Network {
 public:
  virtual ~Network() = default;
  // in_use when the port is taken; permission_denied, invalid_argument (unknown host).
  virtual Result<std::unique_ptr<Listener>> listen(const std::string& host, uint16_t port) = 0;
  // unavailable: refused, the host answers that nobody listens there. timed_out at the deadline,
  // io_error (unreachable, or a lack of our own), invalid_argument (unknown host).
  virtual Task<Result<std::unique_ptr<Socket>>> connect(const std::string& host, uint16_t port,
                                                        Instant deadline) = 0;
  // The addresses of `host` in numbers, so that a later connect() asks nobody. Errors of names as
  // connect() gives them.
  virtual Task<Result<std::vector<std::string>>> look_up(const std::string& host) = 0;
};

}  // namespace paceline::env
