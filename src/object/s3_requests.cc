#include "object/s3_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/crc32c.h"
#include "base/endian.h"
#include "object/key.h"
#include "object/s3_answers.h"

namespace paceline::object {
namespace {

constexpr size_t kPageKeysMax = 1000;
constexpr uint64_t kPageBytesMax = 8u << 20;
constexpr uint64_t kErrorBytesMax = 64u << 10;
constexpr uint64_t kObjectBytesMax = uint64_t{5} << 40;  // S3's limit
constexpr int kRemoveRounds = 3;

std::string_view method_of(S3Kind kind) {
  switch (kind) {
    case S3Kind::put:
    case S3Kind::multipart_part:
      return "PUT";
    case S3Kind::get:
    case S3Kind::list:
    case S3Kind::multipart_list:
      return "GET";
    case S3Kind::head:
      return "HEAD";
    case S3Kind::remove:
    case S3Kind::multipart_abort:
      return "DELETE";
    case S3Kind::bulk_remove:
    case S3Kind::multipart_create:
    case S3Kind::multipart_complete:
      return "POST";
  }
  return "";
}

// "bytes 0-9/100": the first byte and the size of the whole.
struct ContentRange {
  uint64_t from = 0;
  uint64_t total = 0;
};
std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (dash == text.npos || slash == text.npos || slash < dash) return std::nullopt;
  ContentRange range;
  auto read = [](std::string_view part, uint64_t& into) {
    const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), into);
    return error == std::errc{} && stop == part.data() + part.size();
  };
  if (!read(text.substr(0, dash), range.from) || !read(text.substr(slash + 1), range.total))
    return std::nullopt;
  return range;
}

std::unexpected<Error> shorter(const std::string& key, uint64_t from, uint64_t bytes) {
  return fail(Code::out_of_range,
              fmt::format("object '{}' is shorter than [{}, +{})", key, from, bytes));
}

// A range that cannot be asked for as one: the size decides.
Task<Result<Slice>> get_nothing(S3ClientPtr client, std::string key, uint64_t from,
                                uint64_t bytes) {
  CO_TRY(const uint64_t size, co_await s3_size(client, key));
  if (bytes > 0 || from > size) co_return shorter(key, from, bytes);
  co_return Slice();
}

// One by one, for a store without bulk deletion.
Task<Result<void>> remove_each(S3ClientPtr client, std::vector<std::string> keys) {
  for (const std::string& key : keys) {
    const auto call = s3_call(*client, S3Kind::remove, key);
    const S3Reply reply = co_await client->run(call);
    const S3Verdict verdict = reply.judged.verdict;
    if (verdict != S3Verdict::fine && verdict != S3Verdict::missing)
      co_return s3_failure(reply, fmt::format("object '{}'", key));
  }
  co_return Result<void>{};
}

// Of at most 1000 keys: those that are left, because the store could not remove them now.
Task<Result<std::vector<std::string>>> remove_some(S3ClientPtr client,
                                                   std::vector<std::string> keys) {
  const S3Shared& shared = client->shared();
  std::vector<std::string> full;
  for (const std::string& key : keys) full.push_back(shared.full_key(key));
  const std::string body = s3_delete_body(full);
  const auto call = s3_call(*client, S3Kind::bulk_remove, "");
  call->key.clear();
  call->query = {{"delete", ""}};
  call->headers["content-md5"] = md5_base64(body);
  call->headers["content-type"] = "application/xml";
  call->body = {Slice::copy_of(as_bytes(body))};
  call->answer_bytes_max = kPageBytesMax;
  const S3Reply reply = co_await client->run(call);
  if (reply.judged.verdict == S3Verdict::refused) {
    CO_TRY_VOID(co_await remove_each(client, std::move(keys)));
    co_return std::vector<std::string>();
  }
  if (reply.judged.verdict != S3Verdict::fine)
    co_return s3_failure(reply, fmt::format("{} objects", keys.size()));
  CO_TRY(const S3Deleted deleted, parse_s3_deleted(reply.answer.text()));
  std::vector<std::string> left;
  for (const auto& failure : deleted.failures) {
    const std::string& code = failure.error.code;
    if (code == "NoSuchKey") continue;
    const auto at = std::ranges::find(full, failure.key);
    if (at == full.end()) co_return fail(Code::corrupt, "the store did not remove a foreign key");
    const std::string& key = keys[static_cast<size_t>(at - full.begin())];
    if (code == "AccessDenied")
      co_return fail(Code::permission_denied,
                     fmt::format("object '{}' may not be removed: {}", key, code));
    left.push_back(key);
  }
  co_return left;
}

}  // namespace

