#include "object/s3_verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "object/s3_answers.h"

namespace paceline::object {
namespace {

struct Known {
  std::string_view code;
  S3Verdict verdict;
};
constexpr std::array kKnown = {
    Known{"NoSuchKey", S3Verdict::missing},
    Known{"NoSuchBucket", S3Verdict::no_bucket},
    Known{"NoSuchUpload", S3Verdict::no_upload},
    Known{"PreconditionFailed", S3Verdict::exists},
    Known{"ConditionalRequestConflict", S3Verdict::conflict},
    Known{"OperationAborted", S3Verdict::conflict},
    Known{"InvalidRange", S3Verdict::range},
    Known{"SlowDown", S3Verdict::throttled},
    Known{"TooManyRequests", S3Verdict::throttled},
    Known{"RequestLimitExceeded", S3Verdict::throttled},
    Known{"Throttling", S3Verdict::throttled},
    Known{"ThrottlingException", S3Verdict::throttled},
    // The body came too slowly or was damaged on its way: refused before it took effect.
    Known{"RequestTimeout", S3Verdict::again},
    Known{"BadDigest", S3Verdict::again},
    Known{"IncompleteBody", S3Verdict::again},
    Known{"XAmzContentSHA256Mismatch", S3Verdict::again},
    Known{"XAmzContentChecksumMismatch", S3Verdict::again},
    Known{"RequestTimeTooSkewed", S3Verdict::clock},
    Known{"RequestExpired", S3Verdict::clock},
    Known{"ExpiredToken", S3Verdict::credentials},
    Known{"ExpiredTokenException", S3Verdict::credentials},
    Known{"InvalidToken", S3Verdict::credentials},
    Known{"TokenRefreshRequired", S3Verdict::credentials},
    Known{"InvalidAccessKeyId", S3Verdict::credentials},
    Known{"SignatureDoesNotMatch", S3Verdict::credentials},
    Known{"AccessDenied", S3Verdict::denied},
    Known{"AllAccessDisabled", S3Verdict::denied},
    Known{"QuotaExceeded", S3Verdict::full},
    Known{"NotImplemented", S3Verdict::refused},
    Known{"MethodNotAllowed", S3Verdict::refused},
    Known{"AccountProblem", S3Verdict::denied},
};

S3Verdict by_status(int status) {
  if (status >= 200 && status < 300) return S3Verdict::fine;
  switch (status) {
    case 401:
    case 403:
      return S3Verdict::denied;
    case 409:
      return S3Verdict::conflict;
    case 412:
      return S3Verdict::exists;
    case 416:
      return S3Verdict::range;
    case 408:
      return S3Verdict::again;
    case 429:
      return S3Verdict::throttled;
    case 503:
      return S3Verdict::throttled;
    case 501:
      return S3Verdict::refused;
    case 507:
      return S3Verdict::full;
    default:
      return status >= 500 ? S3Verdict::unknown : S3Verdict::refused;
  }
}

S3Judged judge_answer(const net::HttpAnswer& answer, bool head) {
  const int status = answer.status;
  S3Judged judged{by_status(status), false, {}};
  if (judged.verdict == S3Verdict::fine) return judged;
  const S3Error error = parse_s3_error(answer.text());
  const auto known = std::ranges::find(kKnown, error.code, &Known::code);
  if (known != kKnown.end()) judged.verdict = known->verdict;
  // An answer of 404 that does not say what is missing is somebody else's, or one without a body:
  // whoever needs to know asks in another way.
  if (status == 404 && error.code.empty())
    judged.verdict = head ? S3Verdict::missing : S3Verdict::again;
  // Whatever word stands in it: who answers 5xx may have done it. A store that says that it has no
  // room for the request has not.
  const bool told = status == 503 && error.code == "SlowDown";
  judged.maybe = status >= 500 && !told;
  judged.why = error.code.empty() ? fmt::format("the store answered {}", status)
                                  : fmt::format("the store answered {} {}", status, error.code);
  if (!error.message.empty() && judged.verdict != S3Verdict::credentials)
    judged.why += fmt::format(" ({})", error.message);
  return judged;
}

// The lower, the more it tells about the request as a whole.
int rank(S3Verdict verdict) {
  switch (verdict) {
    case S3Verdict::fine:
      return 0;
    case S3Verdict::exists:
      return 1;
    case S3Verdict::missing:
    case S3Verdict::no_upload:
    case S3Verdict::range:
      return 2;
    case S3Verdict::conflict:
      return 3;
    case S3Verdict::no_bucket:
    case S3Verdict::denied:
    case S3Verdict::full:
    case S3Verdict::refused:
      return 4;
    case S3Verdict::credentials:
    case S3Verdict::clock:
    case S3Verdict::throttled:
      return 5;
    case S3Verdict::unknown:
    case S3Verdict::again:
      return 6;
    case S3Verdict::cancelled:
      return 7;
  }
  return 8;
}

}  // namespace

S3Judged judge_s3(const net::HttpOutcome& outcome, bool head) {
  if (!outcome.answer) {
    const Error& error = outcome.answer.error();
    S3Judged judged;
    judged.maybe = outcome.reached != net::HttpReached::nothing;
    judged.why = error.message;
    if (error.code == Code::cancelled) {
      judged.verdict = S3Verdict::cancelled;
    } else if (judged.maybe) {
      judged.verdict = S3Verdict::unknown;
    } else {
      // A name that is not resolved now may be so later, and so may a certificate be renewed.
      judged.verdict = S3Verdict::again;
    }
    return judged;
  }
  S3Judged judged = judge_answer(*outcome.answer, head);
  judged.maybe = judged.maybe || (outcome.repeated && judged.verdict != S3Verdict::fine);
  return judged;
}

bool is_retried(S3Verdict verdict) {
  switch (verdict) {
    case S3Verdict::conflict:
    case S3Verdict::throttled:
    case S3Verdict::again:
    case S3Verdict::unknown:
    case S3Verdict::credentials:
    case S3Verdict::clock:
      return true;
    default:
      return false;
  }
}

std::string_view verdict_name(S3Verdict verdict) {
  constexpr std::array<std::string_view, 16> kNames = {
      "fine",      "exists", "conflict", "missing",     "no_upload", "range",
      "throttled", "again",  "unknown",  "credentials", "clock",     "no_bucket",
      "denied",    "full",   "refused",  "cancelled"};
  return kNames[static_cast<size_t>(verdict)];
}

S3Judged combine(const S3Judged& one, const S3Judged& other) {
  S3Judged judged = rank(one.verdict) <= rank(other.verdict) ? one : other;
  judged.maybe = judged.verdict != S3Verdict::fine && (one.maybe || other.maybe);
  return judged;
}

}  // namespace paceline::object
