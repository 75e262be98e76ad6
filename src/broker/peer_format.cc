#include "broker/peer_format.h"

#include <fmt/format.h>

#include "base/codec.h"

namespace paceline::broker {
namespace {

// Numbers never change; one that is gone is not used again.
enum class Kind : uint8_t {
  append = 1,
  fetch = 2,
  watch = 3,
  move = 4,
  adopt = 5,
  prefer = 6,
  drain = 7,
  load = 8,
  balance = 9,
  excerpt = 10,
  group = 11,
  log = 12
};
enum class Status : uint8_t { done = 0, refused = 1, elsewhere = 2 };
constexpr uint8_t kVersion = 1;
constexpr size_t kReadsMax = 100'000;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

Slice finish(Encoder& out) {
  return Slice::copy_of(out.bytes());
}
void put_bytes(Encoder& out, const Slice& bytes) {
  out.varint(bytes.size());
  out.raw(bytes.bytes());
}
// A part of `body`, without a copy.
Slice get_slice(Decoder& in, const Slice& body) {
  const uint64_t size = in.varint();
  if (size > in.remaining()) in.invalidate();
  const Bytes bytes = in.raw(in.ok() ? static_cast<size_t>(size) : 0);
  return in.ok() ? Slice(body.buffer(), bytes) : Slice();
}

void put_head(Encoder& out, Kind kind) {
  out.put(static_cast<uint8_t>(kind)).put(kVersion);
}

void put_fields(Encoder& out, const ForwardedAppend& append) {
  put_head(out, Kind::append);
  out.put(append.stream).put(append.epoch).put(append.within_ms).put(append.produce_version);
  out.put(append.awaited);
  out.raw(append.records.bytes());
}
ForwardedAppend get_append(Decoder& in, const Slice& body) {
  ForwardedAppend append;
  append.stream = in.stream_id();
  append.epoch = in.get<Epoch>();
  append.within_ms = in.get<uint32_t>();
  append.produce_version = in.get<int16_t>();
  append.awaited = in.get<int32_t>();
  const Bytes records = in.raw(in.remaining());
  append.records = Slice(body.buffer(), records);
  return append;
}

void put_fields(Encoder& out, const ForwardedFetch& fetch) {
  put_head(out, Kind::fetch);
  out.put(fetch.bytes_max);
  out.put(static_cast<uint8_t>(int{fetch.at_least_one} | int{fetch.read_committed} << 1));
  out.varint(fetch.reads.size());
  for (const ForwardedRead& read : fetch.reads)
    out.put(read.stream)
        .put(read.epoch)
        .put(read.from)
        .put(read.expected_epoch)
        .put(read.bytes_max);
}
ForwardedFetch get_fetch(Decoder& in) {
  ForwardedFetch fetch;
  fetch.bytes_max = in.get<uint32_t>();
  const auto flags = in.get<uint8_t>();
  if (flags > 3) in.invalidate();
  fetch.at_least_one = flags & 1;
  fetch.read_committed = flags & 2;
  const size_t count = in.count(40);
  if (count > kReadsMax) in.invalidate();
  for (size_t i = 0; i < count && in.ok(); ++i) {
    ForwardedRead read;
    read.stream = in.stream_id();
    read.epoch = in.get<Epoch>();
    read.from = in.get<Offset>();
    read.expected_epoch = in.get<Epoch>();
    read.bytes_max = in.get<uint32_t>();
    fetch.reads.push_back(read);
  }
  return fetch;
}

void put_fields(Encoder& out, const ForwardedWatch& watch) {
  put_head(out, Kind::watch);
  out.put(watch.stream).put(watch.epoch).put(watch.within_ms).put(watch.start).put(watch.end);
}
ForwardedWatch get_watch(Decoder& in) {
  ForwardedWatch watch;
  watch.stream = in.stream_id();
  watch.epoch = in.get<Epoch>();
  watch.within_ms = in.get<uint32_t>();
  watch.start = in.get<Offset>();
  watch.end = in.get<Offset>();
  return watch;
}

void put_fields(Encoder& out, const MoveRequest& move) {
  put_head(out, Kind::move);
  out.put(move.to).varint(move.streams.size());
  for (const StreamId& stream : move.streams) out.put(stream);
}
MoveRequest get_move(Decoder& in) {
  MoveRequest move;
  move.to = in.get<BrokerId>();
  const size_t count = in.count(20);
  for (size_t i = 0; i < count && in.ok(); ++i) move.streams.push_back(in.stream_id());
  return move;
}

void put_fields(Encoder& out, const Adopt& adopt) {
  put_head(out, Kind::adopt);
  out.put(adopt.source).put(adopt.within_ms).varint(adopt.partitions.size());
  for (const Adopt::One& one : adopt.partitions) {
    out.put(one.move.stream).put(one.move.page).put(one.move.epoch).put(one.end);
    put_bytes(out, one.passport);
  }
}
Adopt get_adopt(Decoder& in, const Slice& body) {
  Adopt adopt;
  adopt.source = in.lane();
  adopt.within_ms = in.get<uint32_t>();
  const size_t count = in.count(41);
  if (count == 0 || count > kMovesPerCall) in.invalidate();
  for (size_t i = 0; i < count && in.ok(); ++i) {
    Adopt::One one;
    one.move.stream = in.stream_id();
    one.move.page = in.get<Revision>();
    one.move.epoch = in.get<Epoch>();
    one.end = in.get<Offset>();
    one.passport = get_slice(in, body);
    adopt.partitions.push_back(std::move(one));
  }
  return adopt;
}

void put_fields(Encoder& out, const PreferRequest& prefer) {
  put_head(out, Kind::prefer);
  out.varint(prefer.preferences.size());
  for (const cluster::Preference& one : prefer.preferences) {
    out.put(one.stream).varint(one.brokers.size());
    for (BrokerId broker : one.brokers) out.put(broker);
  }
}
PreferRequest get_prefer(Decoder& in) {
  PreferRequest prefer;
  const size_t count = in.count(21);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    cluster::Preference one;
    one.stream = in.stream_id();
    const size_t brokers = in.count(4);
    for (size_t j = 0; j < brokers; ++j) one.brokers.push_back(in.get<BrokerId>());
    prefer.preferences.push_back(std::move(one));
  }
  return prefer;
}

void put_fields(Encoder& out, const DrainRequest&) {
  put_head(out, Kind::drain);
}

void put_fields(Encoder& out, const LoadRequest&) {
  put_head(out, Kind::load);
}

void put_fields(Encoder& out, const BalanceRequest& balance) {
  put_head(out, Kind::balance);
  out.put(uint8_t{balance.dry_run});
}

void put_fields(Encoder& out, const stream::LogQuestion& question) {
  put_head(out, Kind::log);
  out.put(question.lane).put(question.reader).put(question.from_group);
  out.varint(question.streams.size());
  for (const StreamId& stream : question.streams) out.put(stream);
}
stream::LogQuestion get_log_question(Decoder& in) {
  constexpr size_t kStreamBytes = 20;
  stream::LogQuestion question;
  question.lane = in.lane();
  question.reader = in.lane();
  question.from_group = in.get<uint32_t>();
  const size_t count = in.count(kStreamBytes);
  question.streams.reserve(count);
  for (size_t i = 0; i < count; ++i) question.streams.push_back(in.stream_id());
  return question;
}

void put_fields(Encoder& out, const ExcerptRequest& excerpt) {
  put_head(out, Kind::excerpt);
  out.put(excerpt.stream).put(excerpt.epoch).put(excerpt.from);
}
ExcerptRequest get_excerpt(Decoder& in) {
  ExcerptRequest excerpt;
  excerpt.stream = in.stream_id();
  excerpt.epoch = in.get<Epoch>();
  excerpt.from = in.get<Offset>();
  return excerpt;
}

void put_fields(Encoder& out, const ForwardedGroup& group) {
  put_head(out, Kind::group);
  out.put(group.stream).put(group.epoch).put(group.api_key).put(group.version);
  out.raw(group.body.bytes());
}
ForwardedGroup get_group(Decoder& in, const Slice& body) {
  ForwardedGroup group;
  group.stream = in.stream_id();
  group.epoch = in.get<Epoch>();
  group.api_key = in.get<int16_t>();
  group.version = in.get<int16_t>();
  group.body = Slice(body.buffer(), in.raw(in.remaining()));
  return group;
}

bool get_flag(Decoder& in) {
  const auto flag = in.get<uint8_t>();
  if (flag > 1) in.invalidate();
  return flag == 1;
}

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Code::corrupt, fmt::format("{} of another broker cannot be read", what));
}

