#pragma once

#include <bitset>
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
  missing_slot_stops,
  serve_only_registered,
  chain_as_of_sealing,
  // Upload, trim, marks, collection (5.3, 5.7, 5.9)
  upload_only_durable,
  commit_compares_lane,
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
  // Planned moves by adoption (5.8): the source
  move_pauses,
  move_when_durable,
  passport_has_the_tail,
  passport_is_committed,
  source_freezes_objects,
  abort_bumps_version,
  resume_needs_own_term,
  release_when_known,
  // The target
  target_refuses_its_own,
  adoption_is_durable,
  adoption_behind_the_cut,
  adoption_takes_turn,
  adoption_off_is_decided,
  target_serves_when_committed,
  move_compares_source,
  move_compares_target,
  move_compares_version,
  // Whoever reads a lane
  adoption_replaces,
  longer_knowledge_wins,
  // Collection of objects (5.9)
  collector_minds_adoptions,
  collector_minds_sealed_lanes,
  collector_minds_others,
  collector_reads_one_revision,
  // Forwarding (5.8)
  forward_after_commit,
  paused_go_first,
  forward_in_order,
  one_hop,
  target_checks_term,
  forward_has_deadline,
  lost_answer_closes,
  only_target_answers,
  forward_is_sent_once,
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
  void leave_out(Rule rule) { left_out_.set(static_cast<size_t>(rule)); }
  bool hold(Rule rule) const { return !left_out_.test(static_cast<size_t>(rule)); }

 private:
  std::bitset<kRuleCount> left_out_;
};

}  // namespace paceline::takeover
