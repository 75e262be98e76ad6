#include "takeover/rules.h"

#include <array>

#include "base/check.h"

namespace paceline::takeover {
namespace {

struct Words {
  Rule rule;
  std::string_view name;
  std::string_view sentence;
};

constexpr std::array<Words, kRuleCount> kWords{{
    {Rule::ack_only_durable, "ack_only_durable",
     "an acknowledgement waits until the slot is stored"},
    {Rule::ack_in_slot_order, "ack_in_slot_order",
     "a slot is acknowledged after all slots before it"},
    {Rule::visible_only_durable, "visible_only_durable",
     "readers see nothing above the durable end"},
    {Rule::foreign_slot_is_fence, "foreign_slot_is_fence",
     "a slot that holds something else than we put ends the writer"},
    {Rule::own_slot_is_success, "own_slot_is_success",
     "412 on a slot that holds our own nonce is success"},
    {Rule::late_answer_reads_lane, "late_answer_reads_lane",
     "an answer behind its deadline counts only after a look at the lane's record"},
    {Rule::producer_state_is_data, "producer_state_is_data",
     "a retry is looked up in all that was recovered before it is appended"},
    {Rule::fence_compares_incarnation, "fence_compares_incarnation",
     "a fence compares that the registration is still that incarnation"},
    {Rule::fence_compares_successors, "fence_compares_successors",
     "a fence compares that every named successor is registered"},
    {Rule::restart_is_a_fence, "restart_is_a_fence",
     "registering over a live incarnation seals its lane in the same transaction"},
    {Rule::seal_after_fence, "seal_after_fence",
     "no seal is put before the fence is known to have committed"},
    {Rule::seal_before_read, "seal_before_read", "a tail is read after its lane's log is sealed"},
    {Rule::seal_from_recorded_trim, "seal_from_recorded_trim",
     "a sealer starts at the trim position as of the fence or later"},
    {Rule::end_is_written_once, "end_is_written_once", "the first END decides where a lane ends"},
    {Rule::seal_is_kept, "seal_is_kept", "a seal is never deleted"},
    {Rule::read_the_sealed_tail, "read_the_sealed_tail",
     "a start offset comes from the sealed tail, not from the committed end alone"},
    {Rule::read_every_unmarked_lane, "read_every_unmarked_lane",
     "every unmarked lane of the chain is read, in order"},
    {Rule::read_up_to_the_seal, "read_up_to_the_seal", "nothing beyond the seal is read"},
    {Rule::missing_slot_stops, "missing_slot_stops",
     "a missing slot below the end is waited for, never skipped"},
    {Rule::serve_only_registered, "serve_only_registered",
     "a successor that is not registered any more does not begin to serve"},
    {Rule::chain_as_of_sealing, "chain_as_of_sealing",
     "marks and directories are read at or after the fence's revision"},
    {Rule::upload_only_durable, "upload_only_durable", "an upload ends at the durable end"},
    {Rule::commit_compares_lane, "commit_compares_lane",
     "an upload's commit compares that its lane is open"},
    {Rule::unknown_commit_is_read_back, "unknown_commit_is_read_back",
     "a commit without an answer is read back, not taken for done"},
    {Rule::trim_after_commit, "trim_after_commit",
     "slots are deleted after the commit that covers them"},
    {Rule::trim_is_recorded, "trim_is_recorded",
     "the trim position is in the metadata before a slot below it is deleted"},
    {Rule::mark_with_the_upload, "mark_with_the_upload",
     "a done mark is written in the upload's commit"},
    {Rule::mark_an_empty_tail, "mark_an_empty_tail",
     "a share without anything to upload is marked as well"},
    {Rule::collect_after_marks, "collect_after_marks",
     "a sealed lane's log is deleted when its shares are marked"},
    {Rule::collect_after_all_marks, "collect_after_all_marks",
     "it waits for the mark of every partition in it"},
    {Rule::dead_successor_is_not_done, "dead_successor_is_not_done",
     "the share of a dead successor is not counted as done"},
    {Rule::preference_materialises, "preference_materialises",
     "a preference in a sealed lane changes together with the materialised chain"},
    {Rule::materialise_keeps_unmarked, "materialise_keeps_unmarked",
     "a page that is rewritten keeps the unmarked lanes of the chain"},
    {Rule::move_pauses, "move_pauses",
     "the source sequences nothing while a move's outcome is open"},
    {Rule::move_when_durable, "move_when_durable",
     "the passport leaves when every sequenced batch is durable"},
    {Rule::passport_has_the_tail, "passport_has_the_tail",
     "the passport holds what no object has yet"},
    {Rule::passport_is_committed, "passport_is_committed",
     "the passport names objects of committed uploads only"},
    {Rule::source_freezes_objects, "source_freezes_objects",
     "compaction leaves a stream alone from its passport on until the outcome is known"},
    {Rule::abort_bumps_version, "abort_bumps_version",
     "an unknown move is aborted by a new version of the page, not by assuming that it failed"},
    {Rule::resume_needs_own_term, "resume_needs_own_term",
     "the source goes on only in the term that it paused in"},
    {Rule::release_when_known, "release_when_known",
     "the source drops the stream when the page says another term"},
    {Rule::target_refuses_its_own, "target_refuses_its_own",
     "the target adopts nothing that it has open or has an undecided adoption of"},
    {Rule::adoption_is_durable, "adoption_is_durable",
     "the move is committed when the adoption is durable in the target's log"},
    {Rule::adoption_behind_the_cut, "adoption_behind_the_cut",
     "an adoption that an upload was cut past is not committed"},
    {Rule::adoption_takes_turn, "adoption_takes_turn",
     "no upload is cut or committed while an adoption's outcome is open"},
    {Rule::adoption_off_is_decided, "adoption_off_is_decided",
     "the target forgets an unknown adoption after a new version of its own record"},
    {Rule::target_serves_when_committed, "target_serves_when_committed",
     "the target serves when the move is known to be committed"},
    {Rule::move_compares_source, "move_compares_source",
     "a move compares that the source's lane is open"},
    {Rule::move_compares_target, "move_compares_target",
     "a move compares the target's lane: no term goes into a sealed lane"},
    {Rule::move_compares_version, "move_compares_version",
     "a move compares the version of the page"},
    {Rule::adoption_replaces, "adoption_replaces",
     "an adoption replaces what the lane knew before"},
    {Rule::longer_knowledge_wins, "longer_knowledge_wins",
     "of two pieces of knowledge of a stream the one that reaches further is taken"},
    {Rule::collector_minds_adoptions, "collector_minds_adoptions",
     "nothing is collected while a lane has an adoption that no directory has"},
    {Rule::collector_minds_sealed_lanes, "collector_minds_sealed_lanes",
     "directories of sealed lanes count until all marks are there"},
    {Rule::collector_minds_others, "collector_minds_others",
     "directories of all other open lanes count"},
    {Rule::collector_reads_one_revision, "collector_reads_one_revision",
     "the lanes are looked at as of one revision"},
    {Rule::forward_after_commit, "forward_after_commit",
     "nothing is forwarded before the move is known to be committed"},
    {Rule::paused_go_first, "paused_go_first", "paused requests are forwarded before later ones"},
    {Rule::forward_in_order, "forward_in_order",
     "requests of one connection are forwarded and served in order"},
    {Rule::one_hop, "one_hop", "a forwarded request is not forwarded again"},
    {Rule::target_checks_term, "target_checks_term",
     "the target refuses a request that was forwarded for another term"},
    {Rule::forward_has_deadline, "forward_has_deadline",
     "the target refuses a request whose deadline has passed"},
    {Rule::lost_answer_closes, "lost_answer_closes",
     "a lost answer closes the connection; it is no refusal"},
    {Rule::only_target_answers, "only_target_answers",
     "the source relays the target's answer and never gives one of its own"},
    {Rule::forward_is_sent_once, "forward_is_sent_once",
     "a request without an answer is not forwarded once more"},
}};

const Words& words_of(Rule rule) {
  const Words& words = kWords[static_cast<size_t>(rule)];
  CHECK(words.rule == rule);
  return words;
}

}  // namespace

std::string_view name(Rule rule) {
  return words_of(rule).name;
}

std::string_view sentence(Rule rule) {
  return words_of(rule).sentence;
}

}  // namespace paceline::takeover