// An answer that ends where its fields do.
template <class Answer>
Result<Answer> whole(const Decoder& in, Answer answer) {
  if (!in.done()) return damaged("the answer");
  return answer;
}

void put_elsewhere(Encoder& out, const Elsewhere& elsewhere) {
  out.put(static_cast<uint8_t>(Status::elsewhere)).put(elsewhere.lane).put(elsewhere.epoch);
}
Elsewhere get_elsewhere(Decoder& in) {
  Elsewhere elsewhere;
  elsewhere.lane = in.lane();
  elsewhere.epoch = in.get<Epoch>();
  return elsewhere;
}
record::KafkaError get_error(Decoder& in) {
  return static_cast<record::KafkaError>(in.get<int16_t>());
}
void put_error(Encoder& out, record::KafkaError error) {
  out.put(static_cast<int16_t>(error));
}

}  // namespace

Slice encode(const PeerRequest& request) {
  Encoder out;
  std::visit([&out](const auto& one) { put_fields(out, one); }, request);
  return finish(out);
}

Result<PeerRequest> decode_request(const Slice& body) {
  Decoder in(body.bytes());
  const auto kind = in.get<uint8_t>();
  const auto version = in.get<uint8_t>();
  if (!in.ok()) return damaged("a question");
  if (version != kVersion)
    return fail(Code::unsupported, fmt::format("a question of version {}", version));
  std::optional<PeerRequest> request;
  switch (static_cast<Kind>(kind)) {
    case Kind::append:
      request = get_append(in, body);
      break;
    case Kind::fetch:
      request = get_fetch(in);
      break;
    case Kind::watch:
      request = get_watch(in);
      break;
    case Kind::move:
      request = get_move(in);
      break;
    case Kind::adopt:
      request = get_adopt(in, body);
      break;
    case Kind::prefer:
      request = get_prefer(in);
      break;
    case Kind::drain:
      request = DrainRequest{};
      break;
    case Kind::load:
      request = LoadRequest{};
      break;
    case Kind::balance:
      request = BalanceRequest{get_flag(in)};
      break;
    case Kind::excerpt:
      request = get_excerpt(in);
      break;
    case Kind::group:
      request = get_group(in, body);
      break;
    case Kind::log:
      request = get_log_question(in);
      break;
  }
  if (!request) return fail(Code::unsupported, fmt::format("a question of kind {}", kind));
  if (!in.done()) return damaged("a question");
  return std::move(*request);
}

