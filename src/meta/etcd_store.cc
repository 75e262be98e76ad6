#include "meta/etcd_store.h"

#include <stdlib.h>

#include "env/disk.h"
#include "meta/gen/etcd.pb.h"
#include "meta/limits.h"

namespace paceline::meta {
namespace {

namespace pb = etcdserverpb;
// The tasks hold the client, not the store: a store may go while a call of it is still on its way.
using ClientPtr = std::shared_ptr<EtcdClient>;

constexpr const char* kRange = "/etcdserverpb.KV/Range";
constexpr const char* kTxn = "/etcdserverpb.KV/Txn";
// Entries a request: a large range is read in pages, all of them at the revision of the first.
constexpr size_t kPageEntries = 1000;

Entry to_entry(pb::KeyValue& kv, size_t prefix_bytes) {
  return {kv.key().substr(prefix_bytes), std::move(*kv.mutable_value()),
          Revision(kv.create_revision()), Revision(kv.mod_revision())};
}

Task<Result<pb::RangeResponse>> ask_range(ClientPtr client, env::Shard& shard,
                                          pb::RangeRequest request) {
  const int64_t floor = client->newest();
  auto answer =
      co_await client->call(shard, kRange, request.SerializeAsString(), CallKind::repeatable);
  CO_TRY(auto response, read_message<pb::RangeResponse>(answer));
  CO_TRY_VOID(client->note_revision(floor, response.header().revision()));
  co_return response;
}

Task<Result<std::optional<Entry>>> get_entry(ClientPtr client, env::Shard& shard, std::string key) {
  pb::RangeRequest request;
  request.set_key(client->prefix() + key);
  CO_TRY(auto response, co_await ask_range(client, shard, std::move(request)));
  if (response.kvs().empty()) co_return std::optional<Entry>();
  co_return std::optional<Entry>(to_entry(*response.mutable_kvs(0), client->prefix().size()));
}

// compacted: the revision of the first page was compacted before the last one was read.
Task<Result<Range>> get_range_once(ClientPtr client, env::Shard& shard, std::string from,
                                   std::string to, size_t count_max) {
  const size_t prefix_bytes = client->prefix().size();
  pb::RangeRequest request;
  request.set_key(client->prefix() + from);
  request.set_range_end(to.empty() ? prefix_end(client->prefix()) : client->prefix() + to);
  Range range;
  for (;;) {
    const size_t wanted = std::min(kPageEntries, count_max - range.entries.size());
    request.set_limit(static_cast<int64_t>(wanted));
    CO_TRY(auto response, co_await ask_range(client, shard, request));
    if (request.revision() == 0) {
      range.revision = Revision(response.header().revision());
      request.set_revision(range.revision.value);
    }
    for (pb::KeyValue& kv : *response.mutable_kvs())
      range.entries.push_back(to_entry(kv, prefix_bytes));
    range.more = response.more();
    if (!range.more || range.entries.size() >= count_max) co_return range;
    request.set_key(client->prefix() + range.entries.back().key + '\0');
  }
}

Task<Result<Range>> get_range(ClientPtr client, env::Shard& shard, std::string from, std::string to,
                              size_t count_max) {
  if (count_max == 0) co_return fail(Code::invalid_argument, "a range of no entries was asked for");
  const env::Instant deadline = shard.now() + client->call_timeout();
  for (;;) {
    auto range = co_await get_range_once(client, shard, from, to, count_max);
    if (range || range.error().code != Code::compacted) co_return range;
    if (shard.now() >= deadline)
      co_return fail(Code::unavailable, "etcd is compacted faster than this range can be read");
  }
}

void add_compare(pb::TxnRequest& request, const std::string& prefix, const Compare& compare) {
  pb::Compare& added = *request.add_compare();
  added.set_key(prefix + compare.key);
  added.set_result(pb::Compare::EQUAL);
  switch (compare.what) {
    case Compare::What::absent:
      added.set_target(pb::Compare::CREATE);
      added.set_create_revision(0);
      return;
    case Compare::What::exists:
      added.set_target(pb::Compare::CREATE);
      added.set_result(pb::Compare::GREATER);
      added.set_create_revision(0);
      return;
    case Compare::What::modified_equals:
      added.set_target(pb::Compare::MOD);
      // To etcd an absent key is one of revision 0; to us it is at no revision.
      added.set_mod_revision(std::max<int64_t>(compare.modified.value, -1));
      if (compare.modified.value == 0) added.set_mod_revision(-1);
      return;
    case Compare::What::value_equals:
      added.set_target(pb::Compare::VALUE);
      added.set_value(compare.value);
      return;
  }
}

pb::TxnRequest to_request(const std::string& prefix, const Transaction& transaction) {
  pb::TxnRequest request;
  for (const Compare& compare : transaction.compares) add_compare(request, prefix, compare);
  for (const Write& write : transaction.writes) {
    pb::RequestOp& operation = *request.add_success();
    if (write.what == Write::What::put) {
      pb::PutRequest& put = *operation.mutable_request_put();
      put.set_key(prefix + write.key);
      put.set_value(write.value);
      put.set_lease(write.lease.value);
    } else {
      operation.mutable_request_delete_range()->set_key(prefix + write.key);
    }
  }
  // A member answers a transaction without operations from what it has, however old. A read makes
  // it ask its leader first.
  if (transaction.writes.empty()) {
    pb::RangeRequest& read = *request.add_success()->mutable_request_range();
    read.set_key(prefix);
    read.set_keys_only(true);
  }
  return request;
}

Task<Result<Revision>> commit_transaction(ClientPtr client, env::Shard& shard,
                                          Transaction transaction) {
  CO_TRY_VOID(check_limits(transaction));
  const CallKind kind = transaction.writes.empty() ? CallKind::repeatable : CallKind::once;
  std::string request = to_request(client->prefix(), transaction).SerializeAsString();
  const int64_t floor = client->newest();
  auto answer = co_await client->call(shard, kTxn, std::move(request), kind);
  CO_TRY(auto response, read_message<pb::TxnResponse>(answer));
  CO_TRY_VOID(client->note_revision(floor, response.header().revision()));
  if (!response.succeeded()) co_return fail(Code::conflict, "a compare did not hold");
  co_return Revision(response.header().revision());
}

class EtcdStore final : public Store {
 public:
  explicit EtcdStore(ClientPtr client) : client_(std::move(client)) {}
  ~EtcdStore() override { client_->close(); }

