#include "cluster/model.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <tuple>

#include "base/log.h"

namespace paceline::cluster {
namespace {

template <class T>
std::optional<T> parse_hex(std::string_view text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct PageKey {
  Uuid topic;
  uint32_t page;
};
std::optional<PageKey> parse_page_key(std::string_view key) {
  key.remove_prefix(part_prefix(Part::pages).size());
  const size_t slash = key.find('/');
  if (slash == key.npos) return std::nullopt;
  const auto topic = Uuid::parse(key.substr(0, slash));
  const auto page = parse_hex<uint32_t>(key.substr(slash + 1));
  if (!topic || !page) return std::nullopt;
  return PageKey{*topic, *page};
}

BrokerImage make_broker(BrokerId id, const meta::BrokerRecord& record) {
  BrokerImage made{id, record.incarnation, {}, record.rack, {}};
  for (const meta::Endpoint& endpoint : record.endpoints) {
    if (endpoint.listener == meta::kPeerListener)
      made.peer = endpoint;
    else
      made.endpoints.push_back(endpoint);
  }
  return made;
}

void note_gone(const Image& before, env::Instant now, Image& image) {
  const auto here = [&](const BrokerImage& broker) {
    return std::ranges::find(image.brokers, broker.id, &BrokerImage::id) != image.brokers.end();
  };
  std::erase_if(image.gone, [&](const GoneBroker& one) {
    return here(one.broker) || now - one.at >= kGoneKept;
  });
  for (const BrokerImage& broker : before.brokers)
    if (!here(broker)) image.gone.push_back({broker, now});
}

std::optional<BrokerId> parse_broker_key(std::string_view key) {
  key.remove_prefix(part_prefix(Part::brokers).size());
  const auto id = parse_hex<uint32_t>(key);
  if (!id) return std::nullopt;
  return BrokerId(static_cast<int32_t>(*id));
}

template <class Record>
std::optional<Record> decode_or_log(std::string_view key, std::string_view value) {
  Result<Record> record = meta::decode<Record>(value);
  if (record) return std::move(*record);
  log_error("metadata record '{}' cannot be read and is left out: {}", key,
            record.error().to_string());
  return std::nullopt;
}

// The lists of a topic's partitions, each made once: it follows from who leads and who is
// preferred.
class SharedLists {
 public:
  struct Lists {
    BrokerList replicas;
    BrokerList preferred;
  };
  using Make = std::function<std::vector<BrokerId>(BrokerId, const std::vector<BrokerId>&)>;
  explicit SharedLists(Make make) : make_(std::move(make)) {}

  const Lists& of(BrokerId leader, const std::vector<BrokerId>& preferred) {
    auto found = all_.find(std::tie(leader, preferred));
    if (found == all_.end())
      found =
          all_.try_emplace({leader, preferred}, Lists{make_(leader, preferred), preferred}).first;
    return found->second;
  }

 private:
  const Make make_;
  std::map<std::tuple<BrokerId, std::vector<BrokerId>>, Lists, std::less<>> all_;
};

}  // namespace

std::string part_prefix(Part part) {
  switch (part) {
    case Part::topics:
      return meta::topics_prefix();
    case Part::pages:
      return "pages/";
    case Part::brokers:
      return "brokers/";
    case Part::lanes:
      return "lanes/";
    case Part::configs:
      return "configs/brokers/";
    case Part::alive:
      return meta::alive_prefix();
  }
  CHECK(false);
}

std::optional<Part> part_of(std::string_view key) {
  for (const Part part : kParts)
    if (key.starts_with(part_prefix(part))) return part;
  return std::nullopt;
}

void Model::put(Part part, std::string_view key, std::string_view value, Revision modified) {
  if (part == Part::topics) {
    auto record = decode_or_log<meta::TopicRecord>(key, value);
    if (!record) return;
    remove(part, key);
    std::string name(key.substr(part_prefix(part).size()));
    names_[record->topic_id] = name;
    dirty_topics_.insert(name);
    topics_[std::move(name)] = std::move(*record);
  } else if (part == Part::pages) {
    const auto at = parse_page_key(key);
    auto record = at ? decode_or_log<meta::PageRecord>(key, value) : std::nullopt;
    if (!record) return;
    pages_[at->topic][at->page] = Page{std::move(*record), modified};
    if (auto named = names_.find(at->topic); named != names_.end())
      dirty_topics_.insert(named->second);
  } else if (part == Part::brokers) {
    const auto id = parse_broker_key(key);
    auto record = id ? decode_or_log<meta::BrokerRecord>(key, value) : std::nullopt;
    if (!record) return;
    brokers_[*id] = Broker{std::move(*record), modified};
    all_dirty_ = true;
  } else if (part == Part::lanes) {
    put_lane(key, value, modified);
  } else if (part == Part::alive) {
    const auto lane = meta::parse_alive_key(key);
    if (lane) alive_.insert(*lane);
    if (lane) seen_alive_.insert(*lane);
  } else {
    auto record = decode_or_log<meta::ConfigRecord>(key, value);
    if (record) configs_[std::string(key)] = std::move(record->configs);
  }
}

// Most writes to a lane's record are its uploads; only creation and sealing change who leads.
void Model::put_lane(std::string_view key, std::string_view value, Revision modified) {
  const auto parsed = meta::parse_lane_key(key);
  if (!parsed || parsed->kind != meta::LaneKey::Kind::lane) return;
  auto record = decode_or_log<meta::LaneRecord>(key, value);
  if (!record) return;
  auto [at, fresh] = lanes_.try_emplace(parsed->lane);
  if (fresh || at->second.record.sealed != record->sealed) all_dirty_ = true;
  at->second = {std::move(*record), modified};
}

void Model::remove(Part part, std::string_view key) {
  if (part == Part::topics) {
    auto found = topics_.find(key.substr(part_prefix(part).size()));
    if (found == topics_.end()) return;
    names_.erase(found->second.topic_id);
    dirty_topics_.insert(found->first);
    topics_.erase(found);
  } else if (part == Part::pages) {
    const auto at = parse_page_key(key);
    auto found = at ? pages_.find(at->topic) : pages_.end();
    if (found == pages_.end()) return;
    found->second.erase(at->page);
    if (found->second.empty()) pages_.erase(found);
  } else if (part == Part::brokers) {
    const auto id = parse_broker_key(key);
    if (id && brokers_.erase(*id) > 0) all_dirty_ = true;
  } else if (part == Part::lanes) {
    const auto parsed = meta::parse_lane_key(key);
    if (parsed && parsed->kind == meta::LaneKey::Kind::lane && lanes_.erase(parsed->lane) > 0)
      all_dirty_ = true;
  } else if (part == Part::alive) {
    if (const auto lane = meta::parse_alive_key(key)) alive_.erase(*lane);
  } else if (auto found = configs_.find(key); found != configs_.end()) {
    configs_.erase(found);
  }
}

void Model::clear() {
  all_dirty_ = true;
  topics_.clear();
  names_.clear();
  pages_.clear();
  brokers_.clear();
  lanes_.clear();
  configs_.clear();
  alive_.clear();
}

const meta::LaneRecord* Model::lane(Lane lane) const {
  auto found = lanes_.find(lane);
  return found == lanes_.end() ? nullptr : &found->second.record;
}

std::optional<LeaderTerm> Model::live_term(const meta::PartitionRecord& record,
                                           const Uuid& topic) const {
  const LaneLookup lookup = [this](Lane wanted) { return lane(wanted); };
  return cluster::live_term(record.term, record.preferred, StreamId{topic, record.index}, lookup);
}

// The preferred ones, then whoever else lives, first those of racks that are not there yet: each of
// them could serve it. A leader that is not preferred comes first. A list that tools have written
// is shown as long as they wrote it: one of several brokers is theirs, what nobody wrote has one.
std::vector<BrokerId> Model::replicas_of(BrokerId leader, const std::vector<BrokerId>& preferred,
                                         int16_t replication_factor) const {
  const size_t count_max = preferred.size() > 1
                               ? preferred.size()
                               : static_cast<size_t>(std::max<int16_t>(replication_factor, 1));
  std::vector<BrokerId> replicas;
  auto add = [&](BrokerId id) {
    if (replicas.size() < count_max && std::ranges::find(replicas, id) == replicas.end())
      replicas.push_back(id);
  };
  const bool preferred_leads = std::ranges::find(preferred, leader) != preferred.end();
  if (leader.value >= 0 && !preferred_leads) add(leader);
  for (BrokerId id : preferred)
    if (auto found = brokers_.find(id); found != brokers_.end() && found->second.record.registered)
      add(id);
  auto is_new_rack = [&](const std::string& rack) {
    return !rack.empty() && std::ranges::none_of(replicas, [&](BrokerId id) {
      const auto found = brokers_.find(id);
      return found != brokers_.end() && found->second.record.rack == rack;
    });
  };
  for (const auto& [id, broker] : brokers_)
    if (replicas.size() < count_max && broker.record.registered && is_new_rack(broker.record.rack))
      add(id);
  for (const auto& [id, broker] : brokers_)
    if (broker.record.registered) add(id);
  return replicas;
}

std::shared_ptr<const TopicImage> Model::make_topic(const std::string& name,
                                                    const meta::TopicRecord& record) const {
  auto made = std::make_shared<TopicImage>();
  made->name = name;
  made->id = record.topic_id;
  made->internal = record.internal;
  made->replication_factor = record.replication_factor;
  made->configs = record.configs;
  auto pages = pages_.find(record.topic_id);
  if (pages == pages_.end()) return nullptr;
  std::vector<const meta::PartitionRecord*> known;
  for (const auto& [number, page] : pages->second)
    for (const meta::PartitionRecord& partition : page.record.partitions)
      if (partition.index == known.size() && partition.index < record.partition_count)
        known.push_back(&partition);
  if (known.size() != record.partition_count) return nullptr;
  made->partitions.reserve(known.size());
  SharedLists lists([&](BrokerId leader, const std::vector<BrokerId>& preferred) {
    return replicas_of(leader, preferred, record.replication_factor);
  });
  for (const meta::PartitionRecord* partition : known) {
    const auto live = live_term(*partition, record.topic_id);
    PartitionImage image;
    image.leader = live ? live->lane.broker : BrokerId{-1};
    if (live) image.lane = live->lane;
    if (live) image.from = live->from;
    image.epoch = live ? live->epoch : partition->term.epoch;
    const SharedLists::Lists& shared = lists.of(image.leader, partition->preferred);
    image.replicas = shared.replicas;
    image.preferred = shared.preferred;
    made->partitions.push_back(std::move(image));
  }
  return made;
}

std::shared_ptr<const Image> Model::make_image(Revision revision, env::Instant now) {
  auto image = last_ ? std::make_shared<Image>(*last_) : std::make_shared<Image>();
  image->cluster_id = cluster_id_;
  image->revision = revision;
  image->brokers.clear();
  for (const auto& [id, broker] : brokers_)
    if (broker.record.registered) image->brokers.push_back(make_broker(id, broker.record));
  if (last_) note_gone(*last_, now, *image);
  if (all_dirty_ || !image->heirs) {
    auto heirs = std::make_shared<std::map<Lane, std::vector<Lane>>>();
    for (const auto& [lane, entry] : lanes_)
      if (entry.record.sealed)
        for (const meta::Successor& successor : entry.record.successors)
          (*heirs)[lane].push_back(successor.lane);
    image->heirs = std::move(heirs);
  }
  if (all_dirty_) {
    for (const auto& [name, record] : topics_) dirty_topics_.insert(name);
    for (const auto& [name, topic] : image->topics) dirty_topics_.insert(name);
  }
  for (const std::string& name : dirty_topics_) {
    std::shared_ptr<const TopicImage> before;
    if (auto found = image->topics.find(name); found != image->topics.end()) {
      before = found->second;
      image->topics_by_id.erase(before->id);
      image->topics.erase(found);
    }
    auto record = topics_.find(name);
    if (record == topics_.end()) continue;
    auto made = make_topic(name, record->second);
    // The name came before its pages: the topic stays what it was until they are here.
    if (!made && before && before->id == record->second.topic_id) made = before;
    if (!made) continue;
    image->topics_by_id[made->id] = made;
    image->topics[name] = std::move(made);
  }
  dirty_topics_.clear();
  all_dirty_ = false;
  auto config = [this](std::optional<BrokerId> id) {
    auto found = configs_.find(meta::broker_config_key(id));
    return found == configs_.end() ? std::map<std::string, std::string>{} : found->second;
  };
  image->broker_configs = config(self_);
  image->default_broker_configs = config(std::nullopt);
  last_ = image;
  return image;
}

std::vector<std::pair<Lane, Revision>> Model::registered() const {
  std::vector<std::pair<Lane, Revision>> all;
  for (const auto& [id, broker] : brokers_)
    if (broker.record.registered)
      all.emplace_back(Lane{id, broker.record.incarnation}, broker.modified);
  return all;
}

std::optional<Model::Incarnation> Model::incarnation(const Lane& lane) const {
  const auto broker = brokers_.find(lane.broker);
  const auto entry = lanes_.find(lane);
  if (broker == brokers_.end() || entry == lanes_.end()) return std::nullopt;
  const meta::BrokerRecord& record = broker->second.record;
  if (!record.registered || record.incarnation != lane.incarnation) return std::nullopt;
  return Incarnation{record, broker->second.modified, entry->second.record, entry->second.modified};
}

std::string Model::rack_of(BrokerId id) const {
  const auto found = brokers_.find(id);
  const bool registered = found != brokers_.end() && found->second.record.registered;
  return registered ? found->second.record.rack : std::string();
}

std::vector<Lane> Image::left_to(const Lane& lane) const {
  std::vector<Lane> left;
  for (const auto& [sealed, successors] : *heirs)
    if (sealed.broker != lane.broker && std::ranges::find(successors, lane) != successors.end())
      left.push_back(sealed);
  return left;
}

const TopicImage* Image::topic(std::string_view name) const {
  auto found = topics.find(name);
  return found == topics.end() ? nullptr : found->second.get();
}
const TopicImage* Image::topic(const Uuid& id) const {
  auto found = topics_by_id.find(id);
  return found == topics_by_id.end() ? nullptr : found->second.get();
}

}  // namespace paceline::cluster
