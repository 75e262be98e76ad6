#pragma once

#include <atomic>
#include <unordered_map>

#include "cluster/cluster.h"
#include "cluster/terms.h"
#include "env/sync.h"

namespace paceline::cluster {

// One broker's view and voice in the cluster. Its state lives on one shard; every call from another
// crosses to it. Changes run one at a time, and the image is made anew from what was committed: one
// broker writes, so nothing else changes it.
class Member final : public Cluster {
 public:
  Member(env::Shard& shard, meta::Store& meta, Options options);

  Task<Result<void>> enter_cluster();
  Task<Result<void>> register_incarnation();
  Task<Result<void>> load();

  Lane lane() const override { return lane_; }
  Uuid cluster_id() const override { return cluster_id_; }
  std::shared_ptr<const Image> image() const override { return image_.load(); }
  void on_image(std::function<void(std::shared_ptr<const Image>)> listener) override;
  Task<Result<Uuid>> create_topic(env::Shard& home, NewTopic topic) override;
  Task<Result<void>> delete_topic(env::Shard& home, std::string name) override;
  Task<Result<void>> grow_topic(env::Shard& home, std::string name, uint32_t partition_count) override;
  Task<Result<void>> change_topic_configs(env::Shard& home, std::string name, ConfigChange change) override;
  Task<Result<void>> change_broker_configs(env::Shard& home, std::optional<BrokerId> id,
                                           ConfigChange change) override;
  Task<Result<int64_t>> next_producer_id(env::Shard& home) override;
  Task<Result<void>> materialise(env::Shard& home) override;
  Task<void> stop(env::Shard& home) override;

 private:
  Task<void> take_turn();
  void end_turn();

  Task<Result<Uuid>> create(NewTopic topic);
  Task<Result<void>> remove(std::string name);
  Task<Result<void>> grow(std::string name, uint32_t partition_count);
  Task<Result<void>> set_topic_configs(std::string name, ConfigChange change);
  Task<Result<void>> set_broker_configs(std::optional<BrokerId> id, ConfigChange change);
  Task<Result<int64_t>> give_producer_id();
  Task<Result<void>> write_terms();

  Task<Result<void>> write_pages(const Uuid& id, uint32_t from, uint32_t to);
  Task<void> remove_pages(Uuid id);
  Task<Result<void>> load_topic(const std::string& name, const meta::TopicRecord& record);
  // A transaction that only holds while our lane is open. Reads an unknown outcome back by
  // `key` having `value`.
  Task<Result<void>> commit(meta::Transaction transaction, std::string key, std::optional<std::string> value);
  Task<Result<meta::PageRecord>> read_page(const Uuid& id, uint32_t page, Revision* revision);
  void publish(std::shared_ptr<Image> next);
  std::shared_ptr<Image> copy_image() const;

  env::Shard& shard_;
  meta::Store& meta_;
  const Options options_;
  Uuid cluster_id_;
  Lane lane_;
  std::unordered_map<Lane, meta::LaneRecord> lanes_;  // all that any page may name
  std::atomic<std::shared_ptr<const Image>> image_;
  std::vector<std::function<void(std::shared_ptr<const Image>)>> listeners_;
  int64_t revision_ = 0;  // of the image: grows with each
  int64_t producer_id_next_ = 0;
  int64_t producer_id_end_ = 0;
  bool busy_ = false;
  bool stopped_ = false;
  env::Event turn_;
};

}  // namespace paceline::cluster
