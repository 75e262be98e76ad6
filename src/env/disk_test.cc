#include "env/disk.h"

#include "env/test_world.h"

namespace paceline::env {
namespace {

class DiskContract : public ContractTest {
 protected:
  void SetUp() override {
    make();
    dir = world->dir();
  }
  Disk& disk() { return world->shard(0).disk(); }
  std::unique_ptr<File> create(const std::string& name) {
    auto file = disk().open(dir + "/" + name, kCreate);
    EXPECT_TRUE(file) << file.error().to_string();
    return std::move(*file);
  }
  std::string content(File& file, uint64_t position, size_t size) {
    std::string text(size, '?');
    auto count =
        file.read_at(position, MutableBytes(reinterpret_cast<std::byte*>(text.data()), size));
    EXPECT_TRUE(count) << count.error().to_string();
    text.resize(count.value_or(0));
    return text;
  }
  static constexpr OpenMode kCreate{.create = OpenMode::Create::if_missing, .writable = true};
  static constexpr OpenMode kExclusive{.create = OpenMode::Create::exclusive, .writable = true};
  std::string dir;
};
INSTANTIATE_TEST_SUITE_P(Worlds, DiskContract, ::testing::Values(WorldKind::real, WorldKind::sim),
                         kind_name);

TEST_P(DiskContract, WritesOfManyPiecesAreReadBack) {
  auto file = create("a");
  std::string expected;
  std::vector<std::string> texts;
  std::vector<Bytes> pieces;
  for (int i = 0; i < 3000; ++i)
    texts.push_back(std::string(i % 7, static_cast<char>('a' + i % 26)));
  for (const std::string& text : texts) {
    pieces.push_back(as_bytes(text));
    expected += text;
  }
  ASSERT_TRUE(file->write_at(5, pieces));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(*file->size(), expected.size() + 5);
  EXPECT_EQ(content(*file, 5, expected.size()), expected);
  EXPECT_EQ(content(*file, 0, 5), std::string(5, '\0'));
  EXPECT_EQ(content(*file, expected.size() + 3, 100), expected.substr(expected.size() - 2));
  EXPECT_EQ(content(*file, expected.size() + 100, 100), "");
  EXPECT_TRUE(file->write_at(0, std::span<const Bytes>{}));
}

TEST_P(DiskContract, OverwriteTruncateAndAllocate) {
  auto file = create("a");
  ASSERT_TRUE(file->write_at(0, as_bytes("hello world")));
  ASSERT_TRUE(file->write_at(6, as_bytes("W")));
  EXPECT_EQ(content(*file, 0, 50), "hello World");
  ASSERT_TRUE(file->truncate(5));
  EXPECT_EQ(content(*file, 0, 50), "hello");
  ASSERT_TRUE(file->truncate(8));
  EXPECT_EQ(content(*file, 0, 50), std::string("hello\0\0\0", 8));
  ASSERT_TRUE(file->allocate(10000));
  EXPECT_EQ(*file->size(), 10000u);
  EXPECT_EQ(content(*file, 9990, 50), std::string(10, '\0'));
  ASSERT_TRUE(file->allocate(100));
  EXPECT_EQ(*file->size(), 10000u);
  EXPECT_EQ(content(*file, 0, 5), "hello");
}

TEST_P(DiskContract, WhatMayHoldDataIsNeverSkipped) {
  auto file = create("a");
  ASSERT_TRUE(file->allocate(8 << 20));
  const uint64_t at = 3 << 20;
  ASSERT_TRUE(file->write_at(at, as_bytes("here")));
  const auto first = file->next_data(0);
  ASSERT_TRUE(first && *first);
  EXPECT_LE(**first, at);
  EXPECT_EQ(file->next_data(at + 1).value(), at + 1);
}

TEST_P(DiskContract, WhatAFileForgetsCostsNoReading) {
  auto file = create("a");
  const std::string text(1 << 20, 'x');
  ASSERT_TRUE(file->write_at(0, as_bytes(text)));
  ASSERT_TRUE(file->sync());
  const auto forgotten = file->forget();
  ASSERT_TRUE(forgotten);
  // Before it is read: zeros that the page cache holds count as data.
  EXPECT_EQ(file->next_data(0)->has_value(), !*forgotten);
  EXPECT_EQ(*file->size(), text.size());
  EXPECT_EQ(content(*file, 0, text.size()), *forgotten ? std::string(text.size(), '\0') : text);
  ASSERT_TRUE(file->write_at(4096, as_bytes("here")));
  EXPECT_EQ(content(*file, 4096, 4), "here");
}

TEST_P(DiskContract, ANewFileHoldsExactlyItsPieces) {
  // Around the bounds of what passes the page cache by, of a chunk and of a page.
  const size_t sizes[] = {0, 1, 4096, (256u << 10) - 1, 256u << 10, (1u << 20) + 1, 3u << 20};
  for (const size_t size : sizes) {
    std::string text(size, '?');
    for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 4096);
    std::vector<Bytes> pieces;
    for (size_t at = 0; at < size; at += pieces.back().size())
      pieces.push_back(as_bytes(text).subspan(at, std::min(size - at, 700'001 + at % 13)));
    const std::string path = dir + "/" + std::to_string(size);
    ASSERT_TRUE(write_new_file(disk(), path, pieces));
    EXPECT_TRUE(*read_file(disk(), path, size) == text) << size;
    EXPECT_EQ(write_new_file(disk(), path, pieces).error().code, Code::already_exists);
  }
}

TEST_P(DiskContract, OpenSaysWhatIsWrong) {
  EXPECT_EQ(disk().open(dir + "/none", {}).error().code, Code::not_found);
  EXPECT_EQ(disk().open(dir + "/no/such/dir", kCreate).error().code, Code::not_found);
  auto file = disk().open(dir + "/one", kExclusive);
  ASSERT_TRUE(file);
  EXPECT_EQ(disk().open(dir + "/one", kExclusive).error().code, Code::already_exists);
  EXPECT_TRUE(disk().open(dir + "/one", kCreate));
  EXPECT_NE(disk().open(dir + "/none", {}).error().message.find(dir + "/none"), std::string::npos);
}

TEST_P(DiskContract, AFileOpenForReadingOnlyIsNotWritten) {
  create("a");
  auto file = disk().open(dir + "/a", {});
  ASSERT_TRUE(file);
  EXPECT_FALSE((*file)->write_at(0, as_bytes("x")));
}

TEST_P(DiskContract, TwoHandlesSeeOneFile) {
  auto one = create("a");
  auto two = create("a");
  ASSERT_TRUE(one->write_at(0, as_bytes("abc")));
  EXPECT_EQ(content(*two, 0, 10), "abc");
  ASSERT_TRUE(disk().remove(dir + "/a"));
  ASSERT_TRUE(one->write_at(3, as_bytes("d")));
  EXPECT_EQ(content(*two, 0, 10), "abcd");  // removed, but open
  EXPECT_FALSE(*disk().exists(dir + "/a"));
}

TEST_P(DiskContract, RenameReplacesAndRenameNewRefuses) {
  ASSERT_TRUE(create("a")->write_at(0, as_bytes("A")));
  ASSERT_TRUE(create("b")->write_at(0, as_bytes("B")));
  EXPECT_EQ(disk().rename_new(dir + "/a", dir + "/b").error().code, Code::already_exists);
  EXPECT_EQ(*read_file(disk(), dir + "/b", 10), "B");
  ASSERT_TRUE(disk().rename(dir + "/a", dir + "/b"));
  EXPECT_EQ(*read_file(disk(), dir + "/b", 10), "A");
  EXPECT_FALSE(*disk().exists(dir + "/a"));
  ASSERT_TRUE(disk().rename_new(dir + "/b", dir + "/c"));
  EXPECT_EQ(disk().rename(dir + "/b", dir + "/d").error().code, Code::not_found);
  EXPECT_EQ(disk().rename_new(dir + "/b", dir + "/d").error().code, Code::not_found);
  EXPECT_EQ(disk().remove(dir + "/b").error().code, Code::not_found);
  ASSERT_TRUE(disk().sync_dir(dir));
}

TEST_P(DiskContract, FoldersAreMadeListedAndRemoved) {
  ASSERT_TRUE(disk().make_dirs(dir + "/x/y/z"));
  ASSERT_TRUE(disk().make_dirs(dir + "/x/y/z"));
  create("x/2");
  create("x/1");
  create("top");
  EXPECT_EQ(*disk().list(dir + "/x"), (std::vector<std::string>{"1", "2", "y"}));
  EXPECT_EQ(*disk().list(dir), (std::vector<std::string>{"top", "x"}));
  EXPECT_EQ(disk().list(dir + "/none").error().code, Code::not_found);
  EXPECT_FALSE(disk().remove_dir(dir + "/x"));
  EXPECT_TRUE(disk().remove_dir(dir + "/x/y/z"));
  EXPECT_TRUE(*disk().exists(dir + "/x/y"));
  EXPECT_FALSE(*disk().exists(dir + "/x/y/z"));
  EXPECT_EQ(disk().sync_dir(dir + "/none").error().code, Code::not_found);
  EXPECT_GT(*disk().free_bytes(dir), 0u);
}

TEST_P(DiskContract, ALockHasOneHolder) {
  auto held = disk().lock(dir + "/lock");
  ASSERT_TRUE(held);
  EXPECT_EQ(disk().lock(dir + "/lock").error().code, Code::in_use);
  held->reset();
  EXPECT_TRUE(disk().lock(dir + "/lock"));
}

TEST_P(DiskContract, WholeFilesAreReplacedAndRead) {
  ASSERT_TRUE(replace_file(disk(), dir + "/f", as_bytes("one, the longer")));
  ASSERT_TRUE(replace_file(disk(), dir + "/f", as_bytes("two")));
  EXPECT_EQ(*read_file(disk(), dir + "/f", 3), "two");
  EXPECT_EQ(read_file(disk(), dir + "/f", 2).error().code, Code::too_large);
  EXPECT_EQ(*disk().list(dir), std::vector<std::string>{"f"});
  EXPECT_EQ(parent_dir("/a/b"), "/a");
  EXPECT_EQ(parent_dir("/a"), "/");
  EXPECT_EQ(parent_dir("a"), ".");
}

TEST_P(DiskContract, DirectWritesOfAlignedBlocks) {
  OpenMode mode = kCreate;
  mode.direct = true;
  auto file = disk().open(dir + "/direct", mode);
  ASSERT_TRUE(file);
  std::string memory(3 * kDirectAlignment, 'd');
  auto* start = reinterpret_cast<std::byte*>(memory.data());
  const size_t skip = kDirectAlignment - reinterpret_cast<uintptr_t>(start) % kDirectAlignment;
  MutableBytes block(start + skip, kDirectAlignment);
  ASSERT_TRUE((*file)->write_at(kDirectAlignment, block));
  ASSERT_TRUE((*file)->sync());
  std::ranges::fill(block, std::byte{0});
  EXPECT_EQ(*(*file)->read_at(kDirectAlignment, block), kDirectAlignment);
  EXPECT_EQ(static_cast<char>(block[100]), 'd');
}

TEST_P(DiskContract, ABigDirectReadGivesEveryByteUpToTheEnd) {
  const std::string path = dir + "/big";
  std::string text;
  for (uint64_t i = 0; text.size() < (1u << 20) + 12345; ++i) text += std::to_string(i * 7919);
  ASSERT_TRUE(replace_file(disk(), path, as_bytes(text)));
  OpenMode mode;
  mode.direct = true;
  auto file = disk().open(path, mode);
  ASSERT_TRUE(file);
  std::string memory((2u << 20) + kDirectAlignment, 'd');
  auto* start = reinterpret_cast<std::byte*>(memory.data());
  start += kDirectAlignment - reinterpret_cast<uintptr_t>(start) % kDirectAlignment;
  EXPECT_EQ(*(*file)->read_at(0, MutableBytes(start, 2u << 20)), text.size());
  EXPECT_EQ(std::memcmp(start, text.data(), text.size()), 0);
}

}  // namespace
}  // namespace paceline::env
