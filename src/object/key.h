#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace paceline::object {

inline constexpr size_t kKeyBytesMax = 1024;       // S3's limit
inline constexpr size_t kComponentBytesMax = 200;  // a file name's 255, less what a temporary adds

// A key is one or more components between slashes: none is empty or starts with a dot, and all
// are printable ASCII. So a key never leaves its folder and never names a temporary file.
Result<void> check_key(std::string_view key);

}  // namespace paceline::object
