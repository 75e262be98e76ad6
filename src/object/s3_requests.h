#pragma once

#include <string>
#include <vector>

#include "object/s3_client.h"

// What is asked of a bucket, one function a verb: it builds the request, and gives the store's
// verdict the meaning that object.h states.

namespace paceline::object {

using S3ClientPtr = std::shared_ptr<S3Client>;

Task<Result<void>> s3_put(S3ClientPtr client, std::string key, std::vector<Slice> body);
Task<Result<Slice>> s3_get(S3ClientPtr client, std::string key, uint64_t from, uint64_t bytes);
Task<Result<uint64_t>> s3_size(S3ClientPtr client, std::string key);
Task<Result<void>> s3_remove(S3ClientPtr client, std::vector<std::string> keys);
Task<Result<ListPage>> s3_list(S3ClientPtr client, std::string prefix, std::string after,
                               size_t count_max);

// In parts of `part_bytes`, that become an object only if there is none: on a store that keeps the
// condition. All of it ends by `until`.
Task<Result<void>> s3_put_parts(S3ClientPtr client, std::string key, std::vector<Slice> body,
                                uint64_t part_bytes, env::Instant until = env::Instant::never());
Task<Result<std::vector<Unfinished>>> s3_list_unfinished(S3ClientPtr client, std::string prefix,
                                                         size_t count_max);
Task<Result<void>> s3_end_unfinished(S3ClientPtr client, Unfinished upload,
                                     env::Instant until = env::Instant::never());

// Requests as they are put together by all of the above and by the probe.
S3CallPtr s3_call(S3Client& client, S3Kind kind, const std::string& key);
S3CallPtr s3_put_call(S3Client& client, const std::string& key, std::vector<Slice> body);
S3CallPtr s3_get_call(S3Client& client, const std::string& key, uint64_t from, uint64_t bytes);
// Encryption, as the location asks for it, on what creates an object.
void add_encryption(const S3Location& location, std::map<std::string, std::string>& headers);
// What a put with the condition came to, in one request or in parts.
Result<void> s3_put_outcome(const S3Reply& reply, const std::string& key);
// What is not `fine` as an error about `what`, for requests that may be done twice.
std::unexpected<Error> s3_failure(const S3Reply& reply, const std::string& what);
uint64_t bytes_of(const std::vector<Slice>& body);
std::string crc32c_base64(const std::vector<Slice>& body);

}  // namespace paceline::object
