#include "net/http.h"

#include <gtest/gtest.h>

namespace paceline::net {
namespace {

TEST(HttpRequest, WholeOnesAreParsedAndHalfOnesWaited) {
  const std::string text = "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nX-Y:  z \r\n\r\n";
  for (size_t cut = 0; cut < text.size(); ++cut) {
    auto parsed = parse_http_request(std::string_view(text).substr(0, cut));
    ASSERT_TRUE(parsed);
    EXPECT_FALSE(*parsed) << cut;
  }
  auto parsed = parse_http_request(text + "GET /next");
  ASSERT_TRUE(parsed && *parsed);
  EXPECT_EQ((*parsed)->request.target, "/metrics?x=1");
  EXPECT_EQ((*parsed)->request.headers["x-y"], "z");
  EXPECT_EQ((*parsed)->bytes, text.size());
  EXPECT_TRUE((*parsed)->keep_alive);
}

TEST(HttpRequest, BodiesAreCounted) {
  auto parsed =
      parse_http_request("POST / HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcdef");
  ASSERT_TRUE(parsed && *parsed);
  EXPECT_EQ((*parsed)->request.body, "abc");
  EXPECT_FALSE((*parsed)->keep_alive);
}

TEST(HttpRequest, AHeadIsThereBeforeItsBodyWhateverItsSize) {
  const std::string head = "PUT /key HTTP/1.0\r\nContent-Length: 99999999\r\n\r\n";
  auto parsed = parse_http_head(head);
  ASSERT_TRUE(parsed && *parsed);
  EXPECT_EQ((*parsed)->bytes, head.size());
  EXPECT_EQ((*parsed)->body_bytes, 99999999u);
  EXPECT_FALSE((*parsed)->keep_alive);
  EXPECT_FALSE(*parse_http_head("PUT /key HTTP/1.1\r\n"));
}

TEST(HttpRequest, WhatIsNoHttpIsRefused) {
  for (std::string bad :
       {"\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2\r\n\r\n",
        "GET / HTTP/1.1\r\n: x\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"})
    EXPECT_FALSE(parse_http_request(bad)) << bad;
  EXPECT_FALSE(parse_http_request(std::string(kHttpHeaderBytesMax + 1, 'x')));
}

}  // namespace
}  // namespace paceline::net
