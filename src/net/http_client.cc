#include "net/http_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace paceline::net {
namespace {

std::unexpected<Error> corrupt(std::string why) {
  return fail(Code::corrupt, "no HTTP answer: " + std::move(why));
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<uint64_t> number(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string encode(const HttpRequest& request, const std::string& host, uint16_t port) {
  std::string out = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.target);
  if (!request.headers.contains("host")) out += fmt::format("host: {}:{}\r\n", host, port);
  for (const auto& [name, value] : request.headers) out += fmt::format("{}: {}\r\n", name, value);
  out += fmt::format("content-length: {}\r\nconnection: close\r\n\r\n", request.body.size());
  return out + request.body;
}

// A line of the request cannot smuggle another one in.
bool one_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos;
}

Result<void> check(const HttpRequest& request) {
  bool good = !request.method.empty() && !request.target.empty() && one_line(request.method) &&
              one_line(request.target) && request.target.find(' ') == std::string::npos;
  for (const auto& [name, value] : request.headers)
    good &= !name.empty() && one_line(name) && one_line(value);
  if (!good) return fail(Code::invalid_argument, "a request line or header that cannot be sent");
  return {};
}

}  // namespace

Result<bool> HttpAnswerParser::add(std::string_view bytes) {
  received_.erase(0, std::exchange(at_, 0));
  received_ += bytes;
  for (;;) {
    if (state_ == State::done) return true;
    TRY(const bool moved, step());
    if (!moved) return false;
  }
}

Result<void> HttpAnswerParser::end() {
  if (state_ == State::until_end) state_ = State::done;
  if (state_ != State::done) return corrupt("it ends too early");
  return {};
}

// Without its end; false while it is not whole.
bool HttpAnswerParser::next_line(std::string_view& line) {
  const std::string_view rest = std::string_view(received_).substr(at_);
  const size_t end = rest.find("\r\n");
  if (end == std::string_view::npos) return false;
  line = rest.substr(0, end);
  at_ += end + 2;
  return true;
}

Result<void> HttpAnswerParser::append(size_t count) {
  if (answer_.body.size() + count > kHttpAnswerBytesMax)
    return fail(Code::too_large, fmt::format("the answer is over {} bytes", kHttpAnswerBytesMax));
  answer_.body.append(received_, at_, count);
  at_ += count;
  return {};
}

Result<bool> HttpAnswerParser::step() {
  const size_t rest = received_.size() - at_;
  std::string_view line;
  switch (state_) {
    case State::head: {
      const std::string_view text = std::string_view(received_).substr(at_);
      const size_t end = text.find("\r\n\r\n");
      // An end that has only half come must not count, or the cut of the pieces would decide.
      if (end == text.npos ? text.size() > kHttpHeaderBytesMax + 3 : end > kHttpHeaderBytesMax)
        return corrupt("its header is too long");
      if (end == std::string_view::npos) return false;
      TRY_VOID(read_head(text.substr(0, end)));
      at_ += end + 4;
      return true;
    }
    case State::body:
    case State::chunk: {
      const size_t count = std::min<uint64_t>(left_, rest);
      TRY_VOID(append(count));
      left_ -= count;
      if (left_ > 0) return false;
      state_ = state_ == State::body ? State::done : State::chunk_end;
      return true;
    }
    case State::until_end:
      TRY_VOID(append(rest));
      return false;
    case State::chunk_end:
      if (rest < 2) return false;
      if (!next_line(line) || !line.empty()) return corrupt("a chunk is longer than it says");
      state_ = State::chunk_size;
      return true;
    case State::chunk_size: {
      if (!next_line(line))
        return rest > kHttpHeaderBytesMax ? Result<bool>(corrupt("a chunk has no size")) : false;
      const auto size = number(trim(line.substr(0, line.find(';'))), 16);
      if (!size) return corrupt("a chunk has no size");
      if (line.size() > kHttpHeaderBytesMax) return corrupt("a chunk has no size");
      left_ = *size;
      state_ = *size == 0 ? State::trailer : State::chunk;
      return true;
    }
    case State::trailer: {
      const bool whole = next_line(line);
      trailer_bytes_ += whole ? line.size() + 2 : 0;
      if (trailer_bytes_ + (whole ? 0 : rest) > kHttpHeaderBytesMax)
        return corrupt("its trailer is too long");
      if (whole && line.empty()) state_ = State::done;
      return whole;
    }
    case State::done:
      break;
  }
  return false;
}

