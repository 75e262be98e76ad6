#include "judge/ledger_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "history/checker.h"
#include "judge/ledger_history.h"

namespace paceline::judge {
namespace {

constexpr size_t kAnomaliesMax = 100;
constexpr size_t kOfEachName = 20;

class LedgerCheck {
 public:
  LedgerCheck(const Dossier& dossier, const Logs& logs, const Strays& strays, Report& report)
      : dossier_(dossier),
        logs_(logs),
        strays_(strays),
        report_(report),
        complete_(read_back_complete(dossier)),
        frozen_(frozen_times(dossier)) {}

  void run() {
    for (const auto& [key, log] : logs_) {
      for (const auto& [client, stream] : log.streams)
        for (const Record& record : stream.records) count(key, log, record);
      count_reordered(key, log);
      check_offset_order(key, log);
    }
    count_strays();
    count_never_read();
    check_history();
    if (report_.anomalies.size() > kAnomaliesMax) report_.anomalies.resize(kAnomaliesMax);
  }

 private:
  void report(const char* name, const LogKey& key, const Record& record, std::string what) {
    if (reported_[name]++ >= kOfEachName) return;
    report_.anomalies.push_back({name,
                                 dossier_.run.topics[key.first].name,
                                 key.second,
                                 record.seq,
                                 record.offset < 0 ? std::nullopt : std::optional(record.offset),
                                 std::move(what),
                                 {}});
  }
  const std::string& name_of_client(uint16_t client) const {
    return dossier_.run.clients[client].name;
  }

  void count(const LogKey& key, const PartitionLog& log, const Record& record) {
    Counts& counts = report_.counts;
    counts.sent += record.sent;
    counts.acked += record.acked();
    counts.read += record.reads;
    if (record.damaged) {
      ++counts.damaged;
      report("damaged-record", key, record,
             fmt::format("record {} of {} came back with other bytes than were sent", record.seq,
                         name_of_client(record.client)));
    }
    if (record.read_back > 1) ++counts.duplicated;
    if (record.outcome == Record::Outcome::failed) ++counts.failed;
    if (record.outcome == Record::Outcome::unknown && record.sent) ++counts.unknown;
    count_error(record);
    const bool judged = complete_ || record.offset <= log.read_back_end;
    if (!log.read_back.empty() || complete_) {
      if (!counts.lost) counts.lost = 0;
      if (record.acked() && record.read_back == 0 && judged) ++*counts.lost;
    }
  }

  void count_strays() {
    if (strays_.damaged == 0) return;
    report_.counts.damaged += strays_.damaged;
    report_.anomalies.push_back(
        {"damaged-record",
         "",
         {},
         {},
         {},
         fmt::format("{} records came back so that nobody knows whose they were", strays_.damaged),
         {}});
  }

  // Its client was ended while it was on its way.
  bool ended_by_storm(const Record& record) const {
    constexpr int64_t kGoneNs = 1'000'000'000;
    return std::ranges::any_of(dossier_.steps, [&](const StepView& step) {
      if (step.plan->test != "N4" || !step.effective) return false;
      const int64_t t0 = step.effective->t_mono_ns;
      return record.sent_ns <= t0 + kGoneNs && (!record.told || record.told_ns >= t0) &&
             (!record.told || record.told_ns <= step.last_ns);
    });
  }

  void count_error(const Record& record) {
    const bool unknown = record.outcome == Record::Outcome::unknown &&
                         (record.told || (record.sent && dossier_.run.outcome == "completed"));
    const bool failed = record.outcome == Record::Outcome::failed;
    if (!unknown && !failed) return;
    const bool frozen =
        unknown && std::ranges::any_of(frozen_, [&](const Frozen& time) {
          return record.sent_ns <= time.to_ns && (!record.told || record.told_ns >= time.from_ns);
        });
    ++(frozen || ended_by_storm(record) ? report_.counts.errors_excepted : report_.counts.errors);
  }

  // As read back: a client's records are in the order of its numbers.
  void count_reordered(const LogKey&, const PartitionLog& log) {
    std::map<std::pair<uint16_t, uint16_t>, uint64_t> next;  // by reader, client
    std::set<std::pair<uint16_t, uint64_t>> counted;
    const Read* before = nullptr;
    for (const Read& read : log.read_back) {
      const bool again = before && before->reader == read.reader && before->offset == read.offset &&
                         before->client == read.client && before->seq == read.seq;
      before = &read;
      if (again) continue;
      uint64_t& least = next[{read.reader, read.client}];
      if (read.seq < least) {
        const auto stream = log.streams.find(read.client);
        const auto record =
            std::ranges::lower_bound(stream->second.records, read.seq, {}, &Record::seq);
        if (record->read_back == 1 && counted.insert({read.client, read.seq}).second)
          ++report_.counts.reordered;
      }
      least = std::max(least, read.seq + 1);
    }
  }

