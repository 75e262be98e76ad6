#include "app/cost.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "app/properties.h"

namespace paceline::app {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr double kTiB = 1024 * kGiB;

constexpr std::string_view kPriceKeys[] = {
    "put.per.1000",        "get.per.1000",         "list.per.1000",        "delete.per.1000",
    "transfer.in.per.gib", "transfer.out.per.gib", "storage.per.gib.month"};

// Which kinds of requests have one price.
struct Class {
  std::string_view what;
  std::string_view price;
  std::vector<std::string_view> kinds;
};
const std::vector<Class>& classes() {
  static const std::vector<Class> all = {
      {"put requests",
       "put.per.1000",
       {"put", "multipart_create", "multipart_part", "multipart_complete"}},
      {"get requests", "get.per.1000", {"get", "head"}},
      {"list requests", "list.per.1000", {"list", "multipart_list"}},
      {"delete requests", "delete.per.1000", {"remove", "bulk_remove", "multipart_abort"}}};
  return all;
}

double sample(const Samples& samples, std::string_view name) {
  const auto found = samples.find(name);
  return found == samples.end() ? 0 : found->second;
}

double sum_of(const Samples& samples, std::string_view name) {
  double sum = 0;
  const std::string prefix = std::string(name) + "{";
  for (auto at = samples.lower_bound(prefix); at != samples.end() && at->first.starts_with(prefix);
       ++at)
    sum += at->second;
  return sum;
}

Result<double> parse_price(const Property& property) {
  double price = 0;
  const char* end = property.value.data() + property.value.size();
  const auto parsed = std::from_chars(property.value.data(), end, price);
  if (parsed.ec != std::errc() || parsed.ptr != end || !(price >= 0) || price > 1e9)
    return fail(Code::invalid_argument, fmt::format("line {}: {}={}: this is no price",
                                                    property.line, property.key, property.value));
  return price;
}

}  // namespace

Samples parse_samples(std::string_view text) {
  Samples samples;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line.front() == '#') continue;
    const size_t blank = line.rfind(' ');
    if (blank == std::string_view::npos) continue;
    double value = 0;
    const auto parsed = std::from_chars(line.data() + blank + 1, line.data() + line.size(), value);
    if (parsed.ec == std::errc()) samples[std::string(line.substr(0, blank))] = value;
  }
  return samples;
}

Result<Prices> parse_prices(std::string_view text) {
  TRY(auto properties, parse_properties(text));
  Prices prices;
  for (const Property& property : properties) {
    if (property.key == "currency") {
      prices.currency = property.value;
      continue;
    }
    if (std::find(std::begin(kPriceKeys), std::end(kPriceKeys), property.key) ==
        std::end(kPriceKeys))
      return fail(Code::invalid_argument,
                  fmt::format("line {}: unknown key '{}'", property.line, property.key));
    TRY(prices.of[property.key], parse_price(property));
  }
  if (prices.currency.empty()) return fail(Code::invalid_argument, "the key currency is missing");
  for (std::string_view key : kPriceKeys)
    if (!prices.of.contains(key))
      return fail(Code::invalid_argument, fmt::format("the key {} is missing", key));
  return prices;
}

Result<Cost> cost_of(const Samples& samples, const Prices& prices) {
  Cost cost;
  cost.produced_bytes = sample(samples, "kafka_server_brokertopicmetrics_bytesin_total");
  if (cost.produced_bytes <= 0)
    return fail(Code::invalid_argument, "the broker has produced nothing since its start");
  if (!samples.contains("paceline_s3_requests_total{kind=\"put\"}"))
    return fail(Code::invalid_argument,
                "the broker's objects are in a folder: nobody bills for requests");
  const double tib = cost.produced_bytes / kTiB;
  CostLine sum{.what = "all"};
  auto add = [&](std::string what, double count, double price) {
    cost.lines.push_back({std::move(what), count, count * price, count * price / tib});
    sum.cost += count * price;
  };
  for (const Class& one : classes()) {
    double count = 0;
    for (std::string_view kind : one.kinds)
      count += sample(samples, fmt::format("paceline_s3_requests_total{{kind=\"{}\"}}", kind));
    if (one.price == "put.per.1000") cost.puts_per_gib = count / (cost.produced_bytes / kGiB);
    add(std::string(one.what), count, prices.of.find(one.price)->second / 1000);
  }
  const double out = sum_of(samples, "paceline_s3_bytes_out_total");
  const double in = sum_of(samples, "paceline_s3_bytes_in_total");
  cost.written_ratio = out / cost.produced_bytes;
  add("GiB sent to the store", out / kGiB, prices.of.find("transfer.in.per.gib")->second);
  add("GiB read from the store", in / kGiB, prices.of.find("transfer.out.per.gib")->second);
  sum.cost_per_tib = sum.cost / tib;
  cost.lines.push_back(std::move(sum));
  cost.storage_per_tib_month = prices.of.find("storage.per.gib.month")->second * 1024;
  return cost;
}

}  // namespace paceline::app
