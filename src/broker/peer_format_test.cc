#include "broker/peer_format.h"

#include <gtest/gtest.h>

namespace paceline::broker {
namespace {

const StreamId kStream{Uuid{{1, 2, 3}}, 7};
const Lane kLane{BrokerId(3), Incarnation(9)};

template <class T>
T round(const T& request) {
  auto decoded = decode_request(encode(PeerRequest(request)));
  EXPECT_TRUE(decoded) << decoded.error().message;
  return std::get<T>(*decoded);
}

Slice slice(std::string_view text) {
  return Slice::copy_of(as_bytes(text));
}

TEST(PeerFormat, RequestsComeOutAsTheyWentIn) {
  const auto append =
      round(ForwardedAppend{kStream, Epoch(4), 1500, 9, 17, slice("a batch as it came")});
  EXPECT_EQ(append.stream, kStream);
  EXPECT_EQ(append.epoch, Epoch(4));
  EXPECT_EQ(append.within_ms, 1500u);
  EXPECT_EQ(append.produce_version, 9);
  EXPECT_EQ(to_string(append.records.bytes()), "a batch as it came");

  ForwardedFetch fetch{1000, false, true, {{kStream, Epoch(4), Offset(77), Epoch(2), 500}}};
  const auto fetched = round(fetch);
  EXPECT_EQ(fetched.bytes_max, 1000u);
  EXPECT_FALSE(fetched.at_least_one);
  EXPECT_TRUE(fetched.read_committed);
  ASSERT_EQ(fetched.reads.size(), 1u);
  EXPECT_EQ(fetched.reads[0].from, Offset(77));
  EXPECT_EQ(fetched.reads[0].expected_epoch, Epoch(2));
  EXPECT_EQ(fetched.reads[0].bytes_max, 500u);

  const auto watch = round(ForwardedWatch{kStream, Epoch(1), 30, Offset(2), Offset(5)});
  EXPECT_EQ(watch.start, Offset(2));
  EXPECT_EQ(watch.end, Offset(5));

  const auto move = round(MoveRequest{BrokerId(2), {kStream, kStream}});
  EXPECT_EQ(move.to, BrokerId(2));
  EXPECT_EQ(move.streams.size(), 2u);

  Adopt adopt{kLane, 5000, {}};
  adopt.partitions.push_back({{kStream, Revision(12), Epoch(3)}, Offset(90), slice("passport")});
  adopt.partitions.push_back({{kStream, Revision(13), Epoch(3)}, Offset(0), Slice()});
  const auto adopted = round(adopt);
  EXPECT_EQ(adopted.source, kLane);
  ASSERT_EQ(adopted.partitions.size(), 2u);
  EXPECT_EQ(adopted.partitions[0].move.page, Revision(12));
  EXPECT_EQ(adopted.partitions[0].end, Offset(90));
  EXPECT_EQ(to_string(adopted.partitions[0].passport.bytes()), "passport");
  EXPECT_TRUE(adopted.partitions[1].passport.empty());

  const auto group = round(ForwardedGroup{kStream, Epoch(6), 8, 9, slice("a commit")});
  EXPECT_EQ(group.stream, kStream);
  EXPECT_EQ(group.epoch, Epoch(6));
  EXPECT_EQ(group.api_key, 8);
  EXPECT_EQ(group.version, 9);
  EXPECT_EQ(to_string(group.body.bytes()), "a commit");

  const auto prefer = round(PreferRequest{{{kStream, {BrokerId(1), BrokerId(2)}}}});
  ASSERT_EQ(prefer.preferences.size(), 1u);
  EXPECT_EQ(prefer.preferences[0].brokers.size(), 2u);
  (void)round(DrainRequest{});
  (void)round(LoadRequest{});
  const auto excerpt = round(ExcerptRequest{kStream, Epoch(4), Offset(9)});
  EXPECT_EQ(excerpt.stream, kStream);
  EXPECT_EQ(excerpt.epoch, Epoch(4));
  EXPECT_EQ(excerpt.from, Offset(9));
  const Lane left{BrokerId(1), Incarnation(7)};
  const Lane reader{BrokerId(2), Incarnation(3)};
  const auto question = round(stream::LogQuestion{left, reader, 5, {kStream}});
  EXPECT_EQ(question.lane, left);
  EXPECT_EQ(question.reader, reader);
  EXPECT_EQ(question.from_group, 5u);
  EXPECT_EQ(question.streams, std::vector{kStream});
  EXPECT_FALSE(round(BalanceRequest{false}).dry_run);
  EXPECT_TRUE(round(BalanceRequest{true}).dry_run);
}

TEST(PeerFormat, AnswersComeOutAsTheyWentIn) {
  const auto done = decode_append_answer(
      encode(AppendAnswer(partition::Appended{Offset(5), 17, Offset(1), true})));
  ASSERT_TRUE(done);
  EXPECT_EQ(std::get<partition::Appended>(*done).base, Offset(5));
  EXPECT_TRUE(std::get<partition::Appended>(*done).duplicate);
  partition::AppendFailure failure{record::KafkaError::invalid_record, "no key", {{3, "here"}}};
  const auto refused = decode_append_answer(encode(AppendAnswer(failure)));
  ASSERT_TRUE(refused);
  EXPECT_EQ(std::get<partition::AppendFailure>(*refused).records[0].message, "here");
  const auto gone = decode_append_answer(encode(AppendAnswer(Elsewhere{kLane, Epoch(8)})));
  ASSERT_TRUE(gone);
  EXPECT_EQ(std::get<Elsewhere>(*gone).lane, kLane);

  partition::Fetched some;
  some.records = {slice("one"), slice("two")};
  some.bytes = 6;
  some.high_watermark = Offset(44);
  const auto reads = decode_fetch_answer(
      encode(std::vector<ReadAnswer>{some, record::KafkaError::offset_out_of_range, Elsewhere{}}));
  ASSERT_TRUE(reads && reads->size() == 3);
  const auto& got = std::get<partition::Fetched>((*reads)[0]);
  EXPECT_EQ(to_string(got.records[0].bytes()), "onetwo");
  EXPECT_EQ(got.high_watermark, Offset(44));
  EXPECT_EQ(std::get<record::KafkaError>((*reads)[1]), record::KafkaError::offset_out_of_range);

  const auto ends = decode_watch_answer(encode(WatchAnswer(Ends{Offset(1), Offset(2)})));
  ASSERT_TRUE(ends);
  EXPECT_EQ(std::get<Ends>(*ends).end, Offset(2));
  const auto excerpt = decode_bytes_answer(encode(BytesAnswer(slice("where it lies"))));
  ASSERT_TRUE(excerpt);
  EXPECT_EQ(to_string(std::get<Slice>(*excerpt).bytes()), "where it lies");
  const auto moved = decode_bytes_answer(encode(BytesAnswer(Elsewhere{kLane, Epoch(8)})));
  ASSERT_TRUE(moved);
  EXPECT_EQ(std::get<Elsewhere>(*moved).epoch, Epoch(8));
  const auto outcomes = decode_outcomes(
      encode(std::vector<Outcome>{{}, {record::KafkaError::not_leader_or_follower, "gone"}}));
  ASSERT_TRUE(outcomes && outcomes->size() == 2);
  EXPECT_EQ((*outcomes)[1].message, "gone");
}

TEST(PeerFormat, LoadsAndPlansComeOutAsTheyWentIn) {
  const auto load = decode_load_answer(
      encode(LoadAnswer{Condition::taking_over, {{kStream, 5}, {kStream, 1ull << 40}}}));
  ASSERT_TRUE(load && load->loads.size() == 2);
  EXPECT_EQ(load->condition, Condition::taking_over);
  EXPECT_EQ(load->loads[1].stream, kStream);
  EXPECT_EQ(load->loads[1].rate, 1ull << 40);

  BalanceAnswer answer{record::KafkaError::none, "fine", BrokerId(1), {}, {}};
  answer.shares.push_back({BrokerId(2), 7, 1'000'000, 250'000, 333'333, true});
  answer.moves.push_back({kStream, BrokerId(2), BrokerId(3), "because"});
  const Slice encoded = encode(answer);
  const auto told = decode_balance_answer(encoded);
  ASSERT_TRUE(told && told->shares.size() == 1 && told->moves.size() == 1);
  EXPECT_EQ(told->message, "fine");
  EXPECT_EQ(told->shares[0].due_ppm, 333'333u);
  EXPECT_TRUE(told->shares[0].drained);
  EXPECT_EQ(told->moves[0].to, BrokerId(3));
  EXPECT_EQ(told->moves[0].reason, "because");
  for (size_t size = 0; size < encoded.size(); ++size)
    EXPECT_FALSE(decode_balance_answer(encoded.subslice(0, size))) << size;
}

TEST(PeerFormat, WhatIsNotKnownIsRefusedAndWhatIsCutIsDamage) {
  EXPECT_EQ(decode_request(slice(std::string_view("\x63\x01", 2))).error().code, Code::unsupported);
  EXPECT_EQ(decode_request(slice(std::string_view("\x01\x02", 2))).error().code, Code::unsupported);
  EXPECT_EQ(decode_request(Slice()).error().code, Code::corrupt);
  Adopt adopt{kLane, 5000, {}};
  EXPECT_FALSE(decode_request(encode(PeerRequest(adopt))));  // of nothing
  adopt.partitions.push_back({{kStream, Revision(12), Epoch(3)}, Offset(90), slice("passport")});
  const Slice whole = encode(PeerRequest(adopt));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(decode_request(whole.subslice(0, size))) << size;
  const Slice answer = encode(AppendAnswer(partition::Appended{}));
  for (size_t size = 0; size < answer.size(); ++size)
    EXPECT_FALSE(decode_append_answer(answer.subslice(0, size))) << size;
}

}  // namespace
}  // namespace paceline::broker
