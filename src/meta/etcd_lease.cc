#include "meta/etcd_store.h"
#include "meta/gen/etcd.pb.h"

namespace paceline::meta {
namespace {

namespace pb = etcdserverpb;
using ClientPtr = std::shared_ptr<EtcdClient>;

}  // namespace

// After a lost answer there may be a lease that nobody knows: it ends by itself.
Task<Result<Lease>> grant_etcd(ClientPtr client, env::Shard& shard, std::chrono::seconds ttl) {
  if (ttl.count() <= 0)
    co_return fail(Code::invalid_argument, "a lease lives for a second at least");
  pb::LeaseGrantRequest request;
  request.set_ttl(ttl.count());
  auto answer = co_await client->call(shard, "/etcdserverpb.Lease/LeaseGrant",
                                      request.SerializeAsString(), CallKind::repeatable);
  CO_TRY(const auto response, read_message<pb::LeaseGrantResponse>(answer));
  co_return Lease{LeaseId(response.id()), std::chrono::seconds(response.ttl())};
}

Task<Result<void>> keep_alive_etcd(ClientPtr client, env::Shard& shard, LeaseId lease) {
  pb::LeaseKeepAliveRequest request;
  request.set_id(lease.value);
  auto answer = co_await client->call_stream(shard, "/etcdserverpb.Lease/LeaseKeepAlive",
                                             request.SerializeAsString());
  CO_TRY(const auto response, read_message<pb::LeaseKeepAliveResponse>(answer));
  if (response.ttl() <= 0) co_return fail(Code::not_found, "the lease has ended");
  co_return Result<void>{};
}

Task<Result<void>> revoke_etcd(ClientPtr client, env::Shard& shard, LeaseId lease) {
  pb::LeaseRevokeRequest request;
  request.set_id(lease.value);
  auto answer = co_await client->call(shard, "/etcdserverpb.Lease/LeaseRevoke",
                                      request.SerializeAsString(), CallKind::repeatable);
  if (!answer && answer.error().code != Code::not_found) co_return fail(answer.error());
  co_return Result<void>{};
}

}  // namespace paceline::meta
