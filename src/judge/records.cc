#include "judge/records.h"

#include <algorithm>
#include <tuple>

namespace paceline::judge {
namespace {

using evidence::LedgerRow;

auto record_of(const LedgerRow& row) {
  return std::tuple(row.topic, row.partition, row.client, row.seq);
}

void take_outcome(const LedgerRow& row, Record& record) {
  // What is acknowledged stays so, whatever else was told of it.
  if (record.told && record.acked()) return;
  record.told = true;
  record.told_ns = row.at_ns;
  record.outcome = row.kind == LedgerRow::Kind::acked    ? Record::Outcome::acked
                   : row.kind == LedgerRow::Kind::failed ? Record::Outcome::failed
                                                         : Record::Outcome::unknown;
  record.broker = row.broker;
  record.epoch = row.epoch;
  record.error = row.error;
  record.offset = row.offset;
}

void take(const LedgerRow& row, Record& record, std::vector<int64_t>& places) {
  record.damaged |= row.damaged;
  record.amount = row.amount != 0 ? row.amount : record.amount;
  if (record.intended_ns == 0) record.intended_ns = row.intended_ns;
  switch (row.kind) {
    case LedgerRow::Kind::sent:
      record.sent = true;
      record.sent_ns = row.at_ns;
      break;
    case LedgerRow::Kind::acked:
    case LedgerRow::Kind::failed:
    case LedgerRow::Kind::unknown:
      take_outcome(row, record);
      break;
    case LedgerRow::Kind::read:
      ++record.reads;
      break;
    case LedgerRow::Kind::read_back:
      places.push_back(row.offset);
      break;
  }
}

// Reading back twice is no duplicate: a record at two offsets is.
void settle_places(std::vector<int64_t>& places, Record& record) {
  if (places.empty()) return;
  record.read_back_at = *std::ranges::min_element(places);
  std::ranges::sort(places);
  places.erase(std::ranges::unique(places).begin(), places.end());
  record.read_back = static_cast<uint32_t>(places.size());
  places.clear();
}

void add_reads(const std::vector<const LedgerRow*>& rows, Logs& logs) {
  for (const LedgerRow* row : rows) {
    if (row->kind != LedgerRow::Kind::read && row->kind != LedgerRow::Kind::read_back) continue;
    PartitionLog& log = logs[{row->topic, row->partition}];
    const Read read{row->client, row->reader, row->seq, row->offset, row->epoch, row->at_ns};
    if (row->kind == LedgerRow::Kind::read) {
      log.reads.push_back(read);
    } else {
      log.read_back.push_back(read);
      log.read_back_end = std::max(log.read_back_end, row->offset);
    }
  }
}

void settle(PartitionLog& log) {
  std::ranges::stable_sort(log.reads, {}, &Read::at_ns);
  std::ranges::stable_sort(log.read_back, {},
                           [](const Read& read) { return std::tuple(read.reader, read.offset); });
  for (auto& [client, stream] : log.streams) {
    for (const Record& record : stream.records)
      if (record.acked()) stream.by_ack.push_back(&record);
    std::ranges::stable_sort(stream.by_ack, {}, [](const Record* record) {
      return std::tuple(record->told_ns, record->seq);
    });
  }
}

// By the name before the bar; lives begin one after the other, and so their indexes grow.
void gather_players(const evidence::Run& run, PartitionLog& log) {
  std::map<std::string, Player> by_name;
  for (const auto& [client, stream] : log.streams) {
    const std::string first = first_life_of(run.clients[client].name);
    Player& player = by_name[first];
    player.name = first;
    player.client = client;
    // Streams of what was only read are of records that nobody saw sent.
    for (const Record& record : stream.records)
      if (record.sent || record.told) player.records.push_back(&record);
    player.by_ack.insert(player.by_ack.end(), stream.by_ack.begin(), stream.by_ack.end());
  }
  for (auto& [name, player] : by_name) {
    std::ranges::stable_sort(player.by_ack, {}, [](const Record* record) {
      return std::tuple(record->told_ns, record->client, record->seq);
    });
    if (!player.records.empty()) log.players.push_back(std::move(player));
  }
}

}  // namespace

std::string first_life_of(const std::string& name) {
  const size_t bar = name.rfind('/');
  if (bar == std::string::npos || bar + 1 == name.size()) return name;
  return name.find_first_not_of("0123456789", bar + 1) == std::string::npos ? name.substr(0, bar)
                                                                            : name;
}

Logs logs_of(const Dossier& dossier, Strays& strays) {
  const auto& run = dossier.run;
  std::vector<const LedgerRow*> rows;
  rows.reserve(dossier.ledger.rows.size());
  for (const LedgerRow& row : dossier.ledger.rows) {
    const bool known = row.topic < run.topics.size() && row.client < run.clients.size() &&
                       (row.reader == LedgerRow::kNone || row.reader < run.clients.size());
    if (known) {
      rows.push_back(&row);
    } else if (row.damaged && row.client == LedgerRow::kNone) {
      ++strays.damaged;
    } else {
      ++strays.strangers;
    }
  }
  Logs logs;
  add_reads(rows, logs);
  std::ranges::stable_sort(rows, {}, [](const LedgerRow* row) { return record_of(*row); });
  std::vector<int64_t> places;
  for (size_t at = 0; at < rows.size();) {
    const LedgerRow& first = *rows[at];
    Stream& stream = logs[{first.topic, first.partition}].streams[first.client];
    stream.client = first.client;
    Record& record = stream.records.emplace_back();
    record.client = first.client;
    record.seq = first.seq;
    for (; at < rows.size() && record_of(*rows[at]) == record_of(first); ++at)
      take(*rows[at], record, places);
    settle_places(places, record);
    logs[{first.topic, first.partition}].topic = first.topic;
    logs[{first.topic, first.partition}].partition = first.partition;
  }
  for (auto& [key, log] : logs) {
    settle(log);
    gather_players(run, log);
  }
  return logs;
}

}  // namespace paceline::judge
