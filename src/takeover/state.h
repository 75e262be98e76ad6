#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

// One moment of the modelled cluster: metadata, logs, what processes remember, what is on its way,
// and what clients were told. Everything is a small number, so that a state is a few dozen bytes.
// Where 0 has to mean "none", a field is named `..._1` and holds the number plus one.

namespace paceline::takeover {

inline constexpr int kBrokersMax = 3;
inline constexpr int kLanesMax = 6;
inline constexpr int kPartitionsMax = 2;
inline constexpr int kSlotsMax = 6;
inline constexpr int kOffsetsMax = 5;
inline constexpr int kValuesMax = 7;  // a value is 1 or more
inline constexpr int kFlightsMax = 2;
inline constexpr int kOlderMax = 4;

struct Batch {
  uint8_t value = 0;
  uint8_t partition = 0;
  uint8_t epoch = 0;
  uint8_t offset = 0;
  bool operator==(const Batch&) const = default;
};

struct Slot {
  enum Kind : uint8_t { none, data, seal };
  Kind kind = none;
  Batch batch;
};

struct Term {
  uint8_t lane_1 = 0;
  uint8_t epoch = 0;
};

// The lane's record and marks in the metadata, and its log in the store.
struct Lane {
  uint8_t broker_1 = 0;  // 0: no such lane yet
  uint8_t sealed = 0;
  uint8_t successors = 0;  // a bit a lane
  uint8_t uploaded = 0;    // all slots below it are in committed objects; the trim position
  uint8_t marked = 0;      // a bit a partition: a later lane of its chain has this one's share
  uint8_t collected = 0;
  uint8_t end_1 = 0;  // the END object
  std::array<Slot, kSlotsMax> slots{};
};

// The page entry, the stream's committed end and what its objects hold.
struct Entry {
  std::array<Term, kOlderMax> older{};  // sealed lanes before the term, in order, some unmarked
  Term term;
  uint8_t version = 0;
  uint8_t preferred_1 = 0;  // a broker
  uint8_t committed_end = 0;
  std::array<uint8_t, kOffsetsMax> committed{};
};

// A PUT that has left, until its writer has dealt with the answer.
struct Flight {
  enum Kind : uint8_t { none, sent, stored, refused };  // the last two: the answer is on its way
  Kind kind = none;
  uint8_t slot = 0;
  Batch batch;
};

// A lane of the chain that has yet to be read, as seen when recovery began.
struct ToRead {
  uint8_t lane_1 = 0;
  uint8_t epoch = 0;
  uint8_t position = 0;
  uint8_t end_1 = 0;  // known when it was sealed
};

// What one process remembers of one partition.
struct Share {
  enum Role : uint8_t { idle, recovering, serving, paused, moving, opened };
  Role role = idle;
  uint8_t epoch = 0;
  uint8_t base = 0;       // committed, as far as it knows
  uint8_t durable = 0;    // the high watermark
  uint8_t sequenced = 0;  // the next offset
  uint8_t adopted = 0;    // a bit a lane: read by us, not yet marked
  std::array<uint8_t, kOffsetsMax> view{};
  std::array<ToRead, kOlderMax> to_read{};
  // Of the upload that is on its way.
  uint8_t upload_base = 0;
  uint8_t upload_end = 0;
  uint8_t upload_adopted = 0;
  // Of the move that is on its way.
  uint8_t move_target_1 = 0;  // 0: none is on its way
  uint8_t move_version = 0;
  uint8_t move_end = 0;
};

struct Process {
  enum Life : uint8_t { none, running, dead };
  enum Upload : uint8_t { no_upload, commit_sent, outcome_unknown };
  Life life = none;
  uint8_t slept = 0;  // since its PUTs left
  uint8_t next_slot = 0;
  Upload upload = no_upload;
  uint8_t upload_position = 0;
  uint8_t early_lane_1 = 0;  // only where the rule "seal after the fence" is left out
  uint8_t early_slot = 0;
  std::array<Flight, kFlightsMax> flights{};  // oldest first
  std::array<Share, kPartitionsMax> shares{};
};

// What is wrong, found by the step that led here.
enum class Fault : uint8_t {
  none,
  two_records_at_one_offset,
  one_record_twice,
  acknowledged_is_missing,
  hole_in_recovery,
  epoch_goes_back,
  needed_was_deleted,
  fenced_itself,
};

struct State {
  std::array<Lane, kLanesMax> lanes{};
  std::array<Process, kLanesMax> processes{};  // of the lane with the same number
  std::array<Entry, kPartitionsMax> entries{};
  std::array<uint8_t, kBrokersMax> registered_1{};  // a lane
  // The truth: what somebody was told stands at an offset.
  std::array<std::array<uint8_t, kOffsetsMax>, kPartitionsMax> told{};
  std::array<uint8_t, kPartitionsMax> epoch_served{};
  std::array<uint8_t, kValuesMax + 1> value_partition_1{};
  uint8_t acknowledged = 0;  // a bit a value
  // Used up so far.
  uint8_t values = 0;
  uint8_t crashes = 0;
  uint8_t clones = 0;
  uint8_t retries = 0;
  uint8_t moves = 0;
  uint8_t preferences = 0;
  uint8_t sleeps = 0;
  uint8_t losses = 0;
  Fault fault = Fault::none;
};

// Runs of zeros are squeezed out; equal states have equal bytes.
std::string pack(const State& state);
State unpack(std::string_view bytes);

std::string_view sentence(Fault fault);

}  // namespace paceline::takeover
