#include "app/cost_command.h"

#include "app/commands.h"
#include "app/config.h"
#include "app/cost.h"
#include "app/print.h"
#include "env/disk.h"
#include "net/http_client.h"

namespace paceline::app {
namespace {

constexpr uint64_t kFileBytesMax = 64ull << 20;

Task<Result<std::string>> read_metrics(env::Shard& shard, std::string from) {
  constexpr std::string_view kHttp = "http://";
  if (!from.starts_with(kHttp)) co_return env::read_file(shard.disk(), from, kFileBytesMax);
  const std::string rest = from.substr(kHttp.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  CO_TRY(const meta::Endpoint endpoint, parse_address(rest.substr(0, slash)));
  net::HttpRequest request;
  request.method = "GET";
  request.target = slash < rest.size() ? rest.substr(slash) : "/metrics";
  const env::Instant deadline = shard.now() + std::chrono::seconds(10);
  CO_TRY(auto answer, co_await net::http_request(shard, endpoint.host, endpoint.port,
                                                 std::move(request), deadline));
  if (answer.status != 200)
    co_return fail(Code::unavailable, fmt::format("{} answers {}", from, answer.status));
  co_return std::string(as_text(answer.body.bytes()));
}

Task<Result<Cost>> find_out(env::Shard& shard, const CostOptions& options, std::string* currency) {
  CO_TRY(const std::string list, env::read_file(shard.disk(), options.prices, kFileBytesMax));
  auto prices = parse_prices(list);
  if (!prices)
    co_return fail(Code::invalid_argument,
                   fmt::format("{}: {}", options.prices, prices.error().message));
  *currency = prices->currency;
  CO_TRY(const std::string metrics, co_await read_metrics(shard, options.metrics));
  co_return cost_of(parse_samples(metrics), *prices);
}

}  // namespace

Task<int> cost(env::Shard& shard, CostOptions options) {
  std::string currency;
  auto found = co_await find_out(shard, options, &currency);
  if (!found) co_return complain(kFailed, found.error().message);
  Listing listing("Cost", {"item", "count", "cost", "cost_per_produced_tib", "currency"});
  for (const CostLine& line : found->lines)
    listing.row({Cell::of(line.what),
                 line.what == "all" ? Cell::none() : Cell::of(fmt::format("{:.3f}", line.count)),
                 Cell::of(fmt::format("{:.6f}", line.cost)),
                 Cell::of(fmt::format("{:.4f}", line.cost_per_tib)), Cell::of(currency)});
  listing.print(options.json);
  std::fprintf(stderr,
               "%.3f GiB produced; %.2f bytes sent to the store for each, %.1f puts a GiB; keeping "
               "a TiB costs %.2f %s a month\n",
               found->produced_bytes / (1024.0 * 1024 * 1024), found->written_ratio,
               found->puts_per_gib, found->storage_per_tib_month, currency.c_str());
  co_return kDone;
}

}  // namespace paceline::app