Slice encode(const AppendAnswer& answer) {
  Encoder out;
  std::visit(Overloaded{[&](const partition::Appended& appended) {
                          out.put(static_cast<uint8_t>(Status::done)).put(appended.base);
                          out.put(appended.log_append_time_ms).put(appended.log_start);
                          out.put(uint8_t{appended.duplicate});
                        },
                        [&](const partition::AppendFailure& failure) {
                          out.put(static_cast<uint8_t>(Status::refused));
                          put_error(out, failure.code);
                          out.text(failure.message).varint(failure.records.size());
                          for (const partition::RecordError& one : failure.records)
                            out.put(one.batch_index).text(one.message);
                        },
                        [&](const Elsewhere& elsewhere) { put_elsewhere(out, elsewhere); }},
             answer);
  return finish(out);
}

Result<AppendAnswer> decode_append_answer(const Slice& body) {
  Decoder in(body.bytes());
  AppendAnswer answer;
  switch (static_cast<Status>(in.get<uint8_t>())) {
    case Status::done: {
      partition::Appended appended;
      appended.base = in.get<Offset>();
      appended.log_append_time_ms = in.get<int64_t>();
      appended.log_start = in.get<Offset>();
      appended.duplicate = in.get<uint8_t>() != 0;
      answer = appended;
      break;
    }
    case Status::refused: {
      partition::AppendFailure failure{get_error(in), std::string(in.text()), {}};
      const size_t count = in.count(5);
      for (size_t i = 0; i < count && in.ok(); ++i) {
        const auto index = in.get<int32_t>();
        failure.records.push_back({index, std::string(in.text())});
      }
      answer = std::move(failure);
      break;
    }
    case Status::elsewhere:
      answer = get_elsewhere(in);
      break;
    default:
      in.invalidate();
  }
  return whole(in, std::move(answer));
}

