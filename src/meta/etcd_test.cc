#include "meta/etcd.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <map>

#include "env/sync.h"
#include "env/test_shards.h"
#include "meta/etcd_cluster_test.h"

// What only real etcds can do to a store: die, stop, forget, fill up, refuse.

namespace paceline::meta {
namespace {

using namespace std::chrono_literals;

// A cluster of the test's own and a store on it.
class Etcd : public testing::Test {
 protected:
  void start(EtcdCluster::Options options = {}) {
    cluster_ = std::make_unique<EtcdCluster>(std::move(options));
  }
  Result<std::unique_ptr<Store>> try_open(std::string query = "", std::string password = "",
                                          env::Duration timeout = 5s) {
    auto open = [](env::Shard& shard, std::string url, std::string secret,
                   env::Duration call_timeout) -> Task<Result<std::unique_ptr<Store>>> {
      CO_TRY(auto options, parse_etcd_url(url));
      options.password = std::move(secret);
      options.call_timeout = call_timeout;
      co_return open_etcd_store(shard, std::move(options));
    };
    const std::string url = fmt::format("etcd://{}/t{}", cluster_->endpoints(), query);
    return wait(open(world_.shard(0), url, std::move(password), timeout));
  }
  void open(std::string query = "", std::string password = "", env::Duration timeout = 5s) {
    auto opened = try_open(std::move(query), std::move(password), timeout);
    ASSERT_TRUE(opened) << opened.error().to_string();
    store_ = std::move(*opened);
  }

  template <class T>
  T wait(Task<T> task) {
    std::optional<T> value;
    auto keep = [](Task<T> inner, std::optional<T>* into) -> Task<void> {
      into->emplace(co_await std::move(inner));
    };
    world_.run(0, keep(std::move(task), &value));
    return std::move(*value);
  }
  Result<std::optional<Entry>> get(std::string key) {
    return wait(store_->get(world_.shard(0), std::move(key)));
  }
  Result<Revision> commit(Transaction transaction) {
    return wait(store_->commit(world_.shard(0), std::move(transaction)));
  }
  Result<Revision> put(std::string key, std::string value) {
    return commit(Transaction{}.put(std::move(key), std::move(value)));
  }
  std::unique_ptr<Watch> watch(std::string prefix, Revision after) {
    return std::move(*store_->watch(world_.shard(0), std::move(prefix), after));
  }
  void drop(std::unique_ptr<Watch> watch) {
    auto end = [](std::unique_ptr<Watch> ended) -> Task<void> {
      ended.reset();
      co_return;
    };
    world_.run(0, end(std::move(watch)));
  }
  static Code code(const auto& result) { return result ? Code::io_error : result.error().code; }

