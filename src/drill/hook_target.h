#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "drill/hooks.h"
#include "drill/target.h"

namespace paceline::drill {

// Any cluster by its bootstrap address: planned moves by Kafka's protocol, and whatever else a hook
// file can do.
class HookTarget : public Target {
 public:
  // `profile`: paceline, kafka or generic. `hooks`: null where there is no file. `security`: of the
  // drill's own questions.
  HookTarget(env::Shard& shard, std::string bootstrap, std::string profile,
             std::unique_ptr<Hooks> hooks, client::Security security);

  evidence::Run::Target identity() const override;
  bool any_broker_leads() const override { return profile_ == "paceline"; }
  bool production() const override { return true; }
  Task<std::vector<std::string>> objections(std::vector<Hit> hits) override;
  Result<void> can(Fault fault) const override;
  std::string domain(Fault fault) const override;
  Task<Result<ClusterView>> look() override { return kafka_.look(); }
  Task<Result<int32_t>> coordinator_of(std::string group) override {
    return kafka_.coordinator_of(std::move(group));
  }
  Task<Result<std::vector<HealAction>>> ways_to_heal(Hit hit) override;
  Task<Result<void>> inject(Hit hit) override;
  Task<Result<Effect>> effective(Hit hit) override;
  Task<Result<std::string>> heal(Hit hit) override;
  Task<Result<void>> whole(std::vector<int32_t> brokers) override;
  Task<Result<void>> move(std::vector<Kafka::Named> wanted) override {
    return kafka_.move(std::move(wanted));
  }
  Task<Result<void>> elect_preferred(std::vector<Kafka::Named> wanted) override {
    return kafka_.elect_preferred(std::move(wanted));
  }
  // Where brokers own data, with as many replicas as survive the loss of one.
  Task<Result<std::string>> create_topic(std::string name, int32_t partitions) override;
  Task<Result<void>> delete_topic(std::string id) override {
    return kafka_.delete_topic(std::move(id));
  }
  Task<Result<void>> begin_transactions(std::string transactional_id) override {
    return kafka_.begin_transactions(std::move(transactional_id));
  }
  Task<StorageFigures> storage() override;
  Task<std::vector<ClockBound>> clocks() override;
  Task<Headroom> headroom() override;
  void follow(std::function<void(evidence::Event)> tell) override { tell_ = std::move(tell); }
  Task<void> catch_up(env::Duration at_most) override;
  Task<Result<std::optional<Touched>>> plan_cleanup() override;
  bool has_cleanup() const override { return hooks_ && hooks_->file().verb("cleanup"); }
  Task<Result<void>> clean_up() override;

 protected:
  bool by_hook(Fault fault) const;
  env::Shard& shard() { return shard_; }
  Kafka& kafka() { return kafka_; }

 private:
  static Placeholders words_of(const Hit& hit);
  Task<Result<void>> status_is_good();
  Task<Result<void>> drain_by_protocol(int32_t broker);

  env::Shard& shard_;
  const std::string bootstrap_, profile_;
  const std::unique_ptr<Hooks> hooks_;
  Kafka kafka_;
  std::function<void(evidence::Event)> tell_;
  int64_t log_since_ms_;        // what was written before has been told
  std::set<std::string> told_;  // what a log has told, so that it is told once
  bool drained_ = false;
};

// What a `log` hook prints, a milestone a line: JSON with `type`, and with `t_mono_ns` on this
// machine's clock or `t_wall`. `mono_minus_wall_ns` brings the latter to the drill's clock.
std::vector<evidence::Event> parse_hook_log(std::string_view text, int64_t mono_minus_wall_ns);

}  // namespace paceline::drill
