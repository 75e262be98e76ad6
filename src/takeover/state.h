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
inline constexpr int kLanesMax = 4;
inline constexpr int kPartitionsMax = 2;
inline constexpr int kSlotsMax = 6;
inline constexpr int kOffsetsMax = 4;
inline constexpr int kValuesMax = 7;  // a value is 1 or more
inline constexpr int kFlightsMax = 2;
inline constexpr int kOlderMax = 3;
inline constexpr int kMovesMax = 3;
inline constexpr int kObjectsMax = 8;

// An entry of a log: a record of a partition, or the adoption of one.
struct Batch {
  uint8_t value = 0;
  uint8_t partition = 0;
  uint8_t epoch = 0;
  uint8_t offset = 0;
  uint8_t move_1 = 0;  // not 0: adopts what this move's passport holds
  bool operator==(const Batch&) const = default;
};

// What is known of one partition's stream: [0, base) in objects, [base, end) in a log.
struct Knowledge {
  uint8_t there = 0;  // 0: never heard of it
  uint8_t end = 0;
  uint8_t base = 0;
  uint8_t objects = 0;      // a bit an object
  uint8_t by_passport = 0;  // it came with an adoption in the lane that is read
  std::array<uint8_t, kOffsetsMax> view{};
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
  uint8_t end_1 = 0;      // the END object
  uint8_t adopted_1 = 0;  // the slot of the newest adoption that no directory has yet
  std::array<Slot, kSlotsMax> slots{};
  std::array<Knowledge, kPartitionsMax> directory{};  // in force
};

// The page entry. Its version is not kept: whoever changes it dooms the transactions that compare.
struct Entry {
  std::array<Term, kOlderMax> older{};  // sealed lanes before the term, in order, some unmarked
  Term term;
  uint8_t preferred_1 = 0;  // a broker
};

// A planned move, seen from its target.
struct Move {
  enum Stage : uint8_t {
    none,
    called,     // the passport is on its way
    writing,    // the adoption is on its way to the target's log
    adopted,    // it is there
    sent,       // the transaction is on its way
    committed,  // the target has yet to learn of it
    over,       // the passport may still stand in a log
  };
  Stage stage = none;
  uint8_t partition = 0;
  uint8_t source_1 = 0;
  uint8_t target_1 = 0;
  uint8_t epoch = 0;   // of the new term
  uint8_t doomed = 0;  // what its transaction compares has changed
  uint8_t slot_1 = 0;  // of the adoption
  Knowledge passport;
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
  uint8_t position = 0;
  uint8_t end_1 = 0;  // known when it was sealed
};

// What one process remembers of one partition.
struct Share {
  enum Role : uint8_t { idle, recovering, serving, paused, moving, opened, holding };
  Role role = idle;
  uint8_t epoch = 0;
  uint8_t base = 0;       // in objects
  uint8_t durable = 0;    // the high watermark
  uint8_t sequenced = 0;  // the next offset
  uint8_t objects = 0;    // a bit an object
  uint8_t inherited = 0;  // a bit a lane: read by us, not yet marked
  std::array<uint8_t, kOffsetsMax> view{};
  std::array<ToRead, kOlderMax> to_read{};
};

// What an upload that is on its way says of one partition.
struct Cut {
  Knowledge record;
  uint8_t epoch = 0;
  uint8_t inherited = 0;
};

struct Process {
  enum Life : uint8_t { none, running, dead };
  enum Upload : uint8_t { no_upload, cut, commit_sent, outcome_unknown };
  Life life = none;
  uint8_t slept = 0;  // since its PUTs left
  uint8_t next_slot = 0;
  uint8_t stale = 0;  // a bit a partition: released, and our directories have it
  Upload upload = no_upload;
  uint8_t upload_position = 0;
  uint8_t upload_stale = 0;
  uint8_t upload_object_1 = 0;
  uint8_t early_lane_1 = 0;  // only where the rule "seal after the fence" is left out
  uint8_t early_slot = 0;
  std::array<Flight, kFlightsMax> flights{};  // oldest first
  std::array<Share, kPartitionsMax> shares{};
  std::array<Cut, kPartitionsMax> cuts{};
};

// What is wrong, found by the step that led here.
enum class Fault : uint8_t {
  none,
  two_records_at_one_offset,
  one_record_twice,
  acknowledged_is_missing,
  hole_in_recovery,
  epoch_goes_back,
  nothing_durable_has_it,
  object_is_gone,
  fenced_itself,
};

struct State {
  std::array<Lane, kLanesMax> lanes{};
  std::array<Process, kLanesMax> processes{};  // of the lane with the same number
  std::array<Entry, kPartitionsMax> entries{};
  std::array<uint8_t, kBrokersMax> registered_1{};  // a lane
  std::array<Move, kMovesMax> moves{};
  std::array<uint8_t, kObjectsMax> object_lane_1{};  // who has put it
  uint8_t objects_committed = 0;                     // a bit an object, as the two below
  uint8_t objects_deleted = 0;
  // Only where the rule "one revision" is left out: what a collector looks at, lane by lane.
  uint8_t suspect_1 = 0;
  uint8_t suspect_lanes = 0;
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
  uint8_t pauses = 0;
  uint8_t calls = 0;
  uint8_t rewrites = 0;
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
