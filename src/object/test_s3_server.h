#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "env/network.h"
#include "net/tls.h"
#include "object/s3_answers.h"
#include "object/s3_sign.h"
#include "object/s3_xml.h"

// For tests only: an S3 store in memory that checks signatures, and goes wrong as it is told to.

namespace paceline::object {

struct TestS3Request {
  std::string method;
  std::string target;
  std::string path;  // decoded
  std::vector<std::pair<std::string, std::string>> query;
  std::map<std::string, std::string> headers;
  std::string body;

  std::string_view header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string_view{} : std::string_view(found->second);
  }
  const std::string* parameter(std::string_view name) const {
    const auto found = std::ranges::find(query, name, &std::pair<std::string, std::string>::first);
    return found == query.end() ? nullptr : &found->second;
  }
};

struct TestS3Answer {
  int status = 200;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

inline TestS3Answer s3_error(int status, std::string_view code) {
  return {status,
          fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>"
                      "told by the test</Message><RequestId>1</RequestId></Error>",
                      code)};
}

// What goes wrong with one request.
struct TestS3Fault {
  enum class Kind {
    none,
    answer,             // `instead` is told, nothing is done
    answer_after,       // it is done, and `instead` is told
    reset_before,       // the connection breaks before it is done
    reset_after,        // it is done, and the connection breaks
    cut_answer,         // it is done, and half of the answer comes
    hang,               // nothing is done or told until the client gives up
    early_and_hang_up,  // `instead` is told as soon as the header is here, and the rest not read
  };
  Kind kind = Kind::none;
  TestS3Answer instead = {};
  env::Duration delay = {};        // before it is done
  env::Duration delay_after = {};  // between that and the answer

  static TestS3Fault status(int status, std::string_view code) {
    return {Kind::answer, s3_error(status, code)};
  }
};

class TestS3Server {
 public:
  using Faults = std::function<TestS3Fault(const TestS3Request&)>;
  struct Options {
    std::string access_key = "AKIDEXAMPLE";
    std::string secret_key = "secret+key/of=test";
    std::string session_token = {};
    std::string bucket = "bucket";
    std::string region = "us-east-1";
    std::shared_ptr<const net::TlsContext> tls = nullptr;
    bool honours_conditions = true;
    bool honours_conditions_of_parts = true;  // Ceph does not
    bool honours_ranges = true;
    bool deletes_in_bulk = true;
    env::Duration clock_offset = {};
  };

  TestS3Server(env::Shard& shard, Options wanted) : options(std::move(wanted)), shard_(shard) {}

  Result<void> listen(const std::string& host, uint16_t port) {
    TRY(listener_, shard_.network().listen(host, port));
    shard_.spawn(accept_loop());
    return {};
  }
  uint16_t port() const { return listener_->port(); }
  void close() {
    if (listener_) listener_->close();
  }

  Options options;
  Faults faults;  // asked once a request, when its header is here
  // Somebody else answers: a service that is no S3.
  std::function<TestS3Answer(const TestS3Request&)> other;
  // What is seen of the clients.
  std::map<std::string, std::string> objects;
  std::vector<std::string> log;  // "PUT /bucket/key"
  size_t connections = 0;
  struct Upload {
    std::string key;
    std::map<int, std::string> parts;
    int64_t began_ms = 0;
  };
  std::map<std::string, Upload> uploads;

 private:
  Task<void> accept_loop();
  Task<void> serve(std::unique_ptr<env::Socket> socket);
  Task<bool> serve_one(env::Socket& socket, std::string& received);
  Task<bool> read_body(env::Socket& socket, std::string& received, TestS3Request& request);
  static std::optional<TestS3Request> parse_head(std::string_view head);
  std::optional<TestS3Answer> refuse(const TestS3Request& request);
  TestS3Answer act(const TestS3Request& request);
  TestS3Answer act_on_object(const TestS3Request& request, const std::string& key);
  TestS3Answer put(const TestS3Request& request, const std::string& key);
  TestS3Answer get(const TestS3Request& request, const std::string& key);
  TestS3Answer list(const TestS3Request& request);
  TestS3Answer list_uploads(const TestS3Request& request);
  TestS3Answer remove_many(const TestS3Request& request);
  TestS3Answer complete(const TestS3Request& request, const std::string& key);

