#pragma once

#include <string_view>

namespace paceline::page {

// A file of `assets/` as it stands in the page, and its hash as a content security policy names it:
// "sha256-…". Made by embed.py.
struct Asset {
  std::string_view text;
  std::string_view hash;
};
extern const Asset kStyle;
extern const Asset kScript;
extern const Asset kTimeline;  // the markup that the script fills

}  // namespace paceline::page
