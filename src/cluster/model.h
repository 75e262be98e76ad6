#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "cluster/cluster.h"
#include "cluster/terms.h"
#include "meta/records.h"

namespace paceline::cluster {

// What is followed, each under its own prefix of keys.
enum class Part : uint8_t { topics, pages, brokers, lanes, configs, alive };
inline constexpr Part kParts[] = {Part::topics, Part::pages,   Part::brokers,
                                  Part::lanes,  Part::configs, Part::alive};
std::string part_prefix(Part part);
std::optional<Part> part_of(std::string_view key);  // nothing: it is not looked at

// The followed records, decoded, and the image they make. Pure: no store, no clock. A topic may be
// written in several transactions: it shows only once all its pages are there.
class Model {
 public:
  struct Page {
    meta::PageRecord record;
    Revision modified;
  };
  using Pages = std::map<uint32_t, Page>;

  Model(BrokerId self, Uuid cluster_id) : self_(self), cluster_id_(cluster_id) {}

  // A record that cannot be decoded is logged and left as it was before.
  void put(Part part, std::string_view key, std::string_view value, Revision modified);
  void remove(Part part, std::string_view key);
  void clear();  // before everything is put again

  // The image at `revision`; topics that did not change are shared with the image before. `now`:
  // when the brokers that the image before had, and this one has not, are gone.
  std::shared_ptr<const Image> make_image(Revision revision, env::Instant now);

  std::optional<LeaderTerm> live_term(const meta::PartitionRecord& record, const Uuid& topic) const;
  const std::map<std::string, meta::TopicRecord, std::less<>>& topics() const { return topics_; }
  const std::map<Uuid, Pages>& pages() const { return pages_; }
  const meta::LaneRecord* lane(Lane lane) const;
  bool has_topic(const Uuid& id) const { return names_.contains(id); }
  // Those registered, by id: their present lanes and the revisions of their records.
  std::vector<std::pair<Lane, Revision>> registered() const;
  // A registered incarnation and its lane, with the revisions of their records.
  struct Incarnation {
    meta::BrokerRecord broker;
    Revision broker_at;
    meta::LaneRecord lane;
    Revision lane_at;
  };
  std::optional<Incarnation> incarnation(const Lane& lane) const;
  // "": none, or not registered.
  std::string rack_of(BrokerId id) const;
  bool is_alive(const Lane& lane) const { return alive_.contains(lane); }
  bool was_alive(const Lane& lane) const { return seen_alive_.contains(lane); }

 private:
  void put_lane(std::string_view key, std::string_view value, Revision modified);
  std::shared_ptr<const TopicImage> make_topic(const std::string& name,
                                               const meta::TopicRecord& record) const;
  std::vector<BrokerId> replicas_of(BrokerId leader, const std::vector<BrokerId>& preferred,
                                    int16_t replication_factor) const;

  const BrokerId self_;
  const Uuid cluster_id_;
  std::map<std::string, meta::TopicRecord, std::less<>> topics_;
  std::map<Uuid, std::string> names_;
  std::map<Uuid, Pages> pages_;
  struct Broker {
    meta::BrokerRecord record;
    Revision modified;
  };
  std::map<BrokerId, Broker> brokers_;
  struct LaneEntry {
    meta::LaneRecord record;
    Revision modified;
  };
  std::map<Lane, LaneEntry> lanes_;
  std::set<Lane> alive_;
  std::set<Lane> seen_alive_;  // ever
  std::map<std::string, std::map<std::string, std::string>, std::less<>> configs_;

  std::shared_ptr<const Image> last_;
  std::set<std::string> dirty_topics_;
  bool all_dirty_ = true;
};

}  // namespace paceline::cluster