Result<void> HttpAnswerParser::read_head(std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const auto status = line.size() >= 12 ? number(line.substr(9, 3), 10) : std::nullopt;
  if (!line.starts_with("HTTP/1.") || !status || *status < 100)
    return corrupt("it has no status line");
  answer_ = {};
  answer_.status = static_cast<int>(*status);
  for (size_t at = line.size(); at < head.size();) {
    at += 2;
    const std::string_view field = head.substr(at, head.find("\r\n", at) - at);
    const size_t colon = field.find(':');
    if (colon == std::string_view::npos || colon == 0) return corrupt("a header has no name");
    answer_.headers[lower(field.substr(0, colon))] = std::string(trim(field.substr(colon + 1)));
    at += field.size();
  }
  return read_length();
}

Result<void> HttpAnswerParser::read_length() {
  const auto& headers = answer_.headers;
  if (answer_.status < 200) {
    state_ = State::head;  // interim: the real answer follows
  } else if (head_ || answer_.status == 204 || answer_.status == 304) {
    state_ = State::done;
  } else if (const auto coding = headers.find("transfer-encoding"); coding != headers.end()) {
    if (lower(coding->second) != "chunked") return corrupt("a coding other than chunked");
    state_ = State::chunk_size;
  } else if (const auto length = headers.find("content-length"); length != headers.end()) {
    const auto count = number(length->second, 10);
    if (!count) return corrupt("its length is no number");
    if (*count > kHttpAnswerBytesMax)
      return fail(Code::too_large,
                  fmt::format("the answer has {} bytes, over {}", *count, kHttpAnswerBytesMax));
    left_ = *count;
    state_ = State::body;
  } else {
    state_ = State::until_end;
  }
  return {};
}

namespace {

Task<Result<HttpAnswer>> exchange(env::Socket& socket, std::string request, bool head) {
  const Slice bytes = Slice::copy_of(as_bytes(request));
  CO_TRY_VOID(co_await socket.write(std::span(&bytes, 1)));
  HttpAnswerParser parser(head);
  std::string piece(64 << 10, '\0');
  for (;;) {
    const MutableBytes into(reinterpret_cast<std::byte*>(piece.data()), piece.size());
    auto count = co_await socket.read_some(into);
    if (!count) {
      if (count.error().code != Code::closed) co_return fail(std::move(count).error());
      CO_TRY_VOID(parser.end());
      co_return parser.take();
    }
    CO_TRY(const bool whole, parser.add(std::string_view(piece).substr(0, *count)));
    if (whole) co_return parser.take();
  }
}

}  // namespace

Task<Result<HttpAnswer>> http_request(env::Shard& shard, std::string host, uint16_t port,
                                      HttpRequest request, env::Instant deadline) {
  CO_TRY_VOID(check(request));
  CO_TRY(auto socket, co_await shard.network().connect(host, port, deadline));
  env::Socket& open = *socket;
  bool late = false;
  const auto timer = shard.run_at(deadline, [&open, &late] {
    late = true;
    open.close();
  });
  auto answer = co_await exchange(open, encode(request, host, port), request.method == "HEAD");
  shard.cancel_timer(timer);
  if (late)
    co_return fail(Code::timed_out, fmt::format("{}:{} did not answer in time", host, port));
  co_return answer;
}

}  // namespace paceline::net
