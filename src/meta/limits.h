#pragma once

#include <cstddef>

#include "meta/store.h"

namespace paceline::meta {

// etcd's defaults (--max-txn-ops, --max-request-bytes), kept by every store, so that what works on
// one machine works beyond.
inline constexpr size_t kOperationsMax = 128;  // compares, and writes
inline constexpr size_t kValueBytesMax = 1 << 20;
// Keys and values together. What etcd's 1.5 MiB leave to it: the rest is for 256 operations with
// a prefix of up to 128 bytes each, and their encoding.
inline constexpr size_t kTransactionBytesMax = 1472 << 10;

// invalid_argument, with the limit in the sentence.
Result<void> check_limits(const Transaction& transaction);

}  // namespace paceline::meta
