#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// HTTP/1.1 as bytes: heads, and where bodies end. Pure.
namespace paceline::proxy {

constexpr size_t kHeadBytesMax = 64 << 10;

// Where a body ends. Feed it what comes behind the head.
class Body {
 public:
  enum class Kind { none, length, chunked, until_close };

  Body() = default;
  Body(Kind kind, uint64_t length) : kind_(kind), left_(length) {}

  // How many of these bytes belong to the body.
  size_t take(std::string_view bytes);
  bool done() const;
  bool bad() const { return bad_; }  // chunks that cannot be read
  Kind kind() const { return kind_; }
  // Without the sizes of chunks.
  uint64_t payload() const { return payload_; }

 private:
  enum class Chunk { size, data, behind, trailer, end };

  size_t take_chunked(std::string_view bytes);
  void end_of_line();

  Kind kind_ = Kind::none;
  uint64_t left_ = 0;  // of the length, or of the chunk
  uint64_t payload_ = 0;
  Chunk chunk_ = Chunk::size;
  std::string line_;
  bool bad_ = false;
};

struct Request {
  std::string method;
  std::string target;  // as it was sent
  size_t head_bytes = 0;
  Body body;
  uint64_t length = 0;  // of a body with Content-Length
  bool if_none_match = false;
  bool close = false;
};

struct Response {
  int status = 0;
  size_t head_bytes = 0;
  Body body{};
  uint64_t length = 0;
  bool close = false;
};

enum class Parsed { incomplete, bad, complete };
Parsed parse(std::string_view text, Request& request);
// `method` is the request's: an answer to HEAD has no body.
Parsed parse(std::string_view text, std::string_view method, Response& response);

// A request of S3: which one it is, and of what. The key begins behind the bucket (path style).
struct Asked {
  std::string
      kind;  // put, put_if_absent, get, head, list, delete, delete_many, multipart, part, other
  std::string key;
};
Asked asked_of(const Request& request);

}  // namespace paceline::proxy
