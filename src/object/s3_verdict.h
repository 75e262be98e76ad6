#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_client.h"

namespace paceline::object {

// What one attempt at a request has shown. The order has no meaning.
enum class S3Verdict {
  fine,         // it was done
  exists,       // 412: there is an object already
  conflict,     // 409: somebody else is at it; nothing is known
  missing,      // there is no such object
  no_upload,    // there is no such multipart upload (any more)
  range,        // 416: the object is shorter
  throttled,    // refused for now, nothing happened
  again,        // nothing happened, another try may do
  unknown,      // it may have happened, another try may do
  credentials,  // refused: the credentials have expired or are not known
  clock,        // refused: our clock is off
  no_bucket,    // nothing can work until somebody creates it
  denied,       // the policy refuses
  full,         // there is no room
  refused,      // it will never work
  cancelled,
};

struct S3Judged {
  S3Verdict verdict = S3Verdict::refused;
  // Whatever the verdict says of the last answer: something of this attempt may have been done.
  bool maybe = false;
  std::string why;  // a sentence for a human, empty if fine
};

// Pure. `outcome` may hold an answer of any status. The answer to a HEAD never says more than its
// status: what it calls missing is to be asked again in another way.
S3Judged judge_s3(const net::HttpOutcome& outcome, bool head);

// Whether the same request may be sent again later.
bool is_retried(S3Verdict verdict);
std::string_view verdict_name(S3Verdict verdict);

// The verdict on one request that two attempts were made at.
S3Judged combine(const S3Judged& one, const S3Judged& other);

}  // namespace paceline::object