  Task<Result<std::optional<Entry>>> get(env::Shard& shard, std::string key) override {
    return get_entry(client_, shard, std::move(key));
  }
  Task<Result<Range>> range(env::Shard& shard, std::string from, std::string to,
                            size_t count_max) override {
    return get_range(client_, shard, std::move(from), std::move(to), count_max);
  }
  Task<Result<Revision>> commit(env::Shard& shard, Transaction transaction) override {
    return commit_transaction(client_, shard, std::move(transaction));
  }
  Result<std::unique_ptr<Watch>> watch(env::Shard& shard, std::string prefix,
                                       Revision after) override {
    return watch_etcd(client_, shard, std::move(prefix), after);
  }
  Task<Result<Lease>> grant(env::Shard& shard, std::chrono::seconds ttl) override {
    return grant_etcd(client_, shard, ttl);
  }
  Task<Result<void>> keep_alive(env::Shard& shard, LeaseId lease) override {
    return keep_alive_etcd(client_, shard, lease);
  }
  Task<Result<void>> revoke(env::Shard& shard, LeaseId lease) override {
    return revoke_etcd(client_, shard, lease);
  }

 private:
  ClientPtr client_;
};

Result<std::string> read_if_named(env::Disk& disk, const std::string& path) {
  if (path.empty()) return std::string();
  constexpr uint64_t kBytesMax = 1 << 20;
  return env::read_file(disk, path, kBytesMax);
}

}  // namespace

Result<std::unique_ptr<Store>> open_etcd_store(env::Shard& shard, EtcdOptions options) {
  if (options.endpoints.empty())
    return fail(Code::invalid_argument, "paceline.metadata names no etcd endpoint");
  env::Disk& disk = shard.disk();
  TlsFiles tls;
  TRY(tls.ca, read_if_named(disk, options.ca_file));
  TRY(tls.certificate, read_if_named(disk, options.certificate_file));
  TRY(tls.key, read_if_named(disk, options.key_file));
  if (!options.password_file.empty()) {
    TRY(options.password, read_if_named(disk, options.password_file));
    while (options.password.ends_with('\n') || options.password.ends_with('\r'))
      options.password.pop_back();
  } else if (const char* variable = ::getenv(kEtcdPasswordVariable);
             variable && options.password.empty()) {
    options.password = variable;
  }
  if (!options.user.empty() && options.password.empty())
    return fail(Code::invalid_argument,
                fmt::format("paceline.metadata: user '{}' has no password; use passwordFile or {}",
                            options.user, kEtcdPasswordVariable));
  const bool encrypted = !options.ca_file.empty();
  auto client =
      std::make_shared<EtcdClient>(std::move(options), encrypted ? &tls : nullptr, shard.random());
  return std::make_unique<EtcdStore>(std::move(client));
}

}  // namespace paceline::meta