Slice encode(const std::vector<ReadAnswer>& answers) {
  Encoder out;
  out.varint(answers.size());
  for (const ReadAnswer& answer : answers)
    std::visit(Overloaded{[&](const partition::Fetched& fetched) {
                            out.put(static_cast<uint8_t>(Status::done)).put(fetched.high_watermark);
                            out.put(fetched.last_stable_offset).put(fetched.log_start);
                            out.varint(fetched.bytes);
                            for (const Slice& slice : fetched.records) out.raw(slice.bytes());
                          },
                          [&](record::KafkaError error) {
                            out.put(static_cast<uint8_t>(Status::refused));
                            put_error(out, error);
                          },
                          [&](const Elsewhere& elsewhere) { put_elsewhere(out, elsewhere); }},
               answer);
  return finish(out);
}

Result<std::vector<ReadAnswer>> decode_fetch_answer(const Slice& body) {
  Decoder in(body.bytes());
  std::vector<ReadAnswer> answers;
  const size_t count = in.count(3);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    switch (static_cast<Status>(in.get<uint8_t>())) {
      case Status::done: {
        partition::Fetched fetched;
        fetched.high_watermark = in.get<Offset>();
        fetched.last_stable_offset = in.get<Offset>();
        fetched.log_start = in.get<Offset>();
        Slice records = get_slice(in, body);
        fetched.bytes = records.size();
        if (!records.empty()) fetched.records.push_back(std::move(records));
        answers.emplace_back(std::move(fetched));
        break;
      }
      case Status::refused:
        answers.emplace_back(get_error(in));
        break;
      case Status::elsewhere:
        answers.emplace_back(get_elsewhere(in));
        break;
      default:
        in.invalidate();
    }
  }
  return whole(in, std::move(answers));
}

Slice encode(const WatchAnswer& answer) {
  Encoder out;
  std::visit(Overloaded{[&](const Ends& ends) {
                          out.put(static_cast<uint8_t>(Status::done)).put(ends.start).put(ends.end);
                        },
                        [&](const Elsewhere& elsewhere) { put_elsewhere(out, elsewhere); }},
             answer);
  return finish(out);
}

Result<WatchAnswer> decode_watch_answer(const Slice& body) {
  Decoder in(body.bytes());
  WatchAnswer answer;
  switch (static_cast<Status>(in.get<uint8_t>())) {
    case Status::done: {
      const auto start = in.get<Offset>();
      answer = Ends{start, in.get<Offset>()};
      break;
    }
    case Status::elsewhere:
      answer = get_elsewhere(in);
      break;
    default:
      in.invalidate();
  }
  return whole(in, std::move(answer));
}

