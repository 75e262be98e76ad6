#include "judge/series.h"

#include <algorithm>

#include "judge/stats.h"

namespace paceline::judge {
namespace {

constexpr int64_t kBinsMax = 2'000;
constexpr int64_t kMs = 1'000'000;
constexpr int64_t kWidths[] = {100 * kMs,    200 * kMs,     500 * kMs,      1'000 * kMs,
                               2'000 * kMs,  5'000 * kMs,   10'000 * kMs,   30'000 * kMs,
                               60'000 * kMs, 300'000 * kMs, 3'600'000 * kMs};

class Binner {
 public:
  Binner(const Dossier& dossier, const Logs& logs) : dossier_(dossier), logs_(logs) {
    from_ = dossier.baseline_from_ns;
    const int64_t lasts = std::max<int64_t>(0, dossier.end_ns - from_);
    for (const int64_t width : kWidths) {
      width_ = width;
      if (lasts / width < kBinsMax) break;
    }
    count_ = static_cast<size_t>(std::min(lasts / width_ + 1, kBinsMax));
  }

  Series all() {
    series_.bin_ms = static_cast<double>(width_) / 1e6;
    series_.from_ms = dossier_.ms(from_);
    for (auto* counts : {&series_.acks, &series_.errors, &series_.rebalances})
      counts->assign(count_, 0);
    for (auto* numbers :
         {&series_.staleness, &series_.put, &series_.get, &series_.list, &series_.bytes})
      numbers->assign(count_, std::nullopt);
    records();
    events();
    snapshots();
    return std::move(series_);
  }

 private:
  std::optional<size_t> bin_of(int64_t at_ns) const {
    if (at_ns < from_) return std::nullopt;
    const auto bin = static_cast<size_t>((at_ns - from_) / width_);
    return bin < count_ ? std::optional(bin) : std::nullopt;
  }

  void records() {
    std::map<uint16_t, std::vector<std::vector<double>>> latency;  // by client, bin
    for (const auto& [key, log] : logs_)
      for (const auto& [client, stream] : log.streams)
        for (const Record& record : stream.records) {
          if (record.acked()) {
            if (const auto bin = bin_of(record.told_ns)) ++series_.acks[*bin];
            auto& bins = latency[client];
            if (bins.empty()) bins.resize(count_);
            if (const auto bin = bin_of(record.intended_ns))
              bins[*bin].push_back(static_cast<double>(record.told_ns - record.intended_ns) / 1e6);
          } else if (record.told) {
            if (const auto bin = bin_of(record.told_ns)) ++series_.errors[*bin];
          }
        }
    for (auto& [client, bins] : latency) {
      Series::Latency line{
          dossier_.run.clients[client].name, dossier_.run.clients[client].kind, {}, {}, {}};
      for (auto& bin : bins) {
        const Quantiles quantiles = quantiles_of(std::move(bin));
        line.p50.push_back(quantiles.p50);
        line.p99.push_back(quantiles.p99);
        line.max.push_back(quantiles.max);
      }
      series_.latency.push_back(std::move(line));
    }
  }

  void events() {
    std::map<std::string, std::map<std::pair<size_t, std::string>, double>> lag;
    for (const evidence::Event* event : dossier_.all("group.rebalanced"))
      if (const auto bin = bin_of(event->t_mono_ns)) ++series_.rebalances[*bin];
    for (const evidence::Event* event : dossier_.all("consumer.lag")) {
      const auto bin = bin_of(event->t_mono_ns);
      const auto behind = event->number("lag");
      // Who reads by assignment is no group, and has a line of its own.
      const auto named = event->word("group");
      const std::string group(named.empty() ? event->word("consumer") : named);
      if (bin && behind && !group.empty())
        lag[group][{*bin, std::string(event->word("consumer"))}] = *behind;
    }
    for (const auto& [group, told] : lag) {
      auto& numbers = series_.lag[group];
      numbers.assign(count_, std::nullopt);
      for (const auto& [where, behind] : told)
        numbers[where.first] = numbers[where.first].value_or(0) + behind;
    }
    for (const evidence::Event* event : dossier_.all("business.stale"))
      if (const auto bin = bin_of(event->t_mono_ns); bin && event->value)
        series_.staleness[*bin] = std::max(series_.staleness[*bin].value_or(0), *event->value);
  }

  // What the store's counters grew by since they were told before.
  void snapshots() {
    const evidence::Event* before = nullptr;
    for (const evidence::Event* event : dossier_.all("storage.snapshot")) {
      const auto bin = bin_of(event->t_mono_ns);
      if (before && bin) {
        grow(*before, *event, "requests_put", series_.put[*bin]);
        grow(*before, *event, "requests_get", series_.get[*bin]);
        grow(*before, *event, "requests_list", series_.list[*bin]);
        grow(*before, *event, "bytes_put", series_.bytes[*bin]);
        grow(*before, *event, "bytes_got", series_.bytes[*bin]);
      }
      before = event;
    }
  }
  static void grow(const evidence::Event& before, const evidence::Event& now, const char* name,
                   std::optional<double>& to) {
    const auto from = before.number(name);
    const auto until = now.number(name);
    if (from && until) to = to.value_or(0) + std::max(0.0, *until - *from);
  }

  const Dossier& dossier_;
  const Logs& logs_;
  int64_t from_ = 0, width_ = 0;
  size_t count_ = 0;
  Series series_;
};

}  // namespace

Series series_of(const Dossier& dossier, const Logs& logs) {
  return Binner(dossier, logs).all();
}

}  // namespace paceline::judge