  env::Shard& shard_;
  std::unique_ptr<env::Listener> listener_;
  int next_upload_ = 0;
};

inline Task<void> TestS3Server::accept_loop() {
  for (;;) {
    auto socket = co_await listener_->accept(shard_);
    if (!socket) co_return;
    ++connections;
    shard_.spawn(serve(std::move(*socket)));
  }
}

inline Task<void> TestS3Server::serve(std::unique_ptr<env::Socket> socket) {
  if (options.tls) {
    auto shaken = co_await net::tls_accept(shard_, options.tls, std::move(socket),
                                           shard_.now() + std::chrono::seconds(10));
    if (!shaken) co_return;
    socket = std::move(*shaken);
  }
  std::string received;
  while (co_await serve_one(*socket, received)) {
  }
}

inline std::optional<TestS3Request> TestS3Server::parse_head(std::string_view head) {
  TestS3Request request;
  const size_t eol = head.find("\r\n");
  const std::string_view line = head.substr(0, eol);
  const size_t space = line.find(' ');
  const size_t last = line.rfind(' ');
  if (space == last) return std::nullopt;
  request.method = std::string(line.substr(0, space));
  request.target = std::string(line.substr(space + 1, last - space - 1));
  const size_t question = request.target.find('?');
  auto path = url_decode(std::string_view(request.target).substr(0, question));
  if (!path) return std::nullopt;
  request.path = *path;
  std::string_view rest = question == std::string::npos
                              ? std::string_view{}
                              : std::string_view(request.target).substr(question + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    auto name = url_decode(pair.substr(0, equals));
    auto value = url_decode(equals == pair.npos ? "" : pair.substr(equals + 1));
    if (!name || !value) return std::nullopt;
    request.query.emplace_back(*name, *value);
  }
  for (std::string_view fields = head.substr(eol + 2); !fields.empty();) {
    const std::string_view field = fields.substr(0, fields.find("\r\n"));
    fields.remove_prefix(std::min(fields.size(), field.size() + 2));
    const size_t colon = field.find(": ");
    if (colon == field.npos) return std::nullopt;
    request.headers[std::string(field.substr(0, colon))] = std::string(field.substr(colon + 2));
  }
  return request;
}

inline Task<bool> TestS3Server::read_body(env::Socket& socket, std::string& received,
                                          TestS3Request& request) {
  size_t length = 0;
  const std::string_view text = request.header("content-length");
  std::from_chars(text.data(), text.data() + text.size(), length);
  std::vector<std::byte> piece(64 << 10);
  while (received.size() < length) {
    auto count = co_await socket.read_some(piece);
    if (!count) co_return false;
    received += as_text(Bytes(piece).first(*count));
  }
  request.body = received.substr(0, length);
  received.erase(0, length);
  co_return true;
}

