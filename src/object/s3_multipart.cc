#include <fmt/format.h>

#include <algorithm>

#include "env/sync.h"
#include "object/key.h"
#include "object/s3_answers.h"
#include "object/s3_requests.h"

namespace paceline::object {
namespace {

constexpr size_t kPartsAtOnce = 4;
constexpr uint64_t kPartsMax = 10'000;  // S3's limit
constexpr uint64_t kPageBytesMax = 8u << 20;

// Bytes [from, from + bytes) of a body, as slices of its slices.
std::vector<Slice> cut(const std::vector<Slice>& body, uint64_t from, uint64_t bytes) {
  std::vector<Slice> out;
  for (const Slice& piece : body) {
    if (bytes == 0) break;
    if (from >= piece.size()) {
      from -= piece.size();
      continue;
    }
    const uint64_t count = std::min<uint64_t>(piece.size() - from, bytes);
    out.push_back(piece.subslice(from, count));
    bytes -= count;
    from = 0;
  }
  return out;
}

struct Upload {
  Upload(S3ClientPtr by, std::string named, std::vector<Slice> whole)
      : client(std::move(by)),
        key(std::move(named)),
        body(std::move(whole)),
        changed(client->shard()) {}

  const S3ClientPtr client;
  const std::string key;
  const std::vector<Slice> body;
  uint64_t part_bytes = 0;
  env::Instant until;
  std::string id;
  std::vector<std::string> etags;
  std::vector<std::string> checksums;
  size_t next = 0;
  size_t running = 0;
  std::optional<Error> failed;
  env::Event changed;
};
using UploadPtr = std::shared_ptr<Upload>;

std::string about(const Upload& upload) {
  return fmt::format("object '{}' was not put", upload.key);
}

Task<Result<void>> begin(UploadPtr upload) {
  S3Client& client = *upload->client;
  const auto call = s3_call(client, S3Kind::multipart_create, upload->key);
  call->until = upload->until;
  call->query = {{"uploads", ""}};
  call->headers["content-type"] = "application/octet-stream";
  if (client.shared().location.checksum) call->headers["x-amz-checksum-algorithm"] = "CRC32C";
  add_encryption(client.shared().location, call->headers);
  const S3Reply reply = co_await client.run(call);
  if (reply.judged.verdict != S3Verdict::fine) co_return s3_failure(reply, about(*upload));
  CO_TRY(upload->id, parse_s3_upload_id(reply.answer.text()));
  co_return Result<void>{};
}

Task<Result<void>> put_part(UploadPtr upload, size_t index) {
  S3Client& client = *upload->client;
  const auto call = s3_call(client, S3Kind::multipart_part, upload->key);
  call->until = upload->until;
  call->query = {{"partNumber", std::to_string(index + 1)}, {"uploadId", upload->id}};
  call->body = cut(upload->body, index * upload->part_bytes, upload->part_bytes);
  if (client.shared().location.checksum) {
    upload->checksums[index] = crc32c_base64(call->body);
    call->headers["x-amz-checksum-crc32c"] = upload->checksums[index];
  }
  const S3Reply reply = co_await client.run(call);
  if (reply.judged.verdict != S3Verdict::fine) co_return s3_failure(reply, about(*upload));
  upload->etags[index] = std::string(reply.answer.header("etag"));
  if (upload->etags[index].empty())
    co_return fail(Code::corrupt, about(*upload) + ": a part has no ETag");
  co_return Result<void>{};
}

// One of some that take the next part until there is none left.
Task<void> put_parts(UploadPtr upload) {
  while (upload->next < upload->etags.size() && !upload->failed) {
    auto put = co_await put_part(upload, upload->next++);
    if (!put) upload->failed = std::move(put).error();
  }
  --upload->running;
  upload->changed.notify_all();
}

std::unexpected<Error> unheard(const Upload& upload, std::string_view why) {
  return fail(Code::maybe_written,
              fmt::format("object '{}' may have been put: {}", upload.key, why));
}

// The condition is asked of this request alone: it makes the object, or nothing.
Task<Result<void>> complete(UploadPtr upload) {
  S3Client& client = *upload->client;
  const auto call = s3_call(client, S3Kind::multipart_complete, upload->key);
  call->query = {{"uploadId", upload->id}};
  call->headers["content-type"] = "application/xml";
  call->headers["if-none-match"] = "*";
  call->until = upload->until;
  const std::string body = s3_complete_body(upload->etags, upload->checksums);
  call->body = {Slice::copy_of(as_bytes(body))};
  const S3Reply reply = co_await client.run(call);
  if (reply.judged.verdict == S3Verdict::fine) {
    // The store may answer before it is done, and say in the body how it went.
    const auto completed = parse_s3_completed(reply.answer.text());
    if (completed && completed->code.empty()) co_return Result<void>{};
    co_return unheard(*upload, completed ? completed->code : completed.error().message);
  }
  // Ended by somebody, or put together by an attempt whose end we did not hear of.
  if (reply.judged.verdict == S3Verdict::no_upload) co_return unheard(*upload, reply.judged.why);
  co_return s3_put_outcome(reply, upload->key);
}

}  // namespace

Task<Result<void>> s3_put_parts(S3ClientPtr client, std::string key, std::vector<Slice> body,
                                uint64_t part_bytes, env::Instant until) {
  const uint64_t bytes = bytes_of(body);
  const auto upload = std::make_shared<Upload>(client, std::move(key), std::move(body));
  upload->part_bytes = std::max(part_bytes, bytes / kPartsMax + 1);
  upload->until = until;
  const size_t parts = (bytes + upload->part_bytes - 1) / upload->part_bytes;
  upload->etags.resize(parts);
  upload->checksums.resize(parts);
  CO_TRY_VOID(co_await begin(upload));
  for (size_t i = 0; i < std::min(kPartsAtOnce, parts); ++i) {
    ++upload->running;
    client->shard().spawn(put_parts(upload));
  }
  while (upload->running > 0) co_await upload->changed.wait();
  Result<void> done;
  if (upload->failed) {
    done = fail(std::move(*upload->failed));
  } else {
    done = co_await complete(upload);
  }
  if (done || done.error().code == Code::maybe_written) co_return done;
  // Best effort: collection ends what is left.
  Unfinished left{upload->key, upload->id, 0};
  (void)co_await s3_end_unfinished(client, std::move(left), until);
  co_return done;
}

Task<Result<std::vector<Unfinished>>> s3_list_unfinished(S3ClientPtr client, std::string prefix,
                                                         size_t count_max) {
  const std::string root = client->shared().full_key("");
  std::vector<Unfinished> found;
  S3Uploads page;
  for (bool more = true; more && found.size() < count_max;) {
    const auto call = s3_call(*client, S3Kind::multipart_list, "");
    call->key.clear();
    call->answer_bytes_max = kPageBytesMax;
    call->query = {{"uploads", ""}, {"encoding-type", "url"}, {"prefix", root + prefix}};
    if (!page.next_key.empty()) {
      call->query.emplace_back("key-marker", page.next_key);
      call->query.emplace_back("upload-id-marker", page.next_id);
    }
    const S3Reply reply = co_await client->run(call);
    if (reply.judged.verdict != S3Verdict::fine)
      co_return s3_failure(reply, fmt::format("a list of uploads below '{}'", prefix));
    const std::string last = page.next_key + "/" + page.next_id;
    CO_TRY(page, parse_s3_uploads(reply.answer.text()));
    for (const auto& upload : page.uploads) {
      if (!upload.key.starts_with(root) || found.size() == count_max) continue;
      std::string key = upload.key.substr(root.size());
      if (check_key(key)) found.push_back({std::move(key), upload.id, upload.started_ms});
    }
    more = page.truncated;
    if (more && last == page.next_key + "/" + page.next_id)
      co_return fail(Code::corrupt, "the store lists the same uploads again");
  }
  co_return found;
}

Task<Result<void>> s3_end_unfinished(S3ClientPtr client, Unfinished upload, env::Instant until) {
  const auto call = s3_call(*client, S3Kind::multipart_abort, upload.key);
  call->until = until;
  call->query = {{"uploadId", upload.upload}};
  const S3Reply reply = co_await client->run(call);
  const S3Verdict verdict = reply.judged.verdict;
  if (verdict == S3Verdict::fine || verdict == S3Verdict::no_upload) co_return Result<void>{};
  co_return s3_failure(reply, fmt::format("the upload of '{}'", upload.key));
}

}  // namespace paceline::object
