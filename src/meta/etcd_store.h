#pragma once

#include <memory>
#include <string>

#include "meta/etcd_client.h"
#include "meta/store.h"

namespace paceline::meta {

// Belongs to `shard`. Knows the store weakly: when that is closed next() says `closed`.
Result<std::unique_ptr<Watch>> watch_etcd(std::weak_ptr<EtcdClient> client, env::Shard& shard,
                                          std::string prefix, Revision after);

// etcd_lease.cc
Task<Result<Lease>> grant_etcd(std::shared_ptr<EtcdClient> client, env::Shard& shard,
                               std::chrono::seconds ttl);
Task<Result<void>> keep_alive_etcd(std::shared_ptr<EtcdClient> client, env::Shard& shard,
                                   LeaseId lease);
Task<Result<void>> revoke_etcd(std::shared_ptr<EtcdClient> client, env::Shard& shard,
                               LeaseId lease);

// The message in an answer; corrupt if it cannot be read.
template <class Message>
Result<Message> read_message(const Result<std::string>& answer) {
  if (!answer) return fail(answer.error());
  Message message;
  if (!message.ParseFromString(*answer)) return fail(Code::corrupt, "etcd's answer cannot be read");
  return message;
}

}  // namespace paceline::meta
