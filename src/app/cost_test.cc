#include "app/cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace paceline::app {
namespace {

using testing::DoubleNear;
using testing::HasSubstr;

constexpr std::string_view kPrices =
    "# a list\ncurrency=EUR\nput.per.1000=5\nget.per.1000=0.5\nlist.per.1000=5\n"
    "delete.per.1000=0\ntransfer.in.per.gib=0.25\ntransfer.out.per.gib=0.125\n"
    "storage.per.gib.month=0.02\n";

// 1 GiB produced; 2,000 requests at the price of a put, 4,000 of a get; 2 GiB out, 4 GiB in.
constexpr std::string_view kMetrics =
    "# HELP x y\nkafka_server_brokertopicmetrics_bytesin_total 1073741824\n"
    "paceline_s3_requests_total{kind=\"put\"} 1500\n"
    "paceline_s3_requests_total{kind=\"multipart_part\"} 500\n"
    "paceline_s3_requests_total{kind=\"get\"} 3000\n"
    "paceline_s3_requests_total{kind=\"head\"} 1000\n"
    "paceline_s3_bytes_out_total{kind=\"put\"} 2147483648\n"
    "paceline_s3_bytes_in_total{kind=\"get\"} 4294967296\n";

TEST(Cost, IsRequestsAndBytesTimesTheirPrices) {
  const auto prices = parse_prices(kPrices);
  ASSERT_TRUE(prices) << prices.error().message;
  const auto cost = cost_of(parse_samples(kMetrics), *prices);
  ASSERT_TRUE(cost) << cost.error().message;
  EXPECT_EQ(prices->currency, "EUR");
  EXPECT_DOUBLE_EQ(cost->puts_per_gib, 2000);
  EXPECT_DOUBLE_EQ(cost->written_ratio, 2);
  EXPECT_DOUBLE_EQ(cost->lines[0].cost, 10);
  EXPECT_DOUBLE_EQ(cost->lines[1].cost, 2);
  EXPECT_DOUBLE_EQ(cost->lines.back().cost, 10 + 2 + 0.5 + 0.5);
  EXPECT_DOUBLE_EQ(cost->lines.back().cost_per_tib, 13 * 1024);
  EXPECT_THAT(cost->storage_per_tib_month, DoubleNear(20.48, 1e-9));
}

TEST(Cost, OfABrokerThatHasProducedNothingIsNotKnown) {
  const auto prices = parse_prices(kPrices);
  ASSERT_TRUE(prices);
  EXPECT_FALSE(cost_of(parse_samples("x 1\n"), *prices));
  EXPECT_THAT(cost_of(parse_samples("kafka_server_brokertopicmetrics_bytesin_total 5\n"), *prices)
                  .error()
                  .message,
              HasSubstr("in a folder"));
}

TEST(Cost, APriceListThatIsNotWholeIsRefused) {
  std::string text(kPrices);
  EXPECT_THAT(parse_prices(text + "put.per.100=1\n").error().message, HasSubstr("unknown key"));
  EXPECT_THAT(parse_prices(text + "get.per.1000=-1\n").error().message, HasSubstr("no price"));
  EXPECT_THAT(parse_prices(text + "get.per.1000=nan\n").error().message, HasSubstr("no price"));
  text.erase(text.find("list.per.1000"), text.find("delete") - text.find("list.per.1000"));
  EXPECT_THAT(parse_prices(text).error().message, HasSubstr("list.per.1000 is missing"));
}

}  // namespace
}  // namespace paceline::app