inline Task<bool> TestS3Server::serve_one(env::Socket& socket, std::string& received) {
  size_t end = 0;
  std::vector<std::byte> piece(16 << 10);
  while ((end = received.find("\r\n\r\n")) == std::string::npos) {
    auto count = co_await socket.read_some(piece);
    if (!count) co_return false;
    received += as_text(Bytes(piece).first(*count));
  }
  auto request = parse_head(std::string_view(received).substr(0, end));
  received.erase(0, end + 4);
  if (!request) co_return false;
  using Kind = TestS3Fault::Kind;
  const TestS3Fault fault = faults ? faults(*request) : TestS3Fault{};
  if (fault.kind != Kind::early_and_hang_up) {
    const bool whole = co_await read_body(socket, received, *request);
    if (!whole) co_return false;
  }
  log.push_back(request->method + " " + request->target);
  if (fault.delay.count() > 0) co_await env::sleep_for(shard_, fault.delay);
  if (fault.kind == Kind::reset_before) co_return false;
  if (fault.kind == Kind::hang) {
    (void)co_await socket.read_some(piece);
    co_return false;
  }
  TestS3Answer answer = fault.instead;
  if (fault.kind != Kind::answer && fault.kind != Kind::early_and_hang_up) {
    const auto refused = other ? std::optional(other(*request)) : refuse(*request);
    answer = refused ? *refused : act(*request);
  }
  if (fault.delay_after.count() > 0) co_await env::sleep_for(shard_, fault.delay_after);
  if (fault.kind == Kind::reset_after) co_return false;
  if (fault.kind == Kind::answer_after) answer = fault.instead;
  const bool close = fault.kind == Kind::early_and_hang_up || fault.kind == Kind::cut_answer;
  std::string text = fmt::format("HTTP/1.1 {} Told\r\n", answer.status);
  for (const auto& [name, value] : answer.headers) text += fmt::format("{}: {}\r\n", name, value);
  const bool head = request->method == "HEAD";
  if (!head && answer.status != 204)
    text += fmt::format("Content-Length: {}\r\n", answer.body.size());
  text += close ? "Connection: close\r\n\r\n" : "\r\n";
  if (!head) text += answer.body;
  if (fault.kind == Kind::cut_answer) text.resize(text.size() / 2);
  const Slice slice = Slice::copy_of(as_bytes(text));
  auto written = co_await socket.write(std::span(&slice, 1));
  co_return written && !close;
}

// What a request is refused for before anybody looks at what it asks.
inline std::optional<TestS3Answer> TestS3Server::refuse(const TestS3Request& request) {
  const std::string_view given = request.header("authorization");
  const size_t from = given.find("SignedHeaders=");
  if (from == given.npos) return s3_error(403, "AccessDenied");
  if (given.find("Credential=" + options.access_key + "/") == given.npos)
    return s3_error(403, "InvalidAccessKeyId");
  if (request.header("x-amz-security-token") != options.session_token)
    return s3_error(403, "ExpiredToken");
  const std::string_view names = given.substr(from + 14, given.find(',', from) - from - 14);
  SignedRequest again;
  again.method = request.method;
  again.path = request.target.substr(0, request.target.find('?'));
  again.query = request.query;
  for (const auto& [name, value] : request.headers)
    if ((";" + std::string(names) + ";").find(";" + name + ";") != std::string::npos)
      again.headers[name] = value;
  const std::string date(request.header("x-amz-date"));
  if (date.size() != 16) return s3_error(403, "AccessDenied");
  auto sent_ms = parse_iso_time(fmt::format("{}-{}-{}T{}:{}:{}Z", date.substr(0, 4),
                                            date.substr(4, 2), date.substr(6, 2), date.substr(9, 2),
                                            date.substr(11, 2), date.substr(13, 2)));
  if (!sent_ms) return s3_error(403, "AccessDenied");
  Signer signer(options.region, "s3");
  (void)signer.sign(again, {options.access_key, options.secret_key, options.session_token},
                    *sent_ms, request.header("x-amz-content-sha256"));
  if (again.headers["authorization"] != given) return s3_error(403, "SignatureDoesNotMatch");
  const int64_t now_ms =
      shard_.wall_ms() +
      std::chrono::duration_cast<std::chrono::milliseconds>(options.clock_offset).count();
  if (std::abs(now_ms - *sent_ms) > 15 * 60 * 1000) {
    TestS3Answer skewed = s3_error(403, "RequestTimeTooSkewed");
    using namespace std::chrono;
    const sys_seconds when(duration_cast<seconds>(milliseconds(now_ms)));
    const year_month_day day(floor<days>(when));
    const hh_mm_ss time(when - floor<days>(when));
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    skewed.headers.emplace_back(
        "Date",
        fmt::format("Thu, {:02} {} {:04} {:02}:{:02}:{:02} GMT", static_cast<unsigned>(day.day()),
                    kMonths.substr((static_cast<unsigned>(day.month()) - 1) * 3, 3),
                    static_cast<int>(day.year()), time.hours().count(), time.minutes().count(),
                    time.seconds().count()));
    return skewed;
  }
  const std::string_view hash = request.header("x-amz-content-sha256");
  if (hash != kUnsignedPayload && hash != sha256_hex({Slice::copy_of(as_bytes(request.body))}))
    return s3_error(400, "XAmzContentSHA256Mismatch");
  return std::nullopt;
}

