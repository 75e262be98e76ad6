#include "client/scram.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>

#include "base/check.h"

namespace paceline::client {
namespace {

// What Kafka's brokers accept at least, and what costs a client a second at most.
constexpr int kIterationsMin = 4'096, kIterationsMax = 1'000'000;
// GS2's header: no channel binding, and nobody else's name. "biws" is the same in base64.
constexpr std::string_view kHeader = "n,,", kHeaderAgain = "c=biws";

const EVP_MD* method(Scram::Hash hash) {
  return hash == Scram::Hash::sha256 ? EVP_sha256() : EVP_sha512();
}
const unsigned char* raw(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string hmac(const EVP_MD* hash, std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  CHECK(HMAC(hash, key.data(), static_cast<int>(key.size()), raw(text), text.size(), out.data(),
             &size));
  return {reinterpret_cast<const char*>(out.data()), size};
}
std::string digest(const EVP_MD* hash, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  CHECK(EVP_Digest(text.data(), text.size(), out.data(), &size, hash, nullptr) == 1);
  return {reinterpret_cast<const char*>(out.data()), size};
}
std::string salted(const EVP_MD* hash, std::string_view password, std::string_view salt,
                   int iterations) {
  std::string out(static_cast<size_t>(EVP_MD_get_size(hash)), '\0');
  CHECK(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), raw(salt),
                          static_cast<int>(salt.size()), iterations, hash,
                          static_cast<int>(out.size()),
                          reinterpret_cast<unsigned char*>(out.data())) == 1);
  return out;
}

std::string to_base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // and a zero that OpenSSL writes
  out.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                                 raw(bytes), static_cast<int>(bytes.size()))));
  return out;
}
std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() > 4'096) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  if (EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), raw(text),
                      static_cast<int>(text.size())) < 0)
    return std::nullopt;
  for (const char* padding : {"==", "="})
    if (text.ends_with(padding)) {
      out.resize(out.size() - std::string_view(padding).size());
      break;
    }
  return out;
}

std::string escaped(std::string_view name) {
  std::string out;
  for (const char c : name) out += c == '=' ? "=3D" : c == ',' ? "=2C" : std::string(1, c);
  return out;
}

// The value of `key` in `text`, "a=…,b=…"; nothing: it is not there.
std::optional<std::string_view> attribute(std::string_view text, char key) {
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    if (one.size() >= 2 && one[0] == key && one[1] == '=') return one.substr(2);
    text.remove_prefix(std::min(text.size(), one.size() + 1));
  }
  return std::nullopt;
}

}  // namespace

Scram::Scram(Hash hash, std::string_view username, std::string password, std::string nonce)
    : hash_(hash),
      password_(std::move(password)),
      nonce_(std::move(nonce)),
      bare_(fmt::format("n={},r={}", escaped(username), nonce_)) {}

std::string Scram::first() const {
  return fmt::format("{}{}", kHeader, bare_);
}

Result<std::string> Scram::answer(std::string_view server_first) {
  const auto nonce = attribute(server_first, 'r'), salt = attribute(server_first, 's'),
             count = attribute(server_first, 'i');
  const auto salt_bytes = salt ? from_base64(*salt) : std::nullopt;
  int iterations = 0;
  if (count) std::from_chars(count->data(), count->data() + count->size(), iterations);
  if (!nonce || !nonce->starts_with(nonce_) || nonce->size() == nonce_.size() || !salt_bytes ||
      iterations < kIterationsMin || iterations > kIterationsMax)
    return fail(Code::corrupt, "the broker's first word of SCRAM makes no sense");
  const EVP_MD* hash = method(hash_);
  const std::string without_proof = fmt::format("{},r={}", kHeaderAgain, *nonce);
  const std::string all = fmt::format("{},{},{}", bare_, server_first, without_proof);
  const std::string password = salted(hash, password_, *salt_bytes, iterations);
  const std::string key = hmac(hash, password, "Client Key");
  std::string proof = hmac(hash, digest(hash, key), all);
  for (size_t i = 0; i < proof.size(); ++i) proof[i] = static_cast<char>(proof[i] ^ key[i]);
  proof_of_server_ = to_base64(hmac(hash, hmac(hash, password, "Server Key"), all));
  return fmt::format("{},p={}", without_proof, to_base64(proof));
}

Result<void> Scram::check(std::string_view server_last) const {
  if (const auto refused = attribute(server_last, 'e'))
    return fail(Code::permission_denied, fmt::format("SCRAM is refused: {}", *refused));
  if (proof_of_server_.empty() || attribute(server_last, 'v') != proof_of_server_)
    return fail(Code::permission_denied, "the broker does not know the password itself");
  return {};
}

}  // namespace paceline::client
