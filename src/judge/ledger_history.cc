#include "judge/ledger_history.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::judge {
namespace {

constexpr int kSeqBits = 44;
constexpr uint64_t kSeqMax = (uint64_t{1} << kSeqBits) - 1;
constexpr uint32_t kRunMax = 1u << 20;

history::Value value_of(uint16_t client, uint64_t seq) {
  return uint64_t{client} << kSeqBits | seq;
}

history::Outcome outcome_of(const Record& record) {
  switch (record.outcome) {
    case Record::Outcome::acked:
      return history::Outcome::ok;
    case Record::Outcome::failed:
      return history::Outcome::fail;
    case Record::Outcome::unknown:
      break;
  }
  return history::Outcome::unknown;
}

// Records in a row that were told the same are one send.
bool goes_on(const history::Send& send, const Record& record, const Record& last) {
  return send.count < kRunMax && record.seq == last.seq + 1 && record.outcome == last.outcome &&
         record.broker == last.broker && record.epoch == last.epoch &&
         (record.offset < 0 ? last.offset < 0 : record.offset == last.offset + 1);
}

class Writer {
 public:
  Writer(const Dossier& dossier, history::Key key, LedgerHistory& to)
      : dossier_(dossier), key_(key), to_(to) {}

  void sends(const Stream& stream, int64_t below) {
    history::Send send;
    const Record* last = nullptr;
    int64_t from = 0;
    uint64_t order = 0;
    const auto flush = [&] {
      if (last)
        to_.history.add(send, history::Time(from), history::Time(std::max(from, last->told_ns)));
    };
    for (const Record& record : stream.records) {
      if (record.seq > kSeqMax || (!record.sent && !record.told)) continue;
      if (record.acked() && record.offset >= below) continue;
      if (last && goes_on(send, record, *last)) {
        ++send.count;
      } else {
        flush();
        send = first_of(record, order++);
        from = record.sent ? record.sent_ns : record.intended_ns;
      }
      last = &record;
    }
    flush();
  }

  // What one reader read in a row. One that goes back has begun anew, and a member of a group does
  // so wherever it is assigned to.
  void reads(const std::vector<Read>& reads, bool last) {
    std::map<uint16_t, std::vector<const Read*>> by_reader;
    for (const Read& read : reads) by_reader[read.reader].push_back(&read);
    for (const auto& [reader, list] : by_reader) {
      const bool member = !last && reader < dossier_.run.clients.size() &&
                          !dossier_.run.clients[reader].group.empty();
      history::Poll poll;
      const Read* before = nullptr;
      int64_t from_ns = 0;
      const auto flush = [&] {
        if (before) to_.history.add(poll, history::Time(from_ns), history::Time(before->at_ns));
      };
      for (const Read* read : list) {
        if (read->seq > kSeqMax) continue;
        const bool again =
            before && !last &&
            (read->offset <= before->offset || (member && read->offset != before->offset + 1));
        if (!before || again) {
          flush();
          poll = history::Poll();
          poll.reader = reader;
          poll.key = key_;
          poll.from = last ? 0 : read->offset;
          poll.last = last;
          from_ns = read->at_ns;
        }
        if (!(last && before && before->offset == read->offset && before->seq == read->seq))
          poll.add(read->offset, value_of(read->client, read->seq), read->epoch);
        before = read;
      }
      flush();
    }
  }

 private:
  history::Send first_of(const Record& record, uint64_t order) const {
    history::Send send;
    send.producer = record.client;
    send.idempotent = dossier_.run.clients[record.client].idempotent;
    send.key = key_;
    send.first = value_of(record.client, record.seq);
    send.count = 1;
    send.order = order;
    send.outcome = outcome_of(record);
    send.base = record.acked() ? record.offset : -1;
    send.epoch = record.epoch;
    if (record.broker >= 0) send.by = to_.history.teller("broker " + std::to_string(record.broker));
    return send;
  }

  const Dossier& dossier_;
  const history::Key key_;
  LedgerHistory& to_;
};

// What watchers were told of who leads, by each broker. One that began again may know less at first
// than before: it is somebody else.
class Leaders {
 public:
  Leaders(const Dossier& dossier, LedgerHistory& to) : dossier_(dossier), to_(to) {
    for (const auto& [key, which] : to.keys) keys_[which] = key;
    next_ = static_cast<history::Key>(keys_.size());
  }

  void all() {
    for (const evidence::Event* event : dossier_.all("leader.seen"))
      if (event->partition && event->leader_epoch) seen(*event);
  }

 private:
  void seen(const evidence::Event& event) {
    const auto topic =
        std::ranges::find(dossier_.run.topics, event.topic, &evidence::Run::Topic::name);
    if (topic == dossier_.run.topics.end()) return;
    const LogKey which(topic - dossier_.run.topics.begin(), *event.partition);
    const auto [key, fresh] = keys_.try_emplace(which, next_);
    if (fresh) to_.keys[next_++] = which;
    history::EpochSeen seen;
    seen.key = key->second;
    seen.epoch = *event.leader_epoch;
    const auto leader = event.integer("leader").value_or(-1);
    if (leader >= 0 && leader <= INT32_MAX) seen.leader = static_cast<int32_t>(leader);
    seen.by = to_.history.teller(told_by(event));
    to_.history.add(seen, history::Time(event.t_mono_ns), history::Time(event.t_mono_ns));
  }

  std::string told_by(const evidence::Event& event) const {
    const std::string_view by = event.word("by");
    const auto broker = broker_of_lane(by);
    if (!broker) return std::string(by);
    size_t lives = 1;
    for (const StepView& step : dossier_.steps)
      lives += step.about(*broker) && step.heal_commanded &&
               event.t_mono_ns >= step.heal_commanded->t_mono_ns;
    return lives == 1 ? fmt::format("broker {}", *broker)
                      : fmt::format("broker {}, started {} times", *broker, lives);
  }

  const Dossier& dossier_;
  LedgerHistory& to_;
  std::map<LogKey, history::Key> keys_;
  history::Key next_ = 0;
};

}  // namespace

LedgerHistory history_of(const Dossier& dossier, const Logs& logs, bool complete) {
  LedgerHistory result;
  history::Key key = 0;
  for (const auto& [which, log] : logs) {
    // Nothing of it came back, though all was read: then all of it is gone.
    if (log.read_back.empty() && !complete) continue;
    result.keys[key] = which;
    Writer writer(dossier, key++, result);
    const int64_t below = complete ? INT64_MAX : log.read_back_end + 1;
    for (const auto& [client, stream] : log.streams) writer.sends(stream, below);
    if (complete) writer.reads(log.reads, false);
    writer.reads(log.read_back, true);
  }
  Leaders(dossier, result).all();
  return result;
}

std::pair<uint16_t, uint64_t> record_of(history::Value value) {
  return {static_cast<uint16_t>(value >> kSeqBits), value & kSeqMax};
}

}  // namespace paceline::judge
