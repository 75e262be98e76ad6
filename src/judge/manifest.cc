#include "judge/manifest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "base/check.h"
#include "judge/judge.h"

namespace paceline::judge {
namespace {

constexpr std::string_view kName = "MANIFEST.sha256";
constexpr std::string_view kPrevious = "previous";
constexpr size_t kHashChars = 64;

// By name; a line that is none is nothing.
std::map<std::string, std::string, std::less<>> hashes_of(std::string_view manifest) {
  std::map<std::string, std::string, std::less<>> hashes;
  while (!manifest.empty()) {
    const size_t end = std::min(manifest.find('\n'), manifest.size());
    const std::string_view line = manifest.substr(0, end);
    if (line.size() > kHashChars + 2 && line.substr(kHashChars, 2) == "  ")
      hashes[std::string(line.substr(kHashChars + 2))] = line.substr(0, kHashChars);
    manifest.remove_prefix(std::min(end + 1, manifest.size()));
  }
  return hashes;
}

}  // namespace

std::string sha256_of(std::string_view bytes) {
  std::array<unsigned char, 32> hash{};
  unsigned size = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), hash.data(), &size, EVP_sha256(), nullptr) == 1);
  CHECK(size == hash.size());
  std::string text;
  for (const unsigned char byte : hash) text += fmt::format("{:02x}", byte);
  return text;
}

std::string manifest(const Files& files, std::string_view previous) {
  std::string text;
  for (const auto& [name, bytes] : files)
    if (name != kName) text += fmt::format("{}  {}\n", sha256_of(bytes), name);
  if (!previous.empty()) text += fmt::format("{}  {}\n", previous, kPrevious);
  return text;
}

std::vector<std::string> check_manifest(const Files& files) {
  const auto manifest_file = files.find(std::string(kName));
  if (manifest_file == files.end()) return {fmt::format("{} is not there", kName)};
  std::vector<std::string> problems;
  const auto hashes = hashes_of(manifest_file->second);
  for (const auto& [name, bytes] : files) {
    if (name == kName) continue;
    const auto listed = hashes.find(name);
    if (listed == hashes.end()) {
      problems.push_back(fmt::format("{} is not listed in {}", name, kName));
    } else if (listed->second != sha256_of(bytes)) {
      problems.push_back(fmt::format("{} has another hash than {} says", name, kName));
    }
  }
  for (const auto& [name, hash] : hashes)
    if (name != kPrevious && !files.contains(name))
      problems.push_back(fmt::format("{} is listed in {} and is not there", name, kName));
  return problems;
}

}  // namespace paceline::judge
