#include "meta/records.h"

#include <fmt/format.h>

#include "base/codec.h"
#include "base/crc32c.h"

namespace paceline::meta {
namespace {

// The highest format of each kind of record that is read, and the one that is written unless an
// older one will do.
template <class Record>
constexpr uint8_t kVersion = 1;
template <>
constexpr uint8_t kVersion<ObjectRecord> = 2;
template <>
constexpr uint8_t kVersion<LaneRecord> = 2;
constexpr size_t kChecksumBytes = 4;

template <class Record>
uint8_t version_of(const Record&) {
  return kVersion<Record>;
}
bool has_adopted(const LaneRecord& record) {
  return record.adopted_count > 0 || !record.adopted.empty();
}
template <>
uint8_t version_of(const LaneRecord& record) {
  return has_adopted(record) ? 2 : 1;
}

// A flag is one byte, 0 or 1: any other value is damage.
bool get_flag(Decoder& in) {
  const auto value = in.get<uint8_t>();
  if (value > 1) in.invalidate();
  return value == 1;
}

std::string get_string(Decoder& in) {
  return std::string(in.text());
}

using Configs = std::map<std::string, std::string>;
void put_fields(Encoder& out, const Configs& configs) {
  out.varint(configs.size());
  for (const auto& [name, value] : configs) out.text(name).text(value);
}
void get_fields(Decoder& in, Configs& configs) {
  const size_t count = in.count(2);
  for (size_t i = 0; i < count; ++i) {
    std::string name = get_string(in);
    configs.insert_or_assign(std::move(name), get_string(in));
  }
}

void put_fields(Encoder& out, const ClusterRecord& record) {
  out.put(record.cluster_id).put(record.created_ms);
}
void get_fields(Decoder& in, ClusterRecord& record) {
  record.cluster_id = in.uuid();
  record.created_ms = in.get<int64_t>();
}

void put_fields(Encoder& out, const BrokerRecord& record) {
  out.put(record.incarnation).put(uint8_t{record.registered});
  out.varint(record.endpoints.size());
  for (const Endpoint& endpoint : record.endpoints)
    out.text(endpoint.listener).text(endpoint.host).put(endpoint.port);
  out.text(record.rack);
}
void get_fields(Decoder& in, BrokerRecord& record) {
  record.incarnation = in.get<Incarnation>();
  record.registered = get_flag(in);
  const size_t count = in.count(4);
  for (size_t i = 0; i < count; ++i) {
    Endpoint endpoint;
    endpoint.listener = get_string(in);
    endpoint.host = get_string(in);
    endpoint.port = in.get<uint16_t>();
    record.endpoints.push_back(std::move(endpoint));
  }
  record.rack = get_string(in);
}

void put_fields(Encoder& out, const LaneRecord& record) {
  out.put(uint8_t{record.sealed}).put(record.choice_version);
  out.varint(record.successors.size());
  for (const Successor& successor : record.successors)
    out.put(successor.lane).put(successor.capacity).text(successor.zone);
  out.put(record.uploaded).put(record.next_object).put(record.checkpoint);
  if (!has_adopted(record)) return;
  out.varint(record.adopted.size());
  for (const Adopted& one : record.adopted)
    out.put(one.stream).put(one.after).put(one.at).put(one.epoch).put(one.end);
  out.put(record.adopted_count);
}
void get_fields(Decoder& in, LaneRecord& record, uint8_t version) {
  record.sealed = get_flag(in);
  record.choice_version = in.get<uint8_t>();
  const size_t count = in.count(17);
  for (size_t i = 0; i < count; ++i) {
    Successor successor;
    successor.lane = in.lane();
    successor.capacity = in.get<uint32_t>();
    successor.zone = get_string(in);
    record.successors.push_back(std::move(successor));
  }
  record.uploaded = in.get<Position>();
  record.next_object = in.get<uint64_t>();
  record.checkpoint = in.get<uint64_t>();
  if (version < 2) return;
  const size_t adopted = in.count(48);
  for (size_t i = 0; i < adopted; ++i) {
    Adopted one;
    one.stream = in.stream_id();
    one.after = in.get<Position>();
    one.at = in.get<Position>();
    one.epoch = in.get<Epoch>();
    one.end = in.get<Offset>();
    record.adopted.push_back(one);
  }
  record.adopted_count = in.get<uint64_t>();
}

void put_fields(Encoder& out, const ObjectRecord& record) {
  out.put(record.bytes).put(record.directory_position).put(record.directory_bytes);
  out.put(uint8_t{record.checkpoint}).put(record.created_ms).put(record.batch_bytes);
}
void get_fields(Decoder& in, ObjectRecord& record, uint8_t version) {
  record.bytes = in.get<uint64_t>();
  record.directory_position = in.get<uint64_t>();
  record.directory_bytes = in.get<uint32_t>();
  record.checkpoint = get_flag(in);
  record.created_ms = in.get<int64_t>();
  if (version >= 2) record.batch_bytes = in.get<uint64_t>();
}

void put_fields(Encoder& out, const DoneRecord& record) {
  out.put(record.at_ms);
}
void get_fields(Decoder& in, DoneRecord& record) {
  record.at_ms = in.get<int64_t>();
}

void put_fields(Encoder& out, const DeletedRecord& record) {
  out.put(record.at_ms);
}
void get_fields(Decoder& in, DeletedRecord& record) {
  record.at_ms = in.get<int64_t>();
}

void put_fields(Encoder& out, const PageRecord& record) {
  out.varint(record.partitions.size());
  for (const PartitionRecord& partition : record.partitions) {
    out.put(partition.index).put(partition.term.epoch).put(partition.term.lane);
    out.varint(partition.preferred.size());
    for (BrokerId id : partition.preferred) out.put(id);
  }
}
void get_fields(Decoder& in, PageRecord& record) {
  const size_t count = in.count(21);
  if (count > kPartitionsPerPage) in.invalidate();
  for (size_t i = 0; i < count && in.ok(); ++i) {
    PartitionRecord partition;
    partition.index = in.get<uint32_t>();
    partition.term.epoch = in.get<Epoch>();
    partition.term.lane = in.lane();
    const size_t preferred = in.count(4);
    for (size_t j = 0; j < preferred; ++j) partition.preferred.push_back(in.get<BrokerId>());
    record.partitions.push_back(std::move(partition));
  }
}

void put_fields(Encoder& out, const TopicRecord& record) {
  out.put(record.topic_id).put(record.partition_count).put(record.replication_factor);
  out.put(uint8_t{record.internal});
  put_fields(out, record.configs);
}
void get_fields(Decoder& in, TopicRecord& record) {
  record.topic_id = in.uuid();
  record.partition_count = in.get<uint32_t>();
  record.replication_factor = in.get<int16_t>();
  record.internal = get_flag(in);
  get_fields(in, record.configs);
}

void put_fields(Encoder& out, const ConfigRecord& record) {
  put_fields(out, record.configs);
}
void get_fields(Decoder& in, ConfigRecord& record) {
  get_fields(in, record.configs);
}

void put_fields(Encoder& out, const ProducerIdsRecord& record) {
  out.put(record.next);
}
void get_fields(Decoder& in, ProducerIdsRecord& record) {
  record.next = in.get<int64_t>();
}

template <class Record>
std::string encode_record(const Record& record) {
  Encoder out;
  out.put(version_of(record));
  put_fields(out, record);
  out.put(crc32c(out.bytes()));
  return out.take();
}

template <class Record>
Result<Record> decode_record(std::string_view value, std::string_view kind) {
  if (value.size() < 1 + kChecksumBytes)
    return fail(Code::corrupt, fmt::format("a {} record has only {} bytes", kind, value.size()));
  const Bytes body = as_bytes(value).first(value.size() - kChecksumBytes);
  // The checksum comes first: the version of a damaged record means nothing.
  const auto checksum = load_be<uint32_t>(as_bytes(value).data() + body.size());
  if (checksum != crc32c(body))
    return fail(Code::corrupt, fmt::format("a {} record does not match its checksum", kind));
  Decoder in(body);
  const auto version = in.get<uint8_t>();
  if (version > kVersion<Record>)
    return fail(Code::unsupported,
                fmt::format("a {} record has format {}; this build knows up to {}", kind, version,
                            kVersion<Record>));
  Record record;
  if constexpr (kVersion<Record> > 1) {
    get_fields(in, record, version);
  } else {
    get_fields(in, record);
  }
  if (version == 0 || !in.done())
    return fail(Code::corrupt,
                fmt::format("a {} record does not have the fields of format {}", kind, version));
  return record;
}

}  // namespace

std::string encode(const ClusterRecord& record) {
  return encode_record(record);
}
std::string encode(const BrokerRecord& record) {
  return encode_record(record);
}
std::string encode(const LaneRecord& record) {
  return encode_record(record);
}
std::string encode(const ObjectRecord& record) {
  return encode_record(record);
}
std::string encode(const DoneRecord& record) {
  return encode_record(record);
}
std::string encode(const DeletedRecord& record) {
  return encode_record(record);
}
std::string encode(const PageRecord& record) {
  return encode_record(record);
}
std::string encode(const TopicRecord& record) {
  return encode_record(record);
}
std::string encode(const ConfigRecord& record) {
  return encode_record(record);
}
std::string encode(const ProducerIdsRecord& record) {
  return encode_record(record);
}

template <>
Result<ClusterRecord> decode(std::string_view value) {
  return decode_record<ClusterRecord>(value, "cluster");
}
template <>
Result<BrokerRecord> decode(std::string_view value) {
  return decode_record<BrokerRecord>(value, "broker");
}
template <>
Result<LaneRecord> decode(std::string_view value) {
  return decode_record<LaneRecord>(value, "lane");
}
template <>
Result<ObjectRecord> decode(std::string_view value) {
  return decode_record<ObjectRecord>(value, "object");
}
template <>
Result<DoneRecord> decode(std::string_view value) {
  return decode_record<DoneRecord>(value, "done");
}
template <>
Result<DeletedRecord> decode(std::string_view value) {
  return decode_record<DeletedRecord>(value, "deleted");
}
template <>
Result<PageRecord> decode(std::string_view value) {
  return decode_record<PageRecord>(value, "page");
}
template <>
Result<TopicRecord> decode(std::string_view value) {
  return decode_record<TopicRecord>(value, "topic");
}
template <>
Result<ConfigRecord> decode(std::string_view value) {
  return decode_record<ConfigRecord>(value, "config");
}
template <>
Result<ProducerIdsRecord> decode(std::string_view value) {
  return decode_record<ProducerIdsRecord>(value, "producer-ids");
}

}  // namespace paceline::meta
