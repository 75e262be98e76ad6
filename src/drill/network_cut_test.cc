#include "drill/network_cut.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "drill/store_faults.h"

namespace paceline::drill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kDev = R"({"kind": "DevCluster", "state": "ready",
 "network": {"interface": "paceline-7", "machine": "10.0.0.253"}, "services": [
 {"name": "network", "role": "network", "number": 0, "pid": 50, "host": "10.0.0.254"},
 {"name": "host-1", "role": "network", "number": 1, "pid": 51, "host": "10.0.0.1"},
 {"name": "host-2", "role": "network", "number": 2, "pid": 52, "host": "10.0.0.2"},
 {"name": "host-3", "role": "network", "number": 3, "pid": 53, "host": "10.0.0.3"}]})";

std::vector<CutPlace> cut(const std::vector<int32_t>& brokers, std::string_view direction) {
  auto places = plan_cut(*parse_dev_file(kDev), brokers, direction);
  EXPECT_TRUE(places);
  return places ? std::move(*places) : std::vector<CutPlace>();
}

std::vector<std::string> names(const std::vector<CutPlace>& places) {
  std::vector<std::string> all;
  for (const CutPlace& place : places) all.push_back(place.where);
  return all;
}

// "host-1>10.0.0.2": what it sends there is lost.
std::vector<std::string> ways(const std::vector<CutPlace>& places) {
  std::vector<std::string> all;
  for (const CutPlace& place : places) {
    constexpr std::string_view kReplace = "replace ";
    for (size_t at = place.cut.find(kReplace); at != std::string::npos;
         at = place.cut.find(kReplace, at + 1)) {
      const size_t from = at + kReplace.size();
      all.push_back(place.where + ">" + place.cut.substr(from, place.cut.find(' ', from) - from));
    }
  }
  return all;
}

TEST(NetworkCut, BothPullsCablesAtTheBridge) {
  const auto places = cut({1, 3}, "both");
  ASSERT_THAT(names(places), ElementsAre("network"));
  EXPECT_EQ(places[0].cut, "ip link set to-1 down\nip link set to-3 down\n");
  EXPECT_EQ(places[0].mend, "ip link set to-1 up\nip link set to-3 up\n");
  EXPECT_THAT(places[0].command(places[0].cut).argv,
              ElementsAre("nsenter", "--net=/proc/50/ns/net", "sh", "-ec", places[0].cut));
}

TEST(NetworkCut, OneWayIsWhatIsSentOnIt) {
  EXPECT_THAT(ways(cut({2}, "out")), ElementsAre("host-2>10.0.0.1", "host-2>10.0.0.3",
                                                 "host-2>10.0.0.254", "host-2>10.0.0.253"));
  const auto in = cut({2}, "in");
  EXPECT_THAT(ways(in), ElementsAre("host-1>10.0.0.2", "host-3>10.0.0.2", "network>10.0.0.2",
                                    "machine>10.0.0.2"));
  // The machine has a network of its own, and other interfaces.
  EXPECT_EQ(in.back().command(in.back().mend).argv.front(), "sh");
  EXPECT_THAT(in.back().mend, HasSubstr("dev paceline-7"));
}

TEST(NetworkCut, ClientsHearWhoIsCutOffFromTheCluster) {
  const auto places = cut({2}, "cluster");
  EXPECT_THAT(ways(places),
              ElementsAre("host-1>10.0.0.2", "host-2>10.0.0.1", "host-2>10.0.0.3",
                          "host-2>10.0.0.254", "host-3>10.0.0.2", "network>10.0.0.2"));
  for (const CutPlace& place : places) EXPECT_THAT(place.cut, Not(HasSubstr("253")));
  // Hosts of one zone hear each other.
  EXPECT_THAT(ways(cut({1, 2}, "cluster")), Not(testing::Contains("host-1>10.0.0.2")));
}

TEST(NetworkCut, WhoIsNoHostCannotBeCutOff) {
  EXPECT_EQ(plan_cut(*parse_dev_file(kDev), {4}, "both").error().code, Code::not_found);
  EXPECT_EQ(plan_cut(*parse_dev_file(kDev), {}, "both").error().code, Code::not_found);
  const auto flat = parse_dev_file(R"({"kind": "DevCluster", "services": []})");
  EXPECT_EQ(plan_cut(*flat, {1}, "both").error().code, Code::unsupported);
}

TEST(StoreFaults, SettingsAreNumbers) {
  EXPECT_EQ(*store_faults_json({{"latency_ms", "200"}, {"errors_percent", "10"}}),
            R"({"errors_percent":10.0,"latency_ms":200.0})");
  EXPECT_FALSE(store_faults_json({}));
  EXPECT_FALSE(store_faults_json({{"latency_ms", "slow"}}));
  EXPECT_EQ(*met_of(R"({"met": 3})"), 3);
  EXPECT_FALSE(met_of("{}"));
  EXPECT_FALSE(met_of("no"));
}

}  // namespace
}  // namespace paceline::drill