uint64_t bytes_of(const std::vector<Slice>& body) {
  uint64_t bytes = 0;
  for (const Slice& piece : body) bytes += piece.size();
  return bytes;
}

std::string crc32c_base64(const std::vector<Slice>& body) {
  uint32_t crc = 0;
  for (const Slice& piece : body) crc = crc32c(piece.bytes(), crc);
  std::array<std::byte, 4> bytes;
  store_be(bytes.data(), crc);
  return base64_of(bytes);
}

void add_encryption(const S3Location& location, std::map<std::string, std::string>& headers) {
  if (location.sse == S3Location::Sse::none) return;
  headers["x-amz-server-side-encryption"] =
      location.sse == S3Location::Sse::s3 ? "AES256" : "aws:kms";
  if (!location.kms_key.empty())
    headers["x-amz-server-side-encryption-aws-kms-key-id"] = location.kms_key;
}

std::unexpected<Error> s3_failure(const S3Reply& reply, const std::string& what) {
  Code code = Code::unavailable;
  switch (reply.judged.verdict) {
    case S3Verdict::missing:
      code = Code::not_found;
      break;
    case S3Verdict::denied:
      code = Code::permission_denied;
      break;
    case S3Verdict::full:
      code = Code::no_space;
      break;
    default:
      break;
  }
  return fail(code, fmt::format("{}: {}", what, reply.judged.why));
}

S3CallPtr s3_call(S3Client& client, S3Kind kind, const std::string& key) {
  auto call = std::make_shared<S3Call>();
  call->kind = kind;
  call->method = std::string(method_of(kind));
  call->key = client.shared().full_key(key);
  return call;
}

S3CallPtr s3_put_call(S3Client& client, const std::string& key, std::vector<Slice> body) {
  const S3Location& location = client.shared().location;
  auto call = s3_call(client, S3Kind::put, key);
  call->headers["if-none-match"] = "*";
  call->headers["content-type"] = "application/octet-stream";
  if (location.checksum) call->headers["x-amz-checksum-crc32c"] = crc32c_base64(body);
  add_encryption(location, call->headers);
  call->body = std::move(body);
  return call;
}

S3CallPtr s3_get_call(S3Client& client, const std::string& key, uint64_t from, uint64_t bytes) {
  auto call = s3_call(client, S3Kind::get, key);
  call->headers["range"] = fmt::format("bytes={}-{}", from, from + bytes - 1);
  call->answer_bytes_max = std::max(bytes, kErrorBytesMax);
  return call;
}

Result<void> s3_put_outcome(const S3Reply& reply, const std::string& key) {
  const S3Judged& judged = reply.judged;
  if (judged.verdict == S3Verdict::fine) return {};
  // 412 says that there is an object: after an attempt whose end we did not hear of it may be ours.
  if (judged.maybe)
    return fail(Code::maybe_written,
                fmt::format("object '{}' may have been put: {}", key, judged.why));
  if (judged.verdict == S3Verdict::exists)
    return fail(Code::already_exists, fmt::format("there is an object '{}' already", key));
  if (judged.verdict == S3Verdict::conflict)
    return fail(Code::conflict, fmt::format("object '{}': {}", key, judged.why));
  return s3_failure(reply, fmt::format("object '{}' was not put", key));
}

Task<Result<void>> s3_put(S3ClientPtr client, std::string key, std::vector<Slice> body) {
  const auto call = s3_put_call(*client, key, std::move(body));
  const S3Reply reply = co_await client->run(call);
  co_return s3_put_outcome(reply, key);
}

Task<Result<Slice>> s3_get(S3ClientPtr client, std::string key, uint64_t from, uint64_t bytes) {
  if (bytes == 0 || from > kObjectBytesMax || bytes > kObjectBytesMax)
    co_return co_await get_nothing(client, key, from, bytes);
  const auto call = s3_get_call(*client, key, from, bytes);
  S3Reply reply = co_await client->run(call);
  if (reply.judged.verdict == S3Verdict::range) co_return shorter(key, from, bytes);
  if (reply.judged.verdict != S3Verdict::fine)
    co_return s3_failure(reply, fmt::format("object '{}'", key));
  const auto range = parse_content_range(reply.answer.header("content-range"));
  if (reply.answer.status != 206 || !range || range->from != from)
    co_return fail(Code::corrupt,
                   fmt::format("the store did not answer with the range of object '{}'", key));
  if (range->total < from + bytes) co_return shorter(key, from, bytes);
  if (reply.answer.body.size() != bytes)
    co_return fail(Code::corrupt, fmt::format("the store sent {} of {} bytes of object '{}'",
                                              reply.answer.body.size(), bytes, key));
  co_return std::move(reply.answer.body);
}

