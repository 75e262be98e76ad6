#include "server/places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace paceline::server {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string refused(const Places& places) {
  const auto checked = check_places(places);
  return checked ? "" : checked.error().message;
}

Places with(std::string Places::* which, std::string value) {
  Places places;
  places.*which = std::move(value);
  return places;
}

TEST(Places, NothingMeansTheDataFolder) {
  const Places places;
  EXPECT_EQ(refused(places), "");
  EXPECT_TRUE(places.metadata_is_local());
  EXPECT_FALSE(places.wal_is_objects());
  EXPECT_EQ(wal_folder(places, "/data"), "/data/wal");
}

TEST(Places, EachHasItsForms) {
  Places places;
  places.metadata = "etcd://127.0.0.1:2379/paceline";
  places.objects = "s3://bucket/prefix?region=eu-1&endpoint=http://127.0.0.1:9000&pathStyle=true";
  places.wal = "objects:";
  EXPECT_EQ(refused(places), "");
  EXPECT_FALSE(places.metadata_is_local());
  EXPECT_TRUE(places.wal_is_objects());
  places.objects = "file:/mnt/objects";
  places.wal = "file:/mnt/wal";
  EXPECT_EQ(refused(places), "");
  EXPECT_EQ(wal_folder(places, "/data"), "/mnt/wal");
}

TEST(Places, WhatCannotBeUsedIsToldInOneSentenceThatNamesTheKey) {
  EXPECT_THAT(refused(with(&Places::metadata, "zookeeper://x")),
              HasSubstr("paceline.metadata=zookeeper://x"));
  EXPECT_THAT(refused(with(&Places::objects, "/mnt/objects")),
              HasSubstr("paceline.objects=/mnt/objects"));
  EXPECT_THAT(refused(with(&Places::objects, "file:")), HasSubstr("file:FOLDER"));
  EXPECT_THAT(refused(with(&Places::wal, "s3://bucket")), HasSubstr("paceline.wal=s3://bucket"));
}

TEST(Places, NoSecretOfAUrlIsInTheSentence) {
  const std::string why =
      refused(with(&Places::objects, "s3://bucket?accessKey=AK&secretKey=hidden&colour=red"));
  EXPECT_THAT(why, HasSubstr("colour"));
  EXPECT_THAT(why, Not(HasSubstr("hidden")));
}

}  // namespace
}  // namespace paceline::server
