#include "message.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

namespace paceline::proxy {
namespace {

constexpr size_t kLineBytesMax = 4096;

bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <class Number>
std::optional<Number> number_of(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

// What both heads have in common.
struct Fields {
  std::string_view first_line;
  size_t head_bytes = 0;
  std::optional<uint64_t> length;
  bool chunked = false;
  bool close = false;
  bool if_none_match = false;
};

Parsed fields_of(std::string_view text, Fields& fields) {
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos)
    return text.size() < kHeadBytesMax ? Parsed::incomplete : Parsed::bad;
  fields.head_bytes = end + 4;
  std::string_view head = text.substr(0, end + 2);
  for (bool first = true; !head.empty(); first = false) {
    const size_t line_end = head.find("\r\n");
    const std::string_view line = head.substr(0, line_end);
    head.remove_prefix(line_end + 2);
    // Another reader would end a line here, and see other fields.
    if (line.find_first_of("\r\n") != std::string_view::npos) return Parsed::bad;
    if (first) {
      fields.first_line = line;
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return Parsed::bad;
    const std::string_view name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
    if (same(name, "content-length")) {
      fields.length = number_of<uint64_t>(value);
      if (!fields.length) return Parsed::bad;
    }
    if (same(name, "transfer-encoding")) fields.chunked = same(value, "chunked");
    if (same(name, "connection")) fields.close = same(value, "close");
    if (same(name, "if-none-match")) fields.if_none_match = true;
  }
  return Parsed::complete;
}

bool has(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    if (one.substr(0, one.find('=')) == name) return true;
    query.remove_prefix(std::min(query.size(), one.size() + 1));
  }
  return false;
}

}  // namespace

size_t Body::take(std::string_view bytes) {
  if (kind_ == Kind::none) return 0;
  if (kind_ == Kind::chunked) return take_chunked(bytes);
  const size_t taken =
      kind_ == Kind::length ? std::min<uint64_t>(left_, bytes.size()) : bytes.size();
  if (kind_ == Kind::length) left_ -= taken;
  payload_ += taken;
  return taken;
}

size_t Body::take_chunked(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size() && chunk_ != Chunk::end && !bad_) {
    if (chunk_ == Chunk::data) {
      const size_t taken = std::min<uint64_t>(left_, bytes.size() - at);
      at += taken;
      left_ -= taken;
      payload_ += taken;
      if (left_ == 0) chunk_ = Chunk::behind;
      continue;
    }
    const char c = bytes[at++];
    line_ += c;
    if (c == '\n') end_of_line();
    if (line_.size() > kLineBytesMax) bad_ = true;
  }
  return at;
}

void Body::end_of_line() {
  std::string_view line = line_;
  line.remove_suffix(line.ends_with("\r\n") ? 2 : 1);
  if (chunk_ == Chunk::size) {
    const auto size = number_of<uint64_t>(trimmed(line.substr(0, line.find(';'))), 16);
    if (!size) bad_ = true;
    left_ = size.value_or(0);
    chunk_ = left_ ? Chunk::data : Chunk::trailer;
  } else if (chunk_ == Chunk::behind) {
    if (!line.empty()) bad_ = true;
    chunk_ = Chunk::size;
  } else if (line.empty()) {
    chunk_ = Chunk::end;
  }
  line_.clear();
}

bool Body::done() const {
  switch (kind_) {
    case Kind::none:
      return true;
    case Kind::length:
      return left_ == 0;
    case Kind::chunked:
      return chunk_ == Chunk::end;
    case Kind::until_close:
      return false;
  }
  return true;
}

Parsed parse(std::string_view text, Request& request) {
  Fields fields;
  if (const Parsed parsed = fields_of(text, fields); parsed != Parsed::complete) return parsed;
  const size_t first = fields.first_line.find(' '), last = fields.first_line.rfind(' ');
  if (first == std::string_view::npos || first == last) return Parsed::bad;
  request.method = fields.first_line.substr(0, first);
  request.target = fields.first_line.substr(first + 1, last - first - 1);
  request.head_bytes = fields.head_bytes;
  request.length = fields.length.value_or(0);
  request.if_none_match = fields.if_none_match;
  request.close = fields.close;
  request.body = fields.chunked       ? Body(Body::Kind::chunked, 0)
                 : request.length > 0 ? Body(Body::Kind::length, request.length)
                                      : Body();
  return Parsed::complete;
}

Parsed parse(std::string_view text, std::string_view method, Response& response) {
  Fields fields;
  if (const Parsed parsed = fields_of(text, fields); parsed != Parsed::complete) return parsed;
  if (!fields.first_line.starts_with("HTTP/1.") || fields.first_line.size() < 12)
    return Parsed::bad;
  const auto status = number_of<int>(fields.first_line.substr(9, 3));
  if (!status) return Parsed::bad;
  response.status = *status;
  response.head_bytes = fields.head_bytes;
  response.length = fields.length.value_or(0);
  response.close = fields.close;
  const bool bodiless = method == "HEAD" || *status < 200 || *status == 204 || *status == 304;
  response.body = bodiless         ? Body()
                  : fields.chunked ? Body(Body::Kind::chunked, 0)
                  : !fields.length ? Body(Body::Kind::until_close, 0)
                  : *fields.length ? Body(Body::Kind::length, *fields.length)
                                   : Body();
  return Parsed::complete;
}

Asked asked_of(const Request& request) {
  Asked asked;
  const std::string_view target = request.target;
  const std::string_view path = target.substr(0, target.find('?'));
  const std::string_view query = path.size() < target.size() ? target.substr(path.size() + 1) : "";
  const size_t slash = path.find('/', 1);
  if (slash != std::string_view::npos) asked.key = path.substr(slash + 1);
  const std::string_view method = request.method;
  if (asked.key.empty()) {
    asked.kind = has(query, "list-type")                    ? "list"
                 : method == "POST" && has(query, "delete") ? "delete_many"
                                                            : "other";
    // A list is of what its prefix names.
    if (const size_t at = query.find("prefix=");
        asked.kind == "list" && at != std::string_view::npos) {
      const std::string_view prefix = query.substr(at + 7);
      asked.key = prefix.substr(0, prefix.find('&'));
      for (size_t escaped; (escaped = asked.key.find("%2F")) != std::string::npos;)
        asked.key.replace(escaped, 3, "/");
    }
    return asked;
  }
  if (has(query, "uploads") || (has(query, "uploadId") && method != "PUT")) {
    asked.kind = "multipart";
  } else if (has(query, "uploadId")) {
    asked.kind = "part";
  } else if (method == "PUT") {
    asked.kind = request.if_none_match ? "put_if_absent" : "put";
  } else if (method == "GET" || method == "HEAD" || method == "DELETE") {
    asked.kind = method == "GET" ? "get" : method == "HEAD" ? "head" : "delete";
  } else {
    asked.kind = "other";
  }
  return asked;
}

}  // namespace paceline::proxy