  // Whoever sends after an acknowledgement lands behind it: only a leader that does not know of its
  // successor's records puts one below them.
  void check_offset_order(const LogKey& key, const PartitionLog& log) {
    std::vector<const Record*> by_ack, by_send;
    for (const auto& [client, stream] : log.streams)
      for (const Record* record : stream.by_ack)
        if (record->offset >= 0) by_ack.push_back(record);
    std::ranges::stable_sort(by_ack, {}, &Record::told_ns);
    std::ranges::copy_if(by_ack, std::back_inserter(by_send), &Record::sent);
    std::ranges::stable_sort(by_send, {}, &Record::sent_ns);
    const Record* highest = nullptr;
    auto acked = by_ack.begin();
    for (const Record* record : by_send) {
      for (; acked != by_ack.end() && (*acked)->told_ns < record->sent_ns; ++acked)
        if (!highest || (*acked)->offset > highest->offset) highest = *acked;
      if (!highest || record->offset > highest->offset) continue;
      const bool other = record->broker != highest->broker && record->broker >= 0;
      report(
          other ? "ack-after-fence" : "offset-order", key, *record,
          fmt::format("record {} of {} was sent after offset {} had been acknowledged{}, and was "
                      "acknowledged at offset {}{}",
                      record->seq, name_of_client(record->client), highest->offset, by(*highest),
                      record->offset, by(*record)));
    }
  }
  static std::string by(const Record& record) {
    return record.broker < 0 ? std::string() : fmt::format(" by broker {}", record.broker);
  }

  // What consumers passed over, though it was there.
  void count_never_read() {
    if (dossier_.run.outcome != "completed") return;
    for (const auto& [key, log] : logs_) {
      if (log.reads.empty()) continue;
      auto& never = report_.counts.never_read;
      if (!never) never = 0;
      const auto [least, most] = std::ranges::minmax(log.reads, {}, &Read::offset);
      for (const auto& [client, stream] : log.streams)
        for (const Record* record : stream.by_ack) {
          if (record->reads > 0 || record->offset < least.offset || record->offset > most.offset)
            continue;
          ++*never;
          report("never-read", key, *record,
                 fmt::format("record {} of {} at offset {} was acknowledged, and no consumer was "
                             "given it",
                             record->seq, name_of_client(client), record->offset));
        }
    }
  }

  void check_history() {
    const LedgerHistory ledger = history_of(dossier_, logs_, complete_);
    for (const history::Anomaly& anomaly : history::check(ledger.history, kOfEachName)) {
      AnomalyRow row;
      row.name = anomaly.name;
      const LogKey key = ledger.keys.at(anomaly.key);
      row.topic = dossier_.run.topics[key.first].name;
      row.partition = key.second;
      row.what = anomaly.what;
      if (anomaly.offset >= 0) row.offset = anomaly.offset;
      if (anomaly.name.starts_with("epoch-")) row.events = told_twice(row.topic, *row.partition);
      if (anomaly.value) {
        const auto [client, seq] = record_of(*anomaly.value);
        row.seq = seq;
        row.what += fmt::format(" (record {} of {})", seq, name_of_client(client));
      }
      report_.anomalies.push_back(std::move(row));
    }
  }

  // Of the epochs under which watchers were told of two leaders.
  std::vector<std::string> told_twice(const std::string& topic, int32_t partition) const {
    std::vector<std::string> events;
    const auto own = dossier_.of_partition.find({topic, partition});
    if (own == dossier_.of_partition.end()) return events;
    std::map<int32_t, const evidence::Event*> first;
    for (const evidence::Event* event : own->second) {
      if (event->type != "leader.seen" || !event->leader_epoch) continue;
      const auto [known, fresh] = first.try_emplace(*event->leader_epoch, event);
      if (fresh || event->integer("leader") == known->second->integer("leader")) continue;
      events.push_back(known->second->event_id);
      events.push_back(event->event_id);
    }
    return events;
  }

  const Dossier& dossier_;
  const Logs& logs_;
  const Strays& strays_;
  Report& report_;
  const bool complete_;
  const std::vector<Frozen> frozen_;
  std::map<std::string, size_t> reported_;
};

}  // namespace

std::vector<Frozen> frozen_times(const Dossier& dossier) {
  std::vector<Frozen> times;
  for (const StepView& step : dossier.steps)
    if (step.plan->test == "N6" && step.effective)
      times.push_back(
          {step.effective->t_mono_ns, step.healed ? step.healed->t_mono_ns : step.last_ns, &step});
  return times;
}

bool read_back_complete(const Dossier& dossier) {
  for (const evidence::Event* event : dossier.all("action.done"))
    if (event->word("action") == "ledger.read_back") return event->word("outcome") == "done";
  return dossier.phase_ns("phase.ended", "P7").has_value();
}

void check_ledger(const Dossier& dossier, const Logs& logs, const Strays& strays, Report& report) {
  LedgerCheck(dossier, logs, strays, report).run();
}

}  // namespace paceline::judge