Task<Result<uint64_t>> s3_size(S3ClientPtr client, std::string key) {
  const auto head = s3_call(*client, S3Kind::head, key);
  const S3Reply reply = co_await client->run(head);
  const std::string length(reply.answer.header("content-length"));
  uint64_t bytes = 0;
  const auto [stop, error] = std::from_chars(length.data(), length.data() + length.size(), bytes);
  if (reply.judged.verdict == S3Verdict::fine) {
    if (error == std::errc{} && !length.empty()) co_return bytes;
    co_return fail(Code::corrupt, fmt::format("the store did not tell the size of '{}'", key));
  }
  // HEAD has no body that could say why, and a bucket that is gone must not look like an object
  // that is gone.
  const auto get = s3_get_call(*client, key, 0, 1);
  const S3Reply said = co_await client->run(get);
  if (said.judged.verdict == S3Verdict::range) co_return uint64_t{0};
  if (said.judged.verdict != S3Verdict::fine)
    co_return s3_failure(said, fmt::format("object '{}'", key));
  const auto range = parse_content_range(said.answer.header("content-range"));
  if (!range) co_return s3_failure(reply, fmt::format("object '{}'", key));
  co_return range->total;
}

Task<Result<void>> s3_remove(S3ClientPtr client, std::vector<std::string> keys) {
  if (keys.size() == 1) {
    CO_TRY_VOID(co_await remove_each(client, std::move(keys)));
    co_return Result<void>{};
  }
  for (size_t at = 0; at < keys.size(); at += kPageKeysMax) {
    const size_t end = std::min(keys.size(), at + kPageKeysMax);
    std::vector<std::string> left(keys.begin() + static_cast<ptrdiff_t>(at),
                                  keys.begin() + static_cast<ptrdiff_t>(end));
    for (int round = 0; round < kRemoveRounds && !left.empty(); ++round) {
      CO_TRY(left, co_await remove_some(client, left));
      if (!left.empty()) co_await env::sleep_for(client->shard(), std::chrono::milliseconds(100));
    }
    if (!left.empty())
      co_return fail(Code::unavailable,
                     fmt::format("the store did not remove {} objects, '{}' among them",
                                 left.size(), left.front()));
  }
  co_return Result<void>{};
}

Task<Result<ListPage>> s3_list(S3ClientPtr client, std::string prefix, std::string after,
                               size_t count_max) {
  const S3Shared& shared = client->shared();
  const std::string root = shared.full_key("");
  ListPage page;
  std::string start = after.empty() ? std::string() : root + after;
  for (bool more = true; more;) {
    const size_t wanted = std::min(kPageKeysMax, count_max - page.objects.size());
    page.more = wanted == 0;
    if (wanted == 0) break;
    const auto call = s3_call(*client, S3Kind::list, "");
    call->key.clear();
    call->answer_bytes_max = kPageBytesMax;
    call->query = {{"list-type", "2"},
                   {"encoding-type", "url"},
                   {"prefix", root + prefix},
                   {"max-keys", std::to_string(wanted)}};
    if (!start.empty()) call->query.emplace_back("start-after", start);
    const S3Reply reply = co_await client->run(call);
    if (reply.judged.verdict != S3Verdict::fine)
      co_return s3_failure(reply, fmt::format("a list of '{}'", prefix));
    CO_TRY(S3ListPage part, parse_s3_list(reply.answer.text()));
    for (S3ListPage::Object& object : part.objects) {
      if (!object.key.starts_with(root) || object.key <= start)
        co_return fail(Code::corrupt, "the store lists what was not asked for");
      start = object.key;
      std::string key = object.key.substr(root.size());
      // What others have put there is none of ours, and cannot be named by our keys.
      if (check_key(key)) page.objects.push_back({std::move(key), object.bytes});
    }
    more = part.truncated;
    if (more && part.objects.empty())
      co_return fail(Code::corrupt, "the store lists nothing and says that there is more");
  }
  co_return page;
}

}  // namespace paceline::object
