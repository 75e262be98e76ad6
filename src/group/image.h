#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "group/offsets_format.h"

namespace paceline::group {

// What the durable records of the partition say, and nothing else: the last record of every key.
// Changes are kept in reverse above the end of the last snapshot, so a snapshot for any later end
// is exact even when the image is ahead of it. The ends asked for must not go down; a snapshot for
// a lower end would hold newer records too, which the replay above it repeats without harm.
class Image {
 public:
  struct Group {
    std::optional<GroupRecord> record;
    std::map<TopicPartition, OffsetValue> offsets;
    bool operator==(const Group&) const = default;
  };

  // The record at this offset. Kinds and versions we do not know are passed over.
  void apply(const Record& record, Offset at);
  std::string snapshot(Offset end);
  // False: not a snapshot of ours; the image is empty then.
  bool restore(std::string_view snapshot);

  const std::map<std::string, Group>& groups() const { return groups_; }
  const Group* find(const std::string& group) const;

 private:
  struct Change {
    Offset at;
    std::string group;
    std::optional<TopicPartition> partition;  // nothing: the group's own record
    std::optional<OffsetValue> offset;
    std::optional<GroupRecord> record;
  };
  // Puts the change's value in its place and keeps what stood there: its own inverse.
  void exchange(Change& change);
  std::string encode() const;
  static std::optional<Change> parse(const Record& record, Offset at);

  std::map<std::string, Group> groups_;
  std::deque<Change> undo_;  // oldest first
};

}  // namespace paceline::group