  std::unique_ptr<EtcdCluster> cluster_;
  env::RealTestShards world_;
  std::unique_ptr<Store> store_;
};

// What one writer of a counter knows.
struct Counting {
  int acknowledged = 0;  // increments it was told of, or has read back
  int unknown = 0;
  std::atomic<bool> stop = false;
};

// Adds one, over and over. After an unknown outcome the counter is read until the answer is there:
// nobody else writes it, so that the value itself says what happened. An attempt that was read as
// "not there" is void, because the next one compares and rewrites the same key.
Task<void> count_up(Store& store, env::Shard& shard, std::string key, Counting* counting) {
  while (!counting->stop) {
    auto entry = co_await store.get(shard, key);
    if (!entry) {
      EXPECT_EQ(entry.error().code, Code::unavailable) << entry.error().to_string();
      continue;
    }
    const int value = *entry ? std::stoi((*entry)->value) : 0;
    EXPECT_TRUE(value == counting->acknowledged || value == counting->acknowledged + 1)
        << value << " after " << counting->acknowledged;
    counting->acknowledged = value;
    Transaction next;
    if (*entry)
      next.if_modified_at(key, (*entry)->modified);
    else
      next.if_absent(key);
    next.put(key, std::to_string(value + 1));
    auto done = co_await store.commit(shard, std::move(next));
    if (done) {
      ++counting->acknowledged;
    } else {
      // conflict: an attempt before, read as not there, has happened after all.
      EXPECT_TRUE(done.error().code == Code::maybe_written || done.error().code == Code::conflict ||
                  done.error().code == Code::unavailable)
          << done.error().to_string();
      counting->unknown += done.error().code == Code::maybe_written;
    }
  }
}

Task<void> count_up_by(Store& store, env::Shard& shard, Counting* counting, size_t writers) {
  env::Gate gate(shard);
  auto one = [](Store& s, env::Shard& on, std::string key, Counting* c,
                env::Gate::Pass) -> Task<void> { co_await count_up(s, on, key, c); };
  for (size_t i = 0; i < writers; ++i)
    shard.spawn(one(store, shard, "count/" + std::to_string(i), &counting[i], gate.enter()));
  co_await gate.wait_empty();
}

TEST_F(Etcd, KillingLeadersInTheMiddleOfCommitsLosesAndDoublesNothing) {
  constexpr size_t kWriters = 4;
  start();
  open();
  Counting counting[kWriters];
  std::thread writers(
      [&] { world_.run(0, count_up_by(*store_, world_.shard(0), counting, kWriters)); });
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(700ms);
    const int leader = cluster_->leader();
    if (leader < 0) continue;
    cluster_->kill(static_cast<size_t>(leader));
    std::this_thread::sleep_for(700ms);
    cluster_->start(static_cast<size_t>(leader));
  }
  for (Counting& one : counting) one.stop = true;
  writers.join();
  int total = 0, unknown = 0;
  for (size_t i = 0; i < kWriters; ++i) {
    auto last = get("count/" + std::to_string(i));
    ASSERT_TRUE(last && *last);
    const int value = std::stoi((*last)->value);
    EXPECT_GE(value, counting[i].acknowledged);
    EXPECT_LE(value, counting[i].acknowledged + 1);
    total += counting[i].acknowledged;
    unknown += counting[i].unknown;
  }
  EXPECT_GT(total, 100);
  RecordProperty("increments", total);
  RecordProperty("unknown_outcomes", unknown);
}

TEST_F(Etcd, WhileAllMembersAreDownCallsEndAndWatchesWaitAndThenEverythingGoesOn) {
  start();
  open();
  const auto first = put("w/a", "1");
  ASSERT_TRUE(first);
  auto changes = watch("w/", *first);
  ASSERT_TRUE(put("w/b", "2"));
  ASSERT_EQ(wait(changes->next())->at(0).key, "w/b");
  for (size_t i = 0; i < cluster_->size(); ++i) cluster_->kill(i);
  EXPECT_EQ(code(get("w/a")), Code::unavailable);
  // Not even a connection: nothing can have been written.
  EXPECT_EQ(code(put("w/c", "3")), Code::unavailable);
  for (size_t i = 0; i < cluster_->size(); ++i) cluster_->start(i);
  // The watch is resumed by whoever waits on it; calls that come too early say so.
  Result<Revision> again = fail(Code::unavailable, "");
  for (int i = 0; i < 20 && !again; ++i) again = put("w/c", "4");
  ASSERT_TRUE(again) << again.error().to_string();
  auto seen = wait(changes->next());
  ASSERT_TRUE(seen);
  ASSERT_EQ(seen->size(), 1u);
  EXPECT_EQ(seen->at(0).revision, *again);
  EXPECT_EQ(seen->at(0).value, "4");
  drop(std::move(changes));
}

TEST_F(Etcd, AWatchThatWasDownWhileItsHistoryWasCompactedIsToldToListAgain) {
  start();
  open();
  const auto first = put("w/a", "1");
  ASSERT_TRUE(first);
  auto behind = watch("w/", *first);  // has no stream before its first next()
  ASSERT_TRUE(put("w/b", "2"));
  const auto last = put("w/b", "3");
  ASSERT_TRUE(last);
  ASSERT_TRUE(cluster_->tool(fmt::format("compaction {}", last->value)).starts_with("compacted"));
  auto seen = wait(behind->next());
  EXPECT_EQ(code(seen), Code::compacted);
  drop(std::move(behind));
  auto listed = wait(range_prefix(*store_, world_.shard(0), "w/"));
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->entries.size(), 2u);
  auto fresh = watch("w/", listed->revision);
  const auto next = put("w/c", "4");
  ASSERT_TRUE(next);
  seen = wait(fresh->next());
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->at(0).revision, *next);
  drop(std::move(fresh));
}

// Writes elsewhere and compacts, again and again, on a shard of its own until it goes.
class Compacting {
 public:
  Compacting(EtcdCluster& cluster, env::Shard& shard, Store& store) {
    shard.post([this, &cluster, &shard, &store] { shard.spawn(run(cluster, shard, store)); });
  }
  Compacting(const Compacting&) = delete;
  Compacting& operator=(const Compacting&) = delete;
  ~Compacting() {
    stop_ = true;
    stopped_.wait(false);
  }

 private:
  Task<void> run(EtcdCluster& cluster, env::Shard& shard, Store& store) {
    while (!stop_) {
      auto done = co_await store.commit(shard, Transaction{}.put("other", ""));
      if (!done) continue;
      auto work = [&cluster, at = done->value] {
        return cluster.tool(fmt::format("compaction {}", at));
      };
      co_await env::offload(shard, std::move(work));
    }
    stopped_ = true;
    stopped_.notify_all();
  }

  std::atomic<bool> stop_ = false;
  std::atomic<bool> stopped_ = false;
};

