#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "judge/judge.h"

// The report before it is JSON: docs/format/drill.md says what each field means. Times are
// milliseconds since the first effective fault.

namespace paceline::judge {

// Of some samples; p99 only where there are enough of them to speak of one.
struct Quantiles {
  uint64_t samples = 0;
  std::optional<double> p50, p99, max;

  // What a limit on the p99 is held against: the max, where there are too few samples.
  std::optional<double> worst() const { return p99 ? p99 : max; }
};

struct Milestone {
  enum class State : uint8_t { observed, upper_bound, not_observable, never, not_concerned };
  State state = State::not_concerned;
  std::optional<double> ms, err_ms;
  std::string event;  // empty: of the ledger, or none
  std::string by;     // who told it; of what was not observed, why

  bool known() const { return state == State::observed || state == State::upper_bound; }
};
inline constexpr size_t kMilestones = 14;
using Milestones = std::array<Milestone, kMilestones>;

struct PartitionRow {
  std::string step, topic;
  int32_t partition = 0;
  std::optional<int32_t> from, to;
  bool concerned = false;
  std::optional<double> gap_ms, gap_last_ms;  // the first client's, the last one's
  Milestones milestones;
};

struct StepRow {
  std::string id, fault, test;
  bool planned = false;
  std::optional<double> effective_ms, healed_ms;
  std::optional<int32_t> broker;
  Quantiles gap;
  std::optional<double> wait_elsewhere_ms;  // the longest one where no leader was concerned
  Quantiles detect, own, hop, gap_first, gap_last, settle, storage_tail;
  std::string dominant;
  State state = State::grey;
};

struct Figure {
  std::string name;
  std::optional<double> value = {};
  std::string unit;
  std::string green, amber;  // limits in words
  State state = State::grey;
  std::optional<uint64_t> samples = {};
  std::vector<std::string> events = {};
  bool required = true;                 // without evidence of it the row is grey
  std::vector<std::string> files = {};  // of the evidence, where it is made of more than events
};

struct Row {
  std::string id, question;
  State state = State::grey;
  std::string why;
  std::vector<Figure> figures;
};

struct NegativeTest {
  std::string id, name;
  State state = State::grey;
  std::string measured, green, red;
  std::vector<std::string> events;
};

struct Finding {
  std::string text;
  State state = State::grey;
  std::vector<std::string> events;
};
struct Dimension {
  std::string name;
  State state = State::grey;
  std::vector<Finding> findings;
};

struct ReadinessRow {
  std::string item;
  State state = State::grey;
  std::string measured, limit, evidence, expires, event;
};

struct Recovery {
  std::optional<int64_t> unuploaded_bytes, bytes_read, bytes_written;
  std::optional<int64_t> log_bytes_read;  // of them, those of logs: what is held against the tail
  std::optional<int64_t> streams;         // that were recovered
  std::optional<int64_t> requests_get, requests_put, requests_list;
  std::optional<int64_t> historical_bytes_copied;  // nothing: nobody has observed it
  std::optional<double> left_over_ms;
  std::optional<int64_t> orphans;
  std::optional<double> usd;
  std::string prices;
  std::vector<std::string> events;
  std::map<std::string, std::vector<std::string>> events_of;  // by the field's name in the report
};

struct Contradiction {
  std::vector<std::string> events;
  std::string what;
};
struct ClockRow {
  std::string source;
  double offset_ms = 0, err_ms = 0;
};
struct Clock {
  std::optional<double> bound_ms;    // nothing: nobody has measured it
  std::optional<double> claimed_ms;  // what events say of themselves, measured or not
  std::vector<std::string> events;   // of the measurements
  uint64_t causes = 0;               // that clocks could have contradicted
  std::vector<ClockRow> sources;
  std::vector<Contradiction> contradictions;
};

struct AnomalyRow {
  std::string name, topic;
  std::optional<int32_t> partition;
  std::optional<uint64_t> seq;
  std::optional<int64_t> offset;
  std::string what;
  std::vector<std::string> events;
};
struct Counts {
  uint64_t sent = 0, acked = 0, failed = 0, unknown = 0, read = 0;
  uint64_t duplicated = 0, reordered = 0, damaged = 0;
  // Nothing: it was not read back, or nobody reads.
  std::optional<uint64_t> lost, never_read;
  uint64_t errors = 0;           // records whose outcome an application was told as an error
  uint64_t errors_excepted = 0;  // of a client that was attached to a frozen leader alone
  uint64_t rebalances_extra = 0;
};

struct Dominant {
  std::string unit;
  double ms = 0, share = 0;
  std::string why;
};
struct NextStep {
  std::string kind = "none", text;
};

struct PhaseRow {
  std::string phase, name, step;
  std::optional<double> from_ms, to_ms;
  std::vector<std::string> events;
};

struct EventRow {
  std::string event, source, plane, type, text, topic, cause;
  double ms = 0;
  std::optional<double> err_ms;
  std::optional<int32_t> partition;
};

struct Series {
  using Numbers = std::vector<std::optional<double>>;
  struct Latency {
    std::string client, kind;
    Numbers p50, p99, max;
  };
  double bin_ms = 0, from_ms = 0;
  std::vector<uint64_t> acks, errors, rebalances;
  std::vector<Latency> latency;
  std::map<std::string, Numbers> lag;  // by group
  Numbers staleness;
  Numbers put, get, list, bytes;
};

struct EvidenceFile {
  std::string name;
  uint64_t bytes = 0;
  std::string sha256;
};
struct EvidenceRow {
  std::vector<EvidenceFile> files;
  std::map<std::string, uint64_t> holes;  // events that are missing, by source
  uint64_t damaged_lines = 0, damaged_rows = 0;
  bool cut = false;
};

struct Report {
  State verdict = State::grey;
  int exit_code = 7;
  std::string reason, sentence;
  Clock clock;
  Quantiles gap, gap_planned, gap_unplanned;
  std::optional<double> wait_elsewhere_ms;
  uint64_t waits_elsewhere = 0;
  Counts counts;
  std::vector<AnomalyRow> anomalies;
  std::vector<StepRow> steps;
  std::vector<PartitionRow> partitions;
  Recovery recovery;
  std::vector<ReadinessRow> readiness;
  std::vector<Dimension> dimensions;
  std::vector<Row> scorecard;
  std::vector<NegativeTest> negative;
  std::optional<Dominant> dominant;
  NextStep next_step;
  std::vector<PhaseRow> phases;
  std::vector<EventRow> events;
  uint64_t events_left_out = 0;
  Series series;
  EvidenceRow evidence;
};

std::string_view name_of(State state);
// The worst first: red, grey, amber, green. Grey forbids green, and is no amber.
State worse(State a, State b);

}  // namespace paceline::judge