Slice encode(const BytesAnswer& answer) {
  Encoder out;
  std::visit(Overloaded{[&](const Slice& bytes) {
                          out.put(static_cast<uint8_t>(Status::done)).raw(bytes.bytes());
                        },
                        [&](const Elsewhere& elsewhere) { put_elsewhere(out, elsewhere); }},
             answer);
  return finish(out);
}

Result<BytesAnswer> decode_bytes_answer(const Slice& body) {
  Decoder in(body.bytes());
  BytesAnswer answer;
  switch (static_cast<Status>(in.get<uint8_t>())) {
    case Status::done:
      answer = Slice(body.buffer(), in.raw(in.remaining()));
      break;
    case Status::elsewhere:
      answer = get_elsewhere(in);
      break;
    default:
      in.invalidate();
  }
  return whole(in, std::move(answer));
}

Slice encode(const LoadAnswer& answer) {
  Encoder out;
  out.put(static_cast<uint8_t>(answer.condition)).varint(answer.loads.size());
  for (const StreamLoad& one : answer.loads) out.put(one.stream).varint(one.rate);
  return finish(out);
}

Result<LoadAnswer> decode_load_answer(const Slice& body) {
  Decoder in(body.bytes());
  LoadAnswer answer;
  const auto condition = in.get<uint8_t>();
  if (condition > static_cast<uint8_t>(Condition::going)) in.invalidate();
  answer.condition = static_cast<Condition>(condition);
  const size_t count = in.count(21);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    const StreamId stream = in.stream_id();
    answer.loads.push_back({stream, in.varint()});
  }
  return whole(in, std::move(answer));
}

Slice encode(const BalanceAnswer& answer) {
  Encoder out;
  put_error(out, answer.error);
  out.text(answer.message).put(answer.balancer).varint(answer.shares.size());
  for (const BalanceAnswer::Share& one : answer.shares) {
    out.put(one.broker).put(one.leaders).put(one.load).put(one.share_ppm).put(one.due_ppm);
    out.put(uint8_t{one.drained});
  }
  out.varint(answer.moves.size());
  for (const BalanceAnswer::Move& one : answer.moves)
    out.put(one.stream).put(one.from).put(one.to).text(one.reason);
  return finish(out);
}

Result<BalanceAnswer> decode_balance_answer(const Slice& body) {
  Decoder in(body.bytes());
  BalanceAnswer answer;
  answer.error = get_error(in);
  answer.message = std::string(in.text());
  answer.balancer = in.get<BrokerId>();
  const size_t shares = in.count(25);
  for (size_t i = 0; i < shares && in.ok(); ++i) {
    BalanceAnswer::Share one;
    one.broker = in.get<BrokerId>();
    one.leaders = in.get<uint32_t>();
    one.load = in.get<uint64_t>();
    one.share_ppm = in.get<uint32_t>();
    one.due_ppm = in.get<uint32_t>();
    one.drained = get_flag(in);
    answer.shares.push_back(one);
  }
  const size_t moves = in.count(29);
  for (size_t i = 0; i < moves && in.ok(); ++i) {
    BalanceAnswer::Move one;
    one.stream = in.stream_id();
    one.from = in.get<BrokerId>();
    one.to = in.get<BrokerId>();
    one.reason = std::string(in.text());
    answer.moves.push_back(std::move(one));
  }
  return whole(in, std::move(answer));
}

Slice encode(const std::vector<Outcome>& outcomes) {
  Encoder out;
  out.varint(outcomes.size());
  for (const Outcome& outcome : outcomes) {
    put_error(out, outcome.error);
    out.text(outcome.message);
  }
  return finish(out);
}

Result<std::vector<Outcome>> decode_outcomes(const Slice& body) {
  Decoder in(body.bytes());
  std::vector<Outcome> outcomes;
  const size_t count = in.count(3);
  for (size_t i = 0; i < count && in.ok(); ++i) {
    const auto error = get_error(in);
    outcomes.push_back({error, std::string(in.text())});
  }
  return whole(in, std::move(outcomes));
}

}  // namespace paceline::broker
