#include "meta/store.h"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "meta/limits.h"

namespace paceline::meta {

Transaction& Transaction::if_absent(std::string key) {
  compares.push_back(
      {.key = std::move(key), .what = Compare::What::absent, .modified = {}, .value = {}});
  return *this;
}
Transaction& Transaction::if_exists(std::string key) {
  compares.push_back(
      {.key = std::move(key), .what = Compare::What::exists, .modified = {}, .value = {}});
  return *this;
}
Transaction& Transaction::if_modified_at(std::string key, Revision revision) {
  compares.push_back({.key = std::move(key),
                      .what = Compare::What::modified_equals,
                      .modified = revision,
                      .value = {}});
  return *this;
}
Transaction& Transaction::if_value(std::string key, std::string value) {
  compares.push_back({.key = std::move(key),
                      .what = Compare::What::value_equals,
                      .modified = {},
                      .value = std::move(value)});
  return *this;
}
Transaction& Transaction::put(std::string key, std::string value, LeaseId lease) {
  writes.push_back(
      {.what = Write::What::put, .key = std::move(key), .value = std::move(value), .lease = lease});
  return *this;
}
Transaction& Transaction::remove(std::string key) {
  writes.push_back({.what = Write::What::remove, .key = std::move(key), .value = {}});
  return *this;
}

Result<void> check_limits(const Transaction& transaction) {
  if (transaction.compares.size() > kOperationsMax || transaction.writes.size() > kOperationsMax)
    return fail(
        Code::invalid_argument,
        fmt::format("a transaction of {} compares and {} writes is over the limit of {} each",
                    transaction.compares.size(), transaction.writes.size(), kOperationsMax));
  size_t bytes = 0;
  std::set<std::string_view> written;
  for (const Compare& compare : transaction.compares) {
    if (compare.key.empty()) return fail(Code::invalid_argument, "a compare has an empty key");
    bytes += compare.key.size() + compare.value.size();
  }
  for (const Write& write : transaction.writes) {
    if (write.key.empty()) return fail(Code::invalid_argument, "a write has an empty key");
    if (!written.insert(write.key).second)
      return fail(Code::invalid_argument,
                  fmt::format("'{}' is written twice in one transaction", write.key));
    if (write.value.size() > kValueBytesMax)
      return fail(Code::invalid_argument,
                  fmt::format("the value of '{}' has {} bytes, over the limit of {}", write.key,
                              write.value.size(), kValueBytesMax));
    bytes += write.key.size() + write.value.size();
  }
  if (bytes > kTransactionBytesMax)
    return fail(Code::invalid_argument,
                fmt::format("a transaction of {} bytes is over the limit of {}", bytes,
                            kTransactionBytesMax));
  return {};
}

std::string prefix_end(std::string prefix) {
  while (!prefix.empty()) {
    auto last = static_cast<unsigned char>(prefix.back());
    if (last < 0xff) {
      prefix.back() = static_cast<char>(last + 1);
      return prefix;
    }
    prefix.pop_back();
  }
  return prefix;
}

Task<Result<Range>> range_prefix(Store& store, env::Shard& shard, std::string prefix) {
  constexpr size_t kPageEntries = 1000;
  const std::string end = prefix_end(prefix);
  CO_TRY(Range all, co_await store.range(shard, prefix, end, kPageEntries));
  while (all.more) {
    // The next key there can be: a page never starts with the last entry of the one before.
    std::string from = all.entries.back().key + '\0';
    CO_TRY(Range page, co_await store.range(shard, std::move(from), end, kPageEntries));
    for (Entry& entry : page.entries) all.entries.push_back(std::move(entry));
    all.more = page.more;
  }
  co_return all;
}

}  // namespace paceline::meta
