#include "protocol/header.h"

#include <gtest/gtest.h>

#include "protocol/gen/api_versions.h"
#include "protocol/gen/fetch.h"
#include "protocol/gen/produce.h"

namespace paceline::protocol {
namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  for (unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

TEST(Header, request_v2_keeps_client_id_in_the_old_encoding) {
  Output out;
  encode_request_header(RequestHeader{1, 12, 7, "ab"}, out);
  const std::string bytes = join(out.take());
  EXPECT_EQ(hex(bytes),
            "0001"
            "000c"
            "00000007"
            "00026162"
            "00");
  Cursor in(as_bytes(bytes));
  auto header = decode_request_header(in);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->client_id, "ab");
  EXPECT_TRUE(in.done());
}

TEST(Header, request_v1_has_no_tags_and_client_id_may_be_null) {
  Output out;
  encode_request_header(RequestHeader{1, 11, 7, std::nullopt}, out);
  EXPECT_EQ(hex(join(out.take())),
            "0001"
            "000b"
            "00000007"
            "ffff");
}

TEST(Header, api_versions_response_never_has_header_tags) {
  ApiVersionsResponse response;
  auto frame = response_frame(3, 9, response);
  ASSERT_TRUE(frame);
  // length, correlation id, error, empty compact array, throttle, no tags
  EXPECT_EQ(hex(join(*frame)),
            "0000000c"
            "00000009"
            "0000"
            "01"
            "00000000"
            "00");
}

TEST(Header, a_fetch_response_shares_its_records_with_their_buffer) {
  const Slice first = Slice::copy_of(as_bytes("batch-1"));
  const Slice second = Slice::copy_of(as_bytes("batch-two"));
  FetchResponse response;
  auto& topic = response.responses.emplace_back();
  topic.topic = "t";
  auto& partition = topic.partitions.emplace_back();
  partition.high_watermark = 3;
  partition.aborted_transactions.reset();
  partition.records = {first, second};
  auto frame = response_frame(4, 1, response);
  ASSERT_TRUE(frame);
  ASSERT_EQ(frame->size(), 3u);
  EXPECT_EQ((*frame)[1].data(), first.data());
  EXPECT_EQ((*frame)[2].data(), second.data());
  const std::string whole = join(*frame);
  EXPECT_EQ(hex(whole),
            "00000041"
            "00000001"
            "00000000"
            "00000001"
            "000174"
            "00000001"
            "00000000"
            "0000"
            "0000000000000003"
            "ffffffffffffffff"
            "ffffffff"
            "00000010"
            "62617463682d31"
            "62617463682d74776f");
  Slice received = Slice::copy_of(as_bytes(whole).subspan(4));
  Cursor in(received);
  EXPECT_EQ(decode_response_header(FetchResponse::kApiKey, 4, in), 1);
  auto back = FetchResponse::decode(4, in);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(*back == response);
  const Slice& records = back->responses[0].partitions[0].records[0];
  EXPECT_TRUE(records.buffer().same_block(received.buffer()));
}

TEST(Header, produce_records_are_views_into_the_frame) {
  const std::string body = "batch";
  ProduceRequest request;
  request.acks = -1;
  auto& topic = request.topic_data.emplace_back();
  topic.name = "t";
  topic.partition_data.emplace_back().records = as_bytes(body);
  auto frame = request_frame(9, 5, "c", request);
  ASSERT_TRUE(frame);
  const std::string bytes = join(*frame);
  Cursor in(as_bytes(bytes).subspan(4));
  auto header = decode_request_header(in);
  ASSERT_TRUE(header);
  auto decoded = ProduceRequest::decode(header->api_version, in);
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(*decoded == request);
  const Bytes records = *decoded->topic_data[0].partition_data[0].records;
  EXPECT_GE(as_text(records).data(), bytes.data());
  EXPECT_LE(as_text(records).data() + records.size(), bytes.data() + bytes.size());
}

TEST(Header, a_version_without_the_field_refuses_a_value_and_writes_nothing) {
  FetchResponse response;
  response.session_id = 4;
  Output out;
  auto done = response.encode(6, out);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::unsupported);
  EXPECT_EQ(out.size(), 0u);
  EXPECT_TRUE(response.encode(7, out));
}

TEST(Header, an_unknown_version_is_refused_in_both_directions) {
  Output out;
  EXPECT_FALSE(FetchResponse{}.encode(3, out));
  EXPECT_FALSE(FetchResponse::decode(18, Bytes{}));
}

}  // namespace
}  // namespace paceline::protocol
