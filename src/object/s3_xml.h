#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paceline::object {

// An element of the XML that stores answer with: text, or elements, or nothing. Attributes and
// name spaces are left out.
struct XmlElement {
  std::string name;
  std::string text;
  std::vector<XmlElement> children;

  const XmlElement* child(std::string_view named) const;   // the first; nothing if none
  std::string_view text_of(std::string_view named) const;  // of the first; empty if none
};

inline constexpr size_t kXmlDepthMax = 12;
inline constexpr size_t kXmlElementsMax = 100'000;

// A whole document. corrupt: anything that is not plain elements and text; document types,
// processing instructions, comments and sections of other kinds are refused, not skipped.
Result<XmlElement> parse_xml(std::string_view text);

std::string xml_escape(std::string_view text);

}  // namespace paceline::object
