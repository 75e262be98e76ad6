#pragma once

#include <string>
#include <string_view>

namespace paceline::judge {

// Lower-case hexadecimal.
std::string sha256_of(std::string_view bytes);

}  // namespace paceline::judge
