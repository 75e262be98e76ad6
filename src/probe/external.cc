#include "probe/external.h"

#include <fmt/format.h>

#include <algorithm>

namespace paceline::probe {
namespace {

using Kind = evidence::LedgerRow::Kind;
constexpr size_t kBytesOfOneTurn = 64 << 10;
constexpr int kTurnsBetweenLooks = 50;
constexpr size_t kTextMax = 1'000;
// Clocks further apart than that are two clocks.
constexpr int64_t kSameClockNs = 1'000'000'000;

template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};

}  // namespace

void ExternalTalk::heard(const std::string& line) {
  auto parsed = parse_external_line(line);
  if (!parsed) return complain("bad_line", parsed.error().message, false);
  std::visit(Match{[this](const Hello& said) { hello(said); },
                   [this](const RecordLine& said) { record(said.row); },
                   [this](const ErrorLine& said) { complain(said.error, said.text, said.fatal); },
                   [this](const RebalancedLine& said) {
                     auto event = stage_.teller.now(source(), "client", "group.rebalanced");
                     event.client_id = name_;
                     event.figures = {
                         {"group", stage_.roster.all()[index_].group},
                         {"member", said.member.empty() ? name_ : name_ + ":" + said.member},
                         {"event", said.event},
                         {"partitions", said.partitions}};
                     stage_.teller.event(std::move(event));
                   },
                   [this](const Bye&) { bye_ = true; }},
             *parsed);
}

void ExternalTalk::hello(const Hello& hello) {
  stage_.roster.is(index_, hello.library, hello.version);
  if (!hello.clock_ns) return;
  const int64_t apart = stage_.teller.now_ns() - *hello.clock_ns;
  clock_ns_ = std::abs(apart) < kSameClockNs ? 0 : apart;
}

void ExternalTalk::record(evidence::LedgerRow row) {
  row.topic = topic_;
  row.at_ns += clock_ns_;
  const auto partitions = stage_.options.topics[topic_].partitions;
  if (row.partition >= partitions)
    return complain("bad_line", "a record of a partition that is not there", false);
  if (row.kind == Kind::read) {
    row.reader = index_;
    if (row.client != evidence::LedgerRow::kNone && row.client >= stage_.roster.all().size())
      return complain("bad_line", "a record of a client that is not there", false);
    return stage_.row(row);
  }
  row.client = index_;
  row.intended_ns += clock_ns_;
  const Record record{row.partition, row.seq};
  if (row.kind == Kind::sent) {
    if (waiting_.size() >= kWaitingMax)
      return complain("bad_line", "too many records without an answer", false);
    if (!waiting_.try_emplace(record, row).second)
      return complain("bad_line", "a record that was sent twice", false);
  } else if (waiting_.erase(record) == 0) {
    return complain("bad_line", "an answer to a record that was not sent", false);
  }
  stage_.row(row);
}

void ExternalTalk::over(const std::string& why) {
  if (over_) return;
  over_ = true;
  for (auto& [record, row] : waiting_) {
    row.kind = Kind::unknown;
    row.at_ns = stage_.teller.now_ns();
    stage_.row(row);
  }
  waiting_.clear();
  if (!why.empty()) complain("ended", why, true);
  stage_.roster.ended(index_);
}

std::optional<int64_t> ExternalTalk::oldest_ns() const {
  std::optional<int64_t> oldest;
  for (const auto& [record, row] : waiting_)
    oldest = std::min(oldest.value_or(row.intended_ns), row.intended_ns);
  return oldest;
}

void ExternalTalk::complain(const std::string& error, const std::string& text, bool fatal) {
  stage_.complain(source(), name_, error, text.substr(0, kTextMax), fatal);
}

Result<std::unique_ptr<External>> External::start(Stage& stage, const std::string& name,
                                                  const std::vector<std::string>& argv,
                                                  uint16_t topic) {
  if (argv.empty()) return fail(Code::invalid_argument, "a client outside without a program");
  TRY(Child child, Child::start(argv));
  const Options& options = stage.options;
  const std::string group = fmt::format("drill-{}-{}", options.run_id, name);
  const uint16_t index = stage.roster.add({.name = name,
                                           .kind = "external",
                                           .library = "",
                                           .version = "",
                                           .zone = "",
                                           .group = group,
                                           .topic = options.topics[topic].name,
                                           .idempotent = true,
                                           .transactional = false,
                                           .acks = "all"});
  auto external =
      std::unique_ptr<External>(new External(stage, index, topic, name, std::move(child)));
  external->child_->write(to_line({.bootstrap = options.bootstrap,
                                   .topic = options.topics[topic].name,
                                   .run_id = options.run_id,
                                   .group = group,
                                   .partitions = options.topics[topic].partitions,
                                   .client = index,
                                   .interval_ns = options.interval.count(),
                                   .value_bytes = options.value_bytes}));
  return external;
}

void External::turn() {
  if (!child_) return;
  lines_.add(child_->read(kBytesOfOneTurn));
  while (const auto line = lines_.next())
    if (!line->empty()) talk_.heard(*line);
  if (++turn_ % kTurnsBetweenLooks != 0 || !child_->ended()) return;
  // What it has written before its end is still in the pipe.
  for (std::string rest; !(rest = child_->read(kBytesOfOneTurn)).empty();) lines_.add(rest);
  while (const auto line = lines_.next()) talk_.heard(*line);
  const std::string why = talk_.said_bye() ? "" : child_->ending();
  child_.reset();
  talk_.over(why);
}

void External::say_stop() {
  if (child_) (void)child_->write(stop_line());
}

void External::stop() {
  child_.reset();
  talk_.over("");
}

}  // namespace paceline::probe