// All pages of a range are of one revision; when that is compacted in between it starts anew.
TEST_F(Etcd, ALongRangeIsOfOneRevisionWhateverIsWrittenAndCompacted) {
  constexpr size_t kKeys = 5000;
  start();
  open();
  for (size_t i = 0; i < kKeys;) {
    Transaction transaction;
    for (int n = 0; n < 100; ++n, ++i) transaction.put(fmt::format("p/{:05}", i), "0");
    ASSERT_TRUE(commit(std::move(transaction)));
  }
  Compacting compacting(*cluster_, world_.shard(1), *store_);
  for (int round = 1; round <= 20; ++round) {
    // The first and the last key always change together.
    const std::string value = std::to_string(round);
    ASSERT_TRUE(commit(Transaction{}.put("p/00000", value).put("p/04999", value)));
    auto range = wait(store_->range(world_.shard(0), "p/", "p0", kKeys * 2));
    ASSERT_TRUE(range) << range.error().to_string();
    ASSERT_EQ(range->entries.size(), kKeys);
    EXPECT_EQ(range->entries.front().value, range->entries.back().value);
    EXPECT_FALSE(range->more);
  }
}

TEST_F(Etcd, AFrozenMemberIsLeftForAnother) {
  start();
  open();
  ASSERT_TRUE(put("a", "1"));
  for (size_t i = 0; i < cluster_->size(); ++i) {
    cluster_->signal(i, SIGSTOP);
    Result<std::optional<Entry>> read = fail(Code::unavailable, "");
    for (int tries = 0; tries < 3 && !read; ++tries) read = get("a");
    EXPECT_TRUE(read && *read) << i;
    cluster_->signal(i, SIGCONT);
    cluster_->await_leader();
  }
}

