#include "cluster/cluster.h"

#include "cluster/member.h"

namespace paceline::cluster {

const TopicImage* Image::topic(std::string_view name) const {
  auto found = topics.find(name);
  return found == topics.end() ? nullptr : found->second.get();
}

const TopicImage* Image::topic(const Uuid& id) const {
  auto found = topics_by_id.find(id);
  return found == topics_by_id.end() ? nullptr : found->second.get();
}

Task<Result<std::unique_ptr<Cluster>>> Cluster::join(env::Shard& shard, meta::Store& meta,
                                                     Options options) {
  auto member = std::make_unique<Member>(shard, meta, std::move(options));
  CO_TRY_VOID(co_await member->enter_cluster());
  CO_TRY_VOID(co_await member->register_incarnation());
  CO_TRY_VOID(co_await member->load());
  co_return std::unique_ptr<Cluster>(std::move(member));
}

}  // namespace paceline::cluster
