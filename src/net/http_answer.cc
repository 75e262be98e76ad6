#include "net/http_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/http.h"
#include "net/http_text.h"

namespace paceline::net {
namespace {

std::unexpected<Error> corrupt(std::string why) {
  return fail(Code::corrupt, "no HTTP answer: " + std::move(why));
}

std::unexpected<Error> too_large(uint64_t bytes_max) {
  return fail(Code::too_large, fmt::format("the answer is over {} bytes", bytes_max));
}

}  // namespace

std::string_view HttpAnswer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

void HttpAnswerParser::expect(bool head, uint64_t body_bytes_max) {
  head_ = head;
  body_bytes_max_ = body_bytes_max;
  state_ = State::head;
  begun_ = false;
  keep_alive_ = false;
  received_.clear();
  at_ = 0;
  left_ = 0;
  trailer_bytes_ = 0;
  body_ = {};
  body_bytes_ = 0;
  answer_ = {};
}

MutableBytes HttpAnswerParser::space() {
  if (state_ == State::body && at_ == received_.size())
    return body_.writable().subspan(body_bytes_, left_);
  return scratch_;
}

Result<bool> HttpAnswerParser::filled(size_t count) {
  if (state_ == State::body && at_ == received_.size()) {
    body_bytes_ += count;
    left_ -= count;
    if (left_ == 0) state_ = State::done;
    return advance();
  }
  return add(as_text(Bytes(scratch_).first(count)));
}

Result<bool> HttpAnswerParser::add(std::string_view bytes) {
  if (state_ == State::idle) return corrupt("nothing was asked");
  begun_ = begun_ || !bytes.empty();
  received_.erase(0, std::exchange(at_, 0));
  received_ += bytes;
  return advance();
}

Result<bool> HttpAnswerParser::advance() {
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

HttpAnswer HttpAnswerParser::take() {
  answer_.body = Slice(body_, body_.bytes().first(body_bytes_));
  body_ = {};
  state_ = State::idle;
  return std::move(answer_);
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

// The next `count` of what was received belong to the body.
Result<void> HttpAnswerParser::append(size_t count) {
  if (count > body_bytes_max_ - body_bytes_) return too_large(body_bytes_max_);
  if (body_bytes_ + count > body_.size()) {
    Buffer larger = Buffer::allocate(std::max(body_bytes_ + count, 2 * body_.size()));
    std::copy_n(body_.data(), body_bytes_, larger.data());
    body_ = std::move(larger);
  }
  if (count > 0) std::memcpy(body_.data() + body_bytes_, received_.data() + at_, count);
  body_bytes_ += count;
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
      if (left_ == 0) state_ = state_ == State::body ? State::done : State::chunk_end;
      return left_ == 0;
    }
    case State::until_end:
      TRY_VOID(append(rest));
      return false;
    case State::chunk_end:
      if (rest < 2) return false;
      if (!next_line(line) || !line.empty()) return corrupt("a chunk has no end");
      state_ = State::chunk_size;
      return true;
    case State::chunk_size:
      return read_chunk_size();
    case State::trailer:
      return read_trailer();
    case State::idle:
    case State::done:
      break;
  }
  return false;
}

Result<bool> HttpAnswerParser::read_chunk_size() {
  const size_t rest = received_.size() - at_;
  std::string_view line;
  if (!next_line(line)) {
    if (rest > kHttpHeaderBytesMax) return corrupt("a chunk has no size");
    return false;
  }
  const auto size = number(trim(line.substr(0, line.find(';'))), 16);
  if (!size || line.size() > kHttpHeaderBytesMax) return corrupt("a chunk has no size");
  left_ = *size;
  state_ = *size == 0 ? State::trailer : State::chunk;
  return true;
}

Result<bool> HttpAnswerParser::read_trailer() {
  const size_t rest = received_.size() - at_;
  std::string_view line;
  const bool whole = next_line(line);
  trailer_bytes_ += whole ? line.size() + 2 : 0;
  if (trailer_bytes_ + (whole ? 0 : rest) > kHttpHeaderBytesMax)
    return corrupt("its trailer is too long");
  if (whole && line.empty()) state_ = State::done;
  return whole;
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
    TRY_VOID(add_field(field));
    at += field.size();
  }
  const std::string connection = lower(answer_.header("connection"));
  keep_alive_ = line[7] == '1' ? connection != "close" : connection == "keep-alive";
  return read_length();
}

Result<void> HttpAnswerParser::add_field(std::string_view field) {
  const size_t colon = field.find(':');
  if (colon == std::string_view::npos || colon == 0) return corrupt("a header has no name");
  const std::string name = lower(field.substr(0, colon));
  const std::string_view value = trim(field.substr(colon + 1));
  // Two lengths: whoever believes the other one reads the next answer wrong.
  if (name == "content-length" && answer_.headers.contains(name) && answer_.header(name) != value)
    return corrupt("it has two lengths");
  answer_.headers[name] = std::string(value);
  return {};
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
    if (*count > body_bytes_max_) return too_large(body_bytes_max_);
    left_ = *count;
    if (*count > 0) body_ = Buffer::allocate(*count);
    state_ = *count == 0 ? State::done : State::body;
  } else {
    keep_alive_ = false;
    state_ = State::until_end;
  }
  return {};
}

}  // namespace paceline::net
