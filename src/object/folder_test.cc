#include "object/folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "env/real_disk.h"
#include "object/key.h"

namespace paceline::object {
namespace {

Slice slice(std::string_view text) {
  return Slice::copy_of(as_bytes(text));
}

class FolderFiles : public testing::Test {
 protected:
  FolderFiles() {
    char name[] = "/tmp/paceline-object-test-XXXXXX";
    CHECK(::mkdtemp(name) != nullptr);
    dir_ = name;
  }
  ~FolderFiles() override { std::filesystem::remove_all(dir_); }
  static Result<void> put(Folder& folder, const std::string& key, const std::string& text) {
    TRY_VOID(folder.make_folder(key));
    return folder.put(key, 7, {slice(text)});
  }

  env::RealDisk disk_;
  std::string dir_;
};

TEST_F(FolderFiles, ALeftTemporaryIsInvisibleAndGoesWithTheNextOpen) {
  Folder folder(disk_, dir_ + "/objects");
  ASSERT_TRUE(folder.open());
  ASSERT_TRUE(put(folder, "a/b/c", "x"));
  const std::string left = dir_ + "/objects/a/b/.d.tmp-0000000000000001";
  std::ofstream(left) << "half";
  auto page = folder.list("", "", 10);
  ASSERT_TRUE(page);
  ASSERT_EQ(page->objects.size(), 1u);
  Folder again(disk_, dir_ + "/objects");
  ASSERT_TRUE(again.open());
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_EQ(*again.size("a/b/c"), 1u);
}

TEST_F(FolderFiles, APutLeavesNothingButTheObject) {
  Folder folder(disk_, dir_);
  ASSERT_TRUE(folder.open());
  ASSERT_TRUE(put(folder, "a/b", "x"));
  auto again = put(folder, "a/b", "y");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::already_exists);
  EXPECT_EQ(disk_.list(dir_ + "/a")->size(), 1u);
}

TEST_F(FolderFiles, OfSomethingBigTheNameGoesFirstAndTheBytesPieceByPiece) {
  Folder folder(disk_, dir_, 4);
  ASSERT_TRUE(folder.open());
  ASSERT_TRUE(put(folder, "a/b", "0123456789"));
  auto retired = folder.retire("a/b", 9);
  ASSERT_TRUE(retired && *retired);
  EXPECT_EQ(folder.size("a/b").error().code, Code::not_found);
  std::vector<uintmax_t> left;
  for (bool gone = false; !gone; gone = *folder.shrink(**retired))
    left.push_back(std::filesystem::file_size((*retired)->path));
  EXPECT_EQ(left, (std::vector<uintmax_t>{10, 6, 2}));
  EXPECT_TRUE(disk_.list(dir_ + "/a")->empty());
  // Whoever is told nothing asks again.
  EXPECT_FALSE(folder.retire("a/b", 10)->has_value());
  EXPECT_FALSE(folder.retire("never/there", 11)->has_value());
}

TEST_F(FolderFiles, AFolderIsNoObjectAndAnObjectNoFolder) {
  Folder folder(disk_, dir_);
  ASSERT_TRUE(folder.open());
  ASSERT_TRUE(put(folder, "a/b", "x"));
  EXPECT_EQ(folder.size("a").error().code, Code::not_found);
  EXPECT_EQ(folder.size("a/b/c").error().code, Code::not_found);
  EXPECT_FALSE(put(folder, "a/b/c", "x"));
  EXPECT_EQ(*folder.size("a/b"), 1u);
}

TEST(Key, OnlyOrderlyKeysPass) {
  for (const char* key : {"a", "a/b", "3.7/000f", "a.b", "A-_~=+", "a/b/c/d/e"})
    EXPECT_TRUE(check_key(key)) << key;
  for (const char* key : {"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b",
                          ".hidden", "a/.tmp", "a b", "a\nb", "a\\b", "a\x7f", "\xc3\xa4"})
    EXPECT_EQ(check_key(key).error().code, Code::invalid_argument) << key;
  EXPECT_FALSE(check_key(std::string(201, 'a')));
  EXPECT_FALSE(check_key(std::string("a\0b", 3)));
  std::string deep = "a";
  while (deep.size() <= kKeyBytesMax) deep += "/a";
  EXPECT_FALSE(check_key(deep));
}

}  // namespace
}  // namespace paceline::object
