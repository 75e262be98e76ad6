#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// What S3 and STS say in XML. Each is a pure function of the text; corrupt if it is anything else.

namespace paceline::object {

struct S3Error {
  std::string code;  // "NoSuchKey"; empty: the answer names none
  std::string message;
};
// Never fails: an error that cannot be read is one without a code.
S3Error parse_s3_error(std::string_view text);

struct S3ListPage {
  struct Object {
    std::string key;
    uint64_t bytes = 0;
  };
  std::vector<Object> objects;
  bool truncated = false;
};
Result<S3ListPage> parse_s3_list(std::string_view text);

struct S3Deleted {
  struct Failure {
    std::string key;
    S3Error error;
  };
  std::vector<Failure> failures;
};
Result<S3Deleted> parse_s3_deleted(std::string_view text);
std::string s3_delete_body(const std::vector<std::string>& keys);

// Of CreateMultipartUpload.
Result<std::string> parse_s3_upload_id(std::string_view text);
// CompleteMultipartUpload tells some of its errors in an answer of 200: those have a code.
Result<S3Error> parse_s3_completed(std::string_view text);
// `checksums` are empty where none was sent.
std::string s3_complete_body(const std::vector<std::string>& etags,
                             const std::vector<std::string>& checksums);

struct S3Uploads {
  struct Upload {
    std::string key;
    std::string id;
    int64_t started_ms = 0;
  };
  std::vector<Upload> uploads;
  bool truncated = false;
  std::string next_key;
  std::string next_id;
};
Result<S3Uploads> parse_s3_uploads(std::string_view text);

struct StsCredentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;
  int64_t expires_ms = 0;
};
// Of AssumeRole and AssumeRoleWithWebIdentity.
Result<StsCredentials> parse_sts_credentials(std::string_view text);

// "2026-11-26T20:41:00Z", with or without a fraction; milliseconds since 1970.
Result<int64_t> parse_iso_time(std::string_view text);
// "Thu, 26 Nov 2026 20:41:00 GMT"
Result<int64_t> parse_http_date(std::string_view text);

}  // namespace paceline::object
