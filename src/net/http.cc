#include "net/http.h"

#include <charconv>

#include "net/http_text.h"

namespace paceline::net {
namespace {

constexpr size_t kConnectionsMax = 256;
constexpr auto kReadMax = std::chrono::seconds(30);
constexpr auto kWriteMax = std::chrono::seconds(60);  // a client that does not read is let go

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

std::string encode(const HttpResponse& response, bool keep_alive, bool head) {
  std::string out = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n",
      response.status, reason(response.status), response.content_type, response.body.size(),
      keep_alive ? "keep-alive" : "close");
  if (!head) out += response.body;
  return out;
}

std::unexpected<Error> bad(std::string why) {
  return fail(Code::invalid_argument, std::move(why));
}

}  // namespace

Result<std::optional<ParsedHead>> parse_http_head(std::string_view bytes) {
  const size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() > kHttpHeaderBytesMax) return bad("the header is too long");
    return std::optional<ParsedHead>();
  }
  if (end > kHttpHeaderBytesMax) return bad("the header is too long");
  std::string_view head = bytes.substr(0, end);
  const size_t first = head.find("\r\n");
  const std::string_view line = head.substr(0, first);
  const size_t space = line.find(' ');
  const size_t last = line.rfind(' ');
  if (space == std::string_view::npos || last == space || space == 0) return bad("no request line");
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return bad("no HTTP/1.1");
  ParsedHead parsed;
  parsed.bytes = end + 4;
  parsed.request.method = std::string(line.substr(0, space));
  parsed.request.target = std::string(line.substr(space + 1, last - space - 1));
  if (parsed.request.target.empty() || parsed.request.target.find(' ') != std::string::npos)
    return bad("no request line");
  head = first == std::string_view::npos ? std::string_view{} : head.substr(first + 2);
  while (!head.empty()) {
    const size_t eol = head.find("\r\n");
    const std::string_view field = head.substr(0, eol);
    const size_t colon = field.find(':');
    if (colon == std::string_view::npos || colon == 0) return bad("a header without a name");
    parsed.request.headers[lower(field.substr(0, colon))] =
        std::string(trim(field.substr(colon + 1)));
    if (eol == std::string_view::npos) break;
    head.remove_prefix(eol + 2);
  }
  const auto& headers = parsed.request.headers;
  if (headers.contains("transfer-encoding")) return bad("a body must have a Content-Length");
  if (auto found = headers.find("content-length"); found != headers.end()) {
    const std::string& text = found->second;
    auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), parsed.body_bytes);
    if (error != std::errc{} || stop != text.data() + text.size()) return bad("no Content-Length");
  }
  const auto connection = headers.find("connection");
  const std::string kept = connection == headers.end() ? "" : lower(connection->second);
  parsed.keep_alive = version == "HTTP/1.1" ? kept != "close" : kept == "keep-alive";
  return std::optional(std::move(parsed));
}

Result<std::optional<ParsedRequest>> parse_http_request(std::string_view bytes) {
  TRY(auto head, parse_http_head(bytes));
  if (!head) return std::optional<ParsedRequest>();
  if (head->body_bytes > kHttpBodyBytesMax) return bad("the body is too long");
  ParsedRequest parsed{.request = std::move(head->request),
                       .bytes = head->bytes + head->body_bytes,
                       .keep_alive = head->keep_alive};
  if (bytes.size() < parsed.bytes) return std::optional<ParsedRequest>();
  parsed.request.body = std::string(bytes.substr(head->bytes, head->body_bytes));
  return std::optional(std::move(parsed));
}

Result<void> HttpServer::listen(const std::string& host, uint16_t port) {
  TRY(listener_, shard_.network().listen(host, port));
  shard_.spawn(accept_loop());
  return {};
}

void HttpServer::close() {
  closed_ = true;
  if (listener_) listener_->close();
  for (env::Socket* socket : open_) socket->close();
}

Task<void> HttpServer::accept_loop() {
  while (!closed_) {
    auto socket = co_await listener_->accept(shard_);
    if (!socket) {
      if (closed_ || socket.error().code == Code::closed) break;
      co_await env::sleep_for(shard_, std::chrono::milliseconds(100));
      continue;
    }
    if (open_.size() < kConnectionsMax) shard_.spawn(serve(std::move(*socket)));
  }
}

Task<void> HttpServer::serve(std::unique_ptr<env::Socket> socket) {
  env::Socket* raw = socket.get();
  open_.push_back(raw);
  std::string received;
  while (!closed_) {
    const auto timer = shard_.run_at(shard_.now() + kReadMax, [raw] { raw->close(); });
    std::optional<ParsedRequest> parsed;
    bool good = true;
    while (!parsed) {
      auto next = parse_http_request(received);
      if (!next) {
        good = false;
        HttpResponse refused{400, "text/plain", next.error().message + "\n"};
        std::vector<Slice> pieces{Slice::copy_of(as_bytes(encode(refused, false, false)))};
        (void)co_await socket->write(pieces);
        break;
      }
      parsed = std::move(*next);
      if (parsed) break;
      std::byte piece[4096];
      auto got = co_await socket->read_some(piece);
      if (!got) {
        good = false;
        break;
      }
      received += as_text(Bytes(piece, *got));
    }
    shard_.cancel_timer(timer);
    if (!good) break;
    received.erase(0, parsed->bytes);
    const bool head = parsed->request.method == "HEAD";
    const bool allowed =
        head || parsed->request.method == "GET" || parsed->request.method == "POST";
    HttpResponse response;
    if (allowed) {
      response = co_await handler_(std::move(parsed->request));
    } else {
      response = {405, "text/plain", "GET, HEAD and POST are served\n"};
    }
    std::vector<Slice> pieces{Slice::copy_of(as_bytes(encode(response, parsed->keep_alive, head)))};
    const auto write_timer = shard_.run_at(shard_.now() + kWriteMax, [raw] { raw->close(); });
    auto written = co_await socket->write(pieces);
    shard_.cancel_timer(write_timer);
    if (!written || !parsed->keep_alive) break;
  }
  std::erase(open_, raw);
}

}  // namespace paceline::net
