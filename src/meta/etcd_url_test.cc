#include <gtest/gtest.h>

#include "meta/etcd.h"

namespace paceline::meta {
namespace {

std::string refusal(std::string_view url) {
  auto options = parse_etcd_url(url);
  return options ? "" : options.error().message;
}

TEST(EtcdUrl, SaysMembersPrefixAndUser) {
  auto options = parse_etcd_url(
      "etcd://one:2379,[::1]:99,three/a/b?user=me%40here&passwordFile=/p&caFile=/ca&certFile=/c&"
      "keyFile=/k");
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->endpoints, (std::vector<std::string>{"one:2379", "[::1]:99", "three:2379"}));
  EXPECT_EQ(options->prefix, "/a/b/");
  EXPECT_EQ(options->user, "me@here");
  EXPECT_EQ(options->password_file, "/p");
  EXPECT_EQ(options->ca_file, "/ca");
  EXPECT_EQ(options->certificate_file, "/c");
  EXPECT_EQ(options->key_file, "/k");
  EXPECT_EQ(options->password, "");
}

TEST(EtcdUrl, PrefixesHaveOneForm) {
  for (const char* url : {"etcd://h", "etcd://h/", "etcd://h//paceline//", "etcd://h/paceline"}) {
    auto options = parse_etcd_url(url);
    ASSERT_TRUE(options) << url;
    EXPECT_EQ(options->prefix, "/paceline/") << url;
  }
}

TEST(EtcdUrl, WhatIsWrongIsNamedInOneSentence) {
  EXPECT_NE(refusal("http://h"), "");
  EXPECT_NE(refusal("etcd://").find("host:port"), std::string::npos);
  EXPECT_NE(refusal("etcd://h:0"), "");
  EXPECT_NE(refusal("etcd://h:99999"), "");
  EXPECT_NE(refusal("etcd://h:12x"), "");
  EXPECT_NE(refusal("etcd://a b"), "");
  EXPECT_NE(refusal("etcd://h,,g"), "");
  EXPECT_NE(refusal("etcd://h:1,h:1").find("twice"), std::string::npos);
  EXPECT_NE(refusal("etcd://h/p?colour=red").find("'colour'"), std::string::npos);
  EXPECT_NE(refusal("etcd://h/p?user=a&user=b").find("twice"), std::string::npos);
  EXPECT_NE(refusal("etcd://h/p?passwordFile=/p").find("user"), std::string::npos);
  EXPECT_NE(refusal("etcd://h/p?certFile=/p").find("keyFile"), std::string::npos);
  EXPECT_NE(refusal("etcd://h/p?certFile=/p&keyFile=/k").find("caFile"), std::string::npos);
  EXPECT_NE(refusal("etcd://h/%zz").find("%-sequence"), std::string::npos);
  EXPECT_NE(refusal("etcd://h/" + std::string(200, 'x')).find("prefix"), std::string::npos);
}

TEST(EtcdUrl, APasswordIsRefusedAndNotRepeated) {
  for (const char* url : {"etcd://me:secret@h/p", "etcd://h/p?password=secret"}) {
    EXPECT_NE(refusal(url), "");
    EXPECT_EQ(refusal(url).find("secret"), std::string::npos) << url;
  }
}

}  // namespace
}  // namespace paceline::meta
