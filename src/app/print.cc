#include "app/print.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace paceline::app {

std::string Listing::table() const {
  std::vector<size_t> widths;
  std::vector<std::string> headers;
  for (const std::string& column : columns_) {
    std::string header;
    for (char c : column)
      header += c == '_' ? '-' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    widths.push_back(header.size());
    headers.push_back(std::move(header));
  }
  for (const auto& row : rows_) {
    for (size_t at = 0; at < row.size(); ++at)
      widths[at] = std::max(widths[at], std::max<size_t>(row[at].text.size(), 1));
  }
  std::string out;
  auto line = [&](auto text_of) {
    std::string text;
    for (size_t at = 0; at < columns_.size(); ++at) {
      text += text_of(at);
      text.append(widths[at] - text_of(at).size() + 2, ' ');
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    out += text + "\n";
  };
  line([&](size_t at) { return headers[at]; });
  for (const auto& row : rows_)
    line([&](size_t at) {
      return row[at].what == Cell::What::null || row[at].text.empty() ? std::string("-")
                                                                      : row[at].text;
    });
  for (const auto& [name, more] : attached_) out += "\n" + more.table();
  return out;
}

nlohmann::ordered_json Listing::items() const {
  nlohmann::ordered_json items = nlohmann::ordered_json::array();
  for (const auto& row : rows_) {
    nlohmann::ordered_json item;
    for (size_t at = 0; at < columns_.size(); ++at) {
      switch (row[at].what) {
        case Cell::What::null:
          item[columns_[at]] = nullptr;
          break;
        case Cell::What::number:
          item[columns_[at]] = std::stoll(row[at].text);
          break;
        case Cell::What::boolean:
          item[columns_[at]] = row[at].text == "true";
          break;
        case Cell::What::text:
          item[columns_[at]] = row[at].text;
          break;
      }
    }
    items.push_back(std::move(item));
  }
  return items;
}

std::string Listing::json() const {
  nlohmann::ordered_json document{
      {"api_version", "paceline/v1"}, {"kind", kind_}, {"items", items()}};
  for (const auto& [name, more] : attached_) document[name] = more.items();
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void Listing::print(bool json_form) const {
  const std::string text = json_form ? json() : table();
  std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace paceline::app
