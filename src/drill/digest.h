#pragma once

#include <string>
#include <string_view>

namespace paceline::drill {

// Hexadecimal SHA-256, as sha256sum prints it.
std::string sha256_hex(std::string_view bytes);

}  // namespace paceline::drill