inline TestS3Answer TestS3Server::act(const TestS3Request& request) {
  // In the host, or first in the path.
  std::string path = request.path.substr(1);
  const bool virtual_host = request.header("host").starts_with(options.bucket + ".");
  const size_t slash = path.find('/');
  const std::string bucket = virtual_host ? options.bucket : path.substr(0, slash);
  const std::string key =
      virtual_host ? path : (slash == path.npos ? std::string() : path.substr(slash + 1));
  if (bucket != options.bucket) return s3_error(404, "NoSuchBucket");
  if (!key.empty()) return act_on_object(request, key);
  if (request.method == "GET" && request.parameter("uploads")) return list_uploads(request);
  if (request.method == "GET" && request.parameter("list-type")) return list(request);
  if (request.method == "POST" && request.parameter("delete")) return remove_many(request);
  return s3_error(400, "InvalidRequest");
}

inline TestS3Answer TestS3Server::act_on_object(const TestS3Request& request,
                                                const std::string& key) {
  const std::string* upload = request.parameter("uploadId");
  if (request.method == "POST" && request.parameter("uploads")) {
    const std::string id = fmt::format("upload+{}/=", ++next_upload_);
    uploads[id] = {key, {}, shard_.wall_ms()};
    return {200, fmt::format("<InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>{}"
                             "</UploadId></InitiateMultipartUploadResult>",
                             id)};
  }
  if (upload && (!uploads.contains(*upload) || uploads[*upload].key != key))
    return s3_error(404, "NoSuchUpload");
  if (upload && request.method == "PUT") {
    const std::string* number = request.parameter("partNumber");
    if (!number) return s3_error(400, "InvalidRequest");
    const int part = std::stoi(*number);
    uploads[*upload].parts[part] = request.body;
    return {200, "", {{"ETag", fmt::format("\"part-{}\"", part)}}};
  }
  if (upload && request.method == "POST") return complete(request, key);
  if (request.method == "DELETE") {
    if (upload) {
      uploads.erase(*upload);
    } else {
      objects.erase(key);
    }
    return {204, ""};
  }
  if (request.method == "PUT") return put(request, key);
  if (request.method == "GET" || request.method == "HEAD") return get(request, key);
  return s3_error(405, "MethodNotAllowed");
}

inline TestS3Answer TestS3Server::put(const TestS3Request& request, const std::string& key) {
  const bool condition = request.header("if-none-match") == "*" && options.honours_conditions;
  if (condition && objects.contains(key)) return s3_error(412, "PreconditionFailed");
  objects[key] = request.body;
  return {200, "", {{"ETag", "\"whole\""}}};
}

