#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "meta/etcd.h"
#include "meta/etcd_transport.h"
#include "meta/etcd_verdict.h"

namespace paceline::meta {

// All members of one etcd cluster as if they were one: which of them is asked, how often, and with
// which token. Any shard; shared by all calls and watches of a store.
class EtcdClient {
 public:
  // `first`: the member to begin with, so that not all brokers ask the same one.
  EtcdClient(EtcdOptions options, const TlsFiles* tls, uint64_t first);
  EtcdClient(const EtcdClient&) = delete;
  EtcdClient& operator=(const EtcdClient&) = delete;

  // Serialized messages of etcd.proto. Within options.call_timeout.
  Task<Result<std::string>> call(env::Shard& shard, std::string method, std::string request,
                                 CallKind kind);
  // Of a method that is a stream by form only: one request, one answer; repeatable.
  Task<Result<std::string>> call_stream(env::Shard& shard, std::string method, std::string request);
  // A stream from the member in use; `renew`: the last one was refused, so ask for a new token.
  struct Opened {
    std::unique_ptr<RpcStream> stream;
    size_t member = 0;
  };
  Task<Result<Opened>> open(env::Shard& shard, std::string method, std::string request, bool renew);
  // This member does not serve now: whoever uses it goes to the next one.
  void leave_member(size_t index, const RpcStatus& why);

  void close() { gate_->close(); }
  bool closed() const { return gate_->closed(); }

  const std::string& prefix() const { return options_.prefix; }
  env::Duration call_timeout() const { return options_.call_timeout; }
  // Of the newest answer so far. A later question may not be answered with an older one.
  int64_t newest() const { return newest_; }
  // corrupt: the store has gone back behind `floor`, as a restored backup does.
  Result<void> note_revision(int64_t floor, int64_t revision);

 private:
  struct Member {
    Member(const std::string& address, const TlsFiles* tls, std::shared_ptr<RpcGate> gate)
        : channel(address, tls, std::move(gate)) {}
    RpcChannel channel;
    std::atomic<bool> answers = true;  // as last logged
  };
  using Token = std::shared_ptr<const std::string>;

  struct Question {
    std::string method, request;
    CallKind kind;
    bool as_stream;
    env::Instant deadline;
  };
  Task<Result<std::string>> call_until_answered(env::Shard& shard, Question question);
  // Asks the member in use, once.
  Task<Verdict> try_call(env::Shard& shard, const Question& question, std::string* answer);
  static Task<RpcAnswer> ask(env::Shard& shard, RpcChannel& channel, const Question& question,
                             env::Duration timeout, std::string token);
  // A new token if `stale` is still the one in use.
  Task<Verdict> authenticate(env::Shard& shard, Token stale, env::Instant deadline);
  void note_answer(size_t index);

  const EtcdOptions options_;
  const std::shared_ptr<RpcGate> gate_ = std::make_shared<RpcGate>();
  std::vector<std::unique_ptr<Member>> members_;
  std::atomic<size_t> current_;
  std::atomic<Token> token_;
  std::atomic<int64_t> newest_ = 0;
};

}  // namespace paceline::meta
