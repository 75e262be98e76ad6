#include "broker/api.h"
#include "broker/lookup.h"
#include "protocol/gen/delete_records.h"
#include "protocol/gen/describe_producers.h"
#include "protocol/gen/list_offsets.h"
#include "protocol/gen/offset_for_leader_epoch.h"

// Questions about the offsets of partitions.

namespace paceline::broker {

Task<Reply> handle_list_offsets(Request& request) {
  PACELINE_DECODE(ListOffsetsRequest, message);
  struct Question {
    Uuid topic_id;
    int32_t index;
    KafkaError error;
    int64_t timestamp;
    Epoch epoch;
    bool read_committed;
    partition::TimestampAndOffset answer{};
  };
  const auto image = request.node.image();
  std::vector<Question> questions;
  for (const auto& topic : message.topics) {
    const cluster::TopicImage* found = image->topic(topic.name);
    for (const auto& partition : topic.partitions)
      questions.push_back({found ? found->id : Uuid{}, partition.partition_index,
                           why_not_here(request.node, found, partition.partition_index),
                           partition.timestamp, Epoch(partition.current_leader_epoch),
                           message.isolation_level == 1});
  }
  auto step = [](Hosted& hosted, Question& question) -> Task<void> {
    auto answer = co_await hosted.partition->list_offset(question.timestamp, question.epoch,
                                                         question.read_committed);
    if (answer) {
      question.answer = *answer;
    } else {
      question.error = answer.error().code;
    }
  };
  co_await on_home_shards(request, questions, step);

  protocol::ListOffsetsResponse response;
  size_t at = 0;
  for (const auto& topic : message.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = std::string(topic.name);
    for (const auto& partition : topic.partitions) {
      const Question& question = questions[at++];
      auto& one = answer.partitions.emplace_back();
      one.partition_index = partition.partition_index;
      one.error_code = wire(question.error);
      one.timestamp = question.answer.timestamp;
      one.offset = question.answer.offset.value;
      if (request.version >= 4) one.leader_epoch = question.answer.epoch.value;
    }
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_offset_for_leader_epoch(Request& request) {
  PACELINE_DECODE(OffsetForLeaderEpochRequest, message);
  struct Question {
    Uuid topic_id;
    int32_t index;
    KafkaError error;
    Epoch asked;
    Epoch current;
    partition::EpochEnd answer{};
  };
  const auto image = request.node.image();
  std::vector<Question> questions;
  for (const auto& topic : message.topics) {
    const cluster::TopicImage* found = image->topic(topic.topic);
    for (const auto& partition : topic.partitions)
      questions.push_back({found ? found->id : Uuid{}, partition.partition,
                           why_not_here(request.node, found, partition.partition),
                           Epoch(partition.leader_epoch), Epoch(partition.current_leader_epoch)});
  }
  auto step = [](Hosted& hosted, Question& question) -> Task<void> {
    auto answer = hosted.partition->epoch_end(question.asked, question.current);
    if (answer) {
      question.answer = *answer;
    } else {
      question.error = answer.error().code;
    }
    co_return;
  };
  co_await on_home_shards(request, questions, step);

  protocol::OffsetForLeaderEpochResponse response;
  size_t at = 0;
  for (const auto& topic : message.topics) {
    auto& answer = response.topics.emplace_back();
    answer.topic = std::string(topic.topic);
    for (const auto& partition : topic.partitions) {
      const Question& question = questions[at++];
      auto& one = answer.partitions.emplace_back();
      one.partition = partition.partition;
      one.error_code = wire(question.error);
      one.leader_epoch = question.answer.epoch.value;
      one.end_offset = question.answer.end.value;
    }
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_delete_records(Request& request) {
  PACELINE_DECODE(DeleteRecordsRequest, message);
  struct Deletion {
    Uuid topic_id;
    int32_t index;
    KafkaError error;
    Offset before;
    Offset low{-1};
  };
  const auto image = request.node.image();
  std::vector<Deletion> deletions;
  for (const auto& topic : message.topics) {
    const cluster::TopicImage* found = image->topic(topic.name);
    for (const auto& partition : topic.partitions) {
      KafkaError error = why_not_here(request.node, found, partition.partition_index);
      if (error == KafkaError::none && found->internal) error = KafkaError::policy_violation;
      deletions.push_back(
          {found ? found->id : Uuid{}, partition.partition_index, error, Offset(partition.offset)});
    }
  }
  auto step = [](Hosted& hosted, Deletion& deletion) -> Task<void> {
    auto low = co_await hosted.partition->delete_records(deletion.before);
    if (low) {
      deletion.low = *low;
    } else {
      deletion.error = low.error().code;
    }
  };
  co_await on_home_shards(request, deletions, step);

  protocol::DeleteRecordsResponse response;
  size_t at = 0;
  for (const auto& topic : message.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = std::string(topic.name);
    for (const auto& partition : topic.partitions) {
      const Deletion& deletion = deletions[at++];
      answer.partitions.push_back(
          {partition.partition_index, deletion.low.value, wire(deletion.error)});
    }
  }
  co_return reply_with(request, response);
}

Task<Reply> handle_describe_producers(Request& request) {
  PACELINE_DECODE(DescribeProducersRequest, message);
  struct Question {
    Uuid topic_id;
    int32_t index;
    KafkaError error;
    std::vector<partition::Partition::ProducerImage> answer{};
  };
  const auto image = request.node.image();
  std::vector<Question> questions;
  for (const auto& topic : message.topics) {
    const cluster::TopicImage* found = image->topic(topic.name);
    for (int32_t index : topic.partition_indexes)
      questions.push_back(
          {found ? found->id : Uuid{}, index, why_not_here(request.node, found, index)});
  }
  auto step = [](Hosted& hosted, Question& question) -> Task<void> {
    question.answer = hosted.partition->producers();
    co_return;
  };
  co_await on_home_shards(request, questions, step);

  protocol::DescribeProducersResponse response;
  size_t at = 0;
  for (const auto& topic : message.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = std::string(topic.name);
    for (int32_t index : topic.partition_indexes) {
      const Question& question = questions[at++];
      auto& one = answer.partitions.emplace_back();
      one.partition_index = index;
      one.error_code = wire(question.error);
      for (const auto& producer : question.answer) {
        auto& active = one.active_producers.emplace_back();
        active.producer_id = producer.producer_id;
        active.producer_epoch = producer.epoch;
        active.last_sequence = producer.last_sequence;
        active.last_timestamp = producer.last_timestamp;
        active.coordinator_epoch = -1;
      }
    }
  }
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
