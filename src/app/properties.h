#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paceline::app {

struct Property {
  std::string key;
  std::string value;
  int line = 0;
};

// A Java properties file: comments with # or !, '=' or ':' or blanks between key and value, lines
// continued by a backslash, \t \n \r \f \uXXXX. invalid_argument names the line.
Result<std::vector<Property>> parse_properties(std::string_view text);

}  // namespace paceline::app
