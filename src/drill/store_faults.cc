#include "drill/store_faults.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

namespace paceline::drill {

using Json = nlohmann::json;

Result<std::string> store_faults_json(const std::map<std::string, std::string>& settings) {
  if (settings.empty())
    return fail(Code::invalid_argument,
                "a slow store needs settings: latency_ms, tail_ms, tail_percent, errors_percent, "
                "bytes_per_s");
  Json json = Json::object();
  for (const auto& [name, text] : settings) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size())
      return fail(Code::invalid_argument, fmt::format("{} = {}: no number", name, text));
    json[name] = number;
  }
  return json.dump();
}

Result<int64_t> met_of(std::string_view json) {
  const Json told = Json::parse(json, nullptr, false);
  if (!told.is_object() || !told.contains("met") || !told["met"].is_number_integer())
    return fail(Code::corrupt, "the way to the store answers something else");
  return told["met"].get<int64_t>();
}

}  // namespace paceline::drill