inline TestS3Answer TestS3Server::get(const TestS3Request& request, const std::string& key) {
  const auto found = objects.find(key);
  if (found == objects.end()) return s3_error(404, "NoSuchKey");
  const std::string& body = found->second;
  if (request.method == "HEAD") return {200, "", {{"Content-Length", std::to_string(body.size())}}};
  const std::string_view range = request.header("range");
  if (!range.starts_with("bytes=") || !options.honours_ranges) return {200, body};
  const size_t dash = range.find('-');
  const uint64_t from = std::stoull(std::string(range.substr(6, dash - 6)));
  const uint64_t last = std::stoull(std::string(range.substr(dash + 1)));
  if (from >= body.size()) return s3_error(416, "InvalidRange");
  const uint64_t end = std::min<uint64_t>(last + 1, body.size());
  return {206,
          body.substr(from, end - from),
          {{"Content-Range", fmt::format("bytes {}-{}/{}", from, end - 1, body.size())}}};
}

inline TestS3Answer TestS3Server::list(const TestS3Request& request) {
  auto text = [&request](std::string_view name) {
    const std::string* value = request.parameter(name);
    return value ? *value : std::string();
  };
  const std::string prefix = text("prefix");
  const std::string after = text("start-after");
  const size_t count_max = text("max-keys").empty() ? 1000 : std::stoul(text("max-keys"));
  std::string contents;
  size_t count = 0;
  bool truncated = false;
  for (const auto& [key, body] : objects) {
    if (!key.starts_with(prefix) || key <= after) continue;
    if (count == count_max) {
      truncated = true;
      break;
    }
    ++count;
    contents += fmt::format(
        "<Contents><Key>{}</Key><Size>{}</Size><Owner><ID>x</ID></Owner>"
        "</Contents>",
        xml_escape(url_encode(key, true)), body.size());
  }
  return {200, fmt::format("<?xml version=\"1.0\"?>\n<ListBucketResult "
                           "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url"
                           "</EncodingType><IsTruncated>{}</IsTruncated>{}</ListBucketResult>",
                           truncated, contents)};
}

inline TestS3Answer TestS3Server::list_uploads(const TestS3Request& request) {
  const std::string* prefix = request.parameter("prefix");
  std::string contents;
  for (const auto& [id, upload] : uploads) {
    if (prefix && !upload.key.starts_with(*prefix)) continue;
    contents += fmt::format(
        "<Upload><Key>{}</Key><UploadId>{}</UploadId><Initiated>2026-11-26T20:41:00.000Z"
        "</Initiated></Upload>",
        upload.key, id);
  }
  return {200, fmt::format("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{}"
                           "</ListMultipartUploadsResult>",
                           contents)};
}

inline TestS3Answer TestS3Server::remove_many(const TestS3Request& request) {
  if (!options.deletes_in_bulk) return s3_error(501, "NotImplemented");
  if (request.header("content-md5") != md5_base64(request.body))
    return s3_error(400, "InvalidDigest");
  auto root = parse_xml(request.body);
  if (!root || root->name != "Delete") return s3_error(400, "MalformedXML");
  size_t count = 0;
  for (const XmlElement& element : root->children) {
    if (element.name != "Object") continue;
    objects.erase(std::string(element.text_of("Key")));
    ++count;
  }
  if (count > 1000) return s3_error(400, "MalformedXML");
  return {200, "<DeleteResult/>"};
}

inline TestS3Answer TestS3Server::complete(const TestS3Request& request, const std::string& key) {
  const std::string id = *request.parameter("uploadId");
  auto root = parse_xml(request.body);
  if (!root) return s3_error(400, "MalformedXML");
  std::string body;
  int number = 0;
  for (const XmlElement& part : root->children) {
    ++number;
    const auto& parts = uploads[id].parts;
    if (part.text_of("PartNumber") != std::to_string(number) || !parts.contains(number) ||
        part.text_of("ETag") != fmt::format("\"part-{}\"", number))
      return s3_error(400, "InvalidPart");
    body += parts.at(number);
  }
  const bool condition =
      request.header("if-none-match") == "*" && options.honours_conditions_of_parts;
  if (condition && objects.contains(key)) return s3_error(412, "PreconditionFailed");
  objects[key] = body;
  uploads.erase(id);
  return {200, "   <CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"};
}

}  // namespace paceline::object
