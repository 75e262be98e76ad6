#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

// The rules of the takeover protocol, each of which can be left out of the model.

namespace paceline::takeover {

enum class Rule : uint8_t {
  // Writing (design 5.1, 5.2)
  ack_only_durable,
  ack_in_slot_order,
  visible_only_durable,
  foreign_slot_is_fence,
  own_slot_is_success,
  late_answer_reads_lane,
  producer_state_is_data,
  // Fencing (5.6)
  fence_compares_incarnation,
  fence_compares_successors,
  restart_is_a_fence,
  // Sealing (5.2)
  seal_after_fence,
  seal_before_read,
  seal_from_recorded_trim,
  end_is_written_once,
  seal_is_kept,
  // Recovery (5.7)
  read_the_sealed_tail,
  read_every_unmarked_lane,
  read_up_to_the_seal,
  read_only_own_epoch,
  missing_slot_stops,
  serve_only_registered,
  serve_at_committed_end,
  chain_as_of_sealing,
  // Upload, trim, marks, collection (5.3, 5.7, 5.9)
  upload_only_durable,
  commit_compares_lane,
  commit_compares_base,
  unknown_commit_is_read_back,
  trim_after_commit,
  trim_is_recorded,
  mark_with_the_upload,
  mark_an_empty_tail,
  collect_after_marks,
  collect_after_all_marks,
  dead_successor_is_not_done,
  // Pages (5.6)
  preference_materialises,
  materialise_keeps_unmarked,
  // Planned moves (5.8)
  move_pauses,
  move_when_durable,
  move_when_committed,
  move_compares_source,
  move_compares_target,
  move_compares_version,
  abort_bumps_version,
  target_opens_at_published_end,
  count_,
};

inline constexpr int kRuleCount = static_cast<int>(Rule::count_);

std::string_view name(Rule rule);
// What the protocol does, as one sentence.
std::string_view sentence(Rule rule);

class Rules {
 public:
  Rules() = default;
  Rules(std::initializer_list<Rule> left_out) {
    for (Rule rule : left_out) leave_out(rule);
  }
  void leave_out(Rule rule) { left_out_ |= uint64_t{1} << static_cast<int>(rule); }
  bool hold(Rule rule) const { return !(left_out_ >> static_cast<int>(rule) & 1); }

 private:
  static_assert(kRuleCount <= 64);
  uint64_t left_out_ = 0;
};

}  // namespace paceline::takeover
