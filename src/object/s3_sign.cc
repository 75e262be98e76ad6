#include "object/s3_sign.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

#include "object/s3_location.h"

namespace paceline::object {
namespace {

using Digest = std::array<std::byte, 32>;

std::string hmac(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned int size = 0;
  const unsigned char* made =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &size);
  CHECK(made != nullptr && size == sizeof(Digest));
  return std::string(reinterpret_cast<const char*>(out.data()), size);
}

class Hash {
 public:
  explicit Hash(const EVP_MD* kind) : context_(EVP_MD_CTX_new()) {
    CHECK(context_ && EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1);
  }
  void add(Bytes bytes) {
    CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  Bytes finish() {
    unsigned int size = 0;
    CHECK(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(out_.data()),
                             &size) == 1);
    return Bytes(out_).first(size);
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
  std::array<std::byte, EVP_MAX_MD_SIZE> out_;
};

std::string sha256_hex(std::string_view text) {
  Hash hash(EVP_sha256());
  hash.add(as_bytes(text));
  return hex_of(hash.finish());
}

// Sorted as it is encoded; a parameter without a value keeps its '='.
std::string canonical_query(const SignedRequest& request) {
  std::vector<std::string> pairs;
  for (const auto& [name, value] : request.query)
    pairs.push_back(url_encode(name, false) + "=" + url_encode(value, false));
  std::ranges::sort(pairs);
  std::string out;
  for (const std::string& pair : pairs) out += (out.empty() ? "" : "&") + pair;
  return out;
}

}  // namespace

std::string hex_of(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    out += kDigits[std::to_integer<size_t>(byte >> 4)];
    out += kDigits[std::to_integer<size_t>(byte & std::byte{15})];
  }
  return out;
}

std::string base64_of(Bytes bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int count = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                    reinterpret_cast<const unsigned char*>(bytes.data()),
                                    static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(count));
  return out;
}

std::string sha256_hex(const std::vector<Slice>& pieces) {
  Hash hash(EVP_sha256());
  for (const Slice& piece : pieces) hash.add(piece.bytes());
  return hex_of(hash.finish());
}

std::string md5_base64(std::string_view text) {
  Hash hash(EVP_md5());
  hash.add(as_bytes(text));
  return base64_of(hash.finish());
}

std::string amz_time(int64_t wall_ms) {
  using namespace std::chrono;
  const sys_seconds when(duration_cast<seconds>(milliseconds(wall_ms)));
  const sys_days day = floor<days>(when);
  const year_month_day date(day);
  const hh_mm_ss time(when - day);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count());
}

const std::string& Signer::day_key(const SigningKeys& keys, const std::string& date) {
  if (key_date_ != date || key_secret_ != keys.secret_key) {
    const std::string day = hmac("AWS4" + keys.secret_key, date);
    key_ = hmac(hmac(hmac(day, region_), service_), "aws4_request");
    key_date_ = date;
    key_secret_ = keys.secret_key;
  }
  return key_;
}

std::string Signer::sign(SignedRequest& request, const SigningKeys& keys, int64_t wall_ms,
                         std::string_view payload_sha256) {
  const std::string time = amz_time(wall_ms);
  const std::string date = time.substr(0, 8);
  request.headers.erase("authorization");
  request.headers["x-amz-date"] = time;
  request.headers["x-amz-content-sha256"] = std::string(payload_sha256);
  if (!keys.session_token.empty()) request.headers["x-amz-security-token"] = keys.session_token;
  std::string fields;
  std::string names;
  for (const auto& [name, value] : request.headers) {
    fields += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  const std::string query = canonical_query(request);
  const std::string canonical = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.path,
                                            query, fields, names, payload_sha256);
  const std::string scope = fmt::format("{}/{}/{}/aws4_request", date, region_, service_);
  const std::string to_sign =
      fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", time, scope, sha256_hex(canonical));
  const std::string signature = hex_of(as_bytes(hmac(day_key(keys, date), to_sign)));
  request.headers["authorization"] =
      fmt::format("AWS4-HMAC-SHA256 Credential={}/{},SignedHeaders={},Signature={}",
                  keys.access_key, scope, names, signature);
  return query.empty() ? request.path : request.path + "?" + query;
}

}  // namespace paceline::object