TEST_F(Etcd, AFullQuotaIsToldInOneSentenceAndReadsGoOn) {
  EtcdCluster::Options options;
  options.members = 1;
  options.arguments = {"--quota-backend-bytes=4194304"};
  start(options);
  open();
  Result<Revision> done = Revision{};
  for (int i = 0; i < 20 && done; ++i)
    done = put("k" + std::to_string(i), std::string(900'000, 'x'));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::no_space) << done.error().to_string();
  EXPECT_NE(done.error().message.find("quota"), std::string::npos);
  EXPECT_TRUE(*get("k0"));
  // As an operator would: compact, defragment, disarm.
  ASSERT_TRUE(cluster_->tool("del /t/ --prefix").find("failed") == std::string::npos);
  const std::string status = cluster_->tool("endpoint status -w fields");
  const auto at = status.find("\"Revision\" : ");
  ASSERT_NE(at, std::string::npos) << status;
  cluster_->tool(fmt::format("compaction --physical {}", std::stoll(status.substr(at + 13))));
  cluster_->tool("defrag");
  cluster_->tool("alarm disarm");
  EXPECT_TRUE(put("again", "1"));
}

TEST_F(Etcd, AnOlderStoreInItsPlaceIsNotBelieved) {
  EtcdCluster::Options options;
  options.members = 1;
  start(options);
  open();
  Revision last;
  for (int i = 0; i < 10; ++i) last = *put("a", std::to_string(i));
  auto changes = watch("", last);
  cluster_->kill(0);
  cluster_->wipe(0);
  cluster_->start(0);
  cluster_->await_leader();
  EXPECT_EQ(code(get("a")), Code::corrupt);
  EXPECT_EQ(code(wait(changes->next())), Code::corrupt);
  drop(std::move(changes));
}

TEST_F(Etcd, LeasesSurviveTheDeathOfTheLeader) {
  start();
  open();
  const auto lease = wait(store_->grant(world_.shard(0), 4s));
  ASSERT_TRUE(lease);
  ASSERT_TRUE(commit(Transaction{}.put("held", "", lease->id)));
  cluster_->kill(static_cast<size_t>(cluster_->await_leader()));
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(wait(store_->keep_alive(world_.shard(0), lease->id))) << i;
    std::this_thread::sleep_for(500ms);
  }
  EXPECT_TRUE(*get("held"));
  // From now on nobody keeps it.
  auto gone = watch("held", Revision(1));
  bool removed = false;
  while (!removed) {
    auto seen = wait(gone->next());
    ASSERT_TRUE(seen) << seen.error().to_string();
    for (const Change& change : *seen) removed |= !change.value;
  }
  EXPECT_FALSE(*get("held"));
  drop(std::move(gone));
}

// A certificate authority, and a certificate of it for 127.0.0.1, in `dir`.
void make_certificates(const std::string& dir) {
  std::ofstream(dir + "/extensions") << "subjectAltName=IP:127.0.0.1\n";
  const std::string make = fmt::format(
      "cd {} && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key "
      "-out ca.pem && openssl req -newkey rsa:2048 -nodes -subj /CN=member -keyout key.pem "
      "-out request && openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial "
      "-days 2 -extfile extensions -out certificate.pem",
      dir);
  const std::string output = run_command(make);
  ASSERT_FALSE(output.starts_with("failed")) << output;
}

TEST_F(Etcd, TlsBothWaysAndWithoutItNoAnswer) {
  const std::string& dir = world_.dir();
  make_certificates(dir);
  EtcdCluster::Options options;
  options.client_scheme = "https";
  options.arguments = {"--cert-file=" + dir + "/certificate.pem", "--key-file=" + dir + "/key.pem",
                       "--trusted-ca-file=" + dir + "/ca.pem", "--client-cert-auth"};
  options.tool_arguments = fmt::format(
      "--cacert={0}/ca.pem --cert={0}/certificate.pem "
      "--key={0}/key.pem",
      dir);
  start(options);
  open(fmt::format("?caFile={0}/ca.pem&certFile={0}/certificate.pem&keyFile={0}/key.pem", dir));
  EXPECT_TRUE(put("a", "1"));
  auto changes = watch("a", Revision(1));
  EXPECT_EQ(wait(changes->next())->at(0).value, "1");
  drop(std::move(changes));
  open(fmt::format("?caFile={0}/ca.pem", dir), "", 1s);
  EXPECT_EQ(code(put("a", "2")), Code::unavailable);  // no certificate of ours
  open("", "", 1s);
  EXPECT_EQ(code(put("a", "3")), Code::unavailable);  // in the clear
  EXPECT_EQ(code(try_open(fmt::format("?caFile={}/none.pem", dir))), Code::not_found);
}

TEST_F(Etcd, UsersAndPasswordsAndTokensThatEnd) {
  EtcdCluster::Options options;
  options.members = 1;
  options.arguments = {"--auth-token-ttl=1"};  // seconds
  start(options);
  for (const char* command :
       {"user add root:rootword", "user grant-role root root", "user add broker:secret",
        "role add broker", "role grant-permission broker --prefix=true readwrite /t/",
        "user grant-role broker broker", "auth enable"})
    ASSERT_FALSE(cluster_->tool(command).starts_with("failed")) << command;
  open("?user=broker", "secret");
  const auto first = put("a", "1");
  ASSERT_TRUE(first) << first.error().to_string();
  auto changes = watch("", *first);
  std::this_thread::sleep_for(3s);  // the token is no longer good
  ASSERT_TRUE(put("a", "2"));
  EXPECT_EQ(wait(changes->next())->at(0).value, "2");
  drop(std::move(changes));
  std::this_thread::sleep_for(3s);
  changes = watch("", *first);  // its stream is the first to need a new one
  auto seen = wait(changes->next());
  ASSERT_TRUE(seen) << seen.error().to_string();
  EXPECT_EQ(seen->at(0).value, "2");
  drop(std::move(changes));

  open("?user=broker", "wrong");
  auto refused = put("a", "3");
  EXPECT_EQ(code(refused), Code::permission_denied);
  EXPECT_EQ(refused.error().message.find("wrong"), std::string::npos);
  open();
  EXPECT_EQ(code(put("a", "4")), Code::permission_denied);
  EXPECT_EQ(code(try_open("?user=broker")), Code::invalid_argument);
  std::ofstream(world_.dir() + "/password") << "secret\n";
  open(fmt::format("?user=broker&passwordFile={}/password", world_.dir()));
  EXPECT_TRUE(put("a", "5"));
}

TEST_F(Etcd, AStoreMayGoWhileACallAndAWatchAreUnderWay) {
  start();
  open();
  ASSERT_TRUE(put("a", "1"));
  auto changes = watch("a", Revision(1'000'000));
  for (size_t i = 0; i < cluster_->size(); ++i) cluster_->signal(i, SIGSTOP);
  std::atomic<int> ended = 0;
  auto call = [](Store& store, env::Shard& shard, std::atomic<int>* count) -> Task<void> {
    auto read = co_await store.get(shard, "a");
    EXPECT_FALSE(read);
    ++*count;
  };
  auto follow = [](Watch& watch, std::atomic<int>* count) -> Task<void> {
    auto seen = co_await watch.next();
    EXPECT_FALSE(seen);
    EXPECT_EQ(seen.error().code, Code::closed);
    ++*count;
  };
  env::Shard& shard = world_.shard(0);
  shard.post([&] {
    shard.spawn(call(*store_, shard, &ended));
    shard.spawn(follow(*changes, &ended));
  });
  std::this_thread::sleep_for(100ms);
  store_.reset();
  while (ended < 2) std::this_thread::sleep_for(1ms);
  drop(std::move(changes));
}

}  // namespace
}  // namespace paceline::meta
