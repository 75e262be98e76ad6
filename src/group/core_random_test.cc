#include "env/random.h"
#include "group/core_player_test.h"

namespace paceline::group {
namespace {

struct Client {
  std::string member;
  std::string instance;  // "" = dynamic
  int32_t generation = -1;
  std::optional<RequestId> join, sync;
  bool leader = false;
};

// Clients that come, rejoin, lose answers, fall silent and leave, over a log that sometimes fails.
class Model {
 public:
  Model(uint64_t seed, bool with_static) : random_(seed) {
    for (size_t i = 0; i < 6; ++i) {
      Client client;
      if (with_static && i % 2) client.instance = "i" + std::to_string(i);
      clients_.push_back(client);
    }
    single_leader_ = !with_static;
  }

  void run() {
    for (int i = 0; i < 1'500; ++i) {
      step(clients_[random_.below(clients_.size())]);
      if (random_.chance(0.4))
        player_.write_all(random_.chance(0.1) ? KafkaError::not_coordinator : KafkaError::none);
      if (random_.chance(0.5)) player_.pass(static_cast<int64_t>(random_.below(6'000)));
      collect();
      if (testing::Test::HasFailure()) return;
    }
    nobody_waits_for_ever();
  }

 private:
  void step(Client& client) {
    const uint64_t dice = random_.below(10);
    if (dice < 4) {
      if (client.join || client.sync) return;
      JoinRequest request = Player::request(client.member);
      if (!client.instance.empty()) request.instance = client.instance;
      request.require_known_member = true;
      request.supports_skip_assignment = true;
      if (random_.chance(0.3)) request.protocols.insert(request.protocols.begin(), {"sticky", "s"});
      if (random_.chance(0.2)) request.protocols[0].metadata = std::to_string(random_.below(3));
      client.join = player_.join(std::move(request));
    } else if (dice < 7) {
      if (client.generation < 0 || client.join || client.sync) return;
      std::vector<std::pair<std::string, std::string>> assignments;
      if (client.leader)
        for (const auto& [id, member] : player_.core.members())
          assignments.emplace_back(id, std::to_string(client.generation));
      client.sync = player_.sync(client.member, assignments, client.generation);
    } else if (dice < 9) {
      if (client.generation < 0) return;
      const KafkaError error = player_.heartbeat(client.member, client.generation);
      if (error == KafkaError::unknown_member_id) forget(client);
    } else if (random_.chance(0.3)) {
      if (!client.member.empty() && random_.chance(0.5)) player_.leave(client.member);
      forget(client);  // or it crashed
    }
  }
  static void forget(Client& client) {
    const std::string instance = client.instance;
    client = Client{};
    client.instance = instance;
  }

  void collect() {
    for (Client& client : clients_) {
      if (client.join && !player_.waits(*client.join))
        on_join(client, player_.joined.at(*client.join));
      if (client.sync && !player_.waits(*client.sync))
        on_sync(client, player_.synced.at(*client.sync));
    }
  }
  void on_join(Client& client, const JoinResponse& answer) {
    client.join.reset();
    if (answer.error == KafkaError::member_id_required) {
      client.member = answer.member;
    } else if (answer.error != KafkaError::none) {
      forget(client);
    } else {
      client.member = answer.member;
      client.generation = answer.generation;
      client.leader = answer.leader == answer.member;
      EXPECT_GE(answer.generation, generation_) << "a generation goes back";
      generation_ = answer.generation;
      auto [known, first] = protocols_.emplace(answer.generation, *answer.protocol);
      EXPECT_EQ(known->second, *answer.protocol) << "two protocols in one generation";
      auto [leader, is_first] = leaders_.emplace(answer.generation, answer.leader);
      if (single_leader_)
        EXPECT_EQ(leader->second, answer.leader) << "two leaders in one generation";
      EXPECT_EQ(client.leader, !answer.members.empty());
    }
  }
  void on_sync(Client& client, const SyncResponse& answer) {
    client.sync.reset();
    if (answer.error == KafkaError::none) {
      ++stable_;
      const std::string expected = std::to_string(client.generation);
      EXPECT_TRUE(answer.assignment == expected || answer.assignment.empty() || !single_leader_)
          << "an assignment of another generation";
    } else if (answer.error != KafkaError::rebalance_in_progress) {
      forget(client);
    }
    if (answer.error == KafkaError::rebalance_in_progress) client.generation = -1;
  }
  void nobody_waits_for_ever() {
    player_.write_all();
    for (int i = 0; i < 20; ++i) {
      player_.pass(100'000);
      player_.write_all();
    }
    for (RequestId id = 1; id <= player_.last_id; ++id) EXPECT_FALSE(player_.waits(id)) << id;
    EXPECT_TRUE(player_.core.members().empty());
    EXPECT_TRUE(player_.core.unused());
    EXPECT_FALSE(player_.core.next_wake_ms());
    EXPECT_GT(generation_, 3);
    EXPECT_GT(stable_, 3) << "the model hardly ever reached a stable group";
  }

  env::Random random_;
  Player player_;
  std::vector<Client> clients_;
  bool single_leader_;
  int32_t generation_ = 0;
  int stable_ = 0;
  std::map<int32_t, std::string> protocols_;
  std::map<int32_t, std::string> leaders_;
};

TEST(RandomGroup, DynamicMembersAgreeAndNobodyWaitsForEver) {
  for (uint64_t seed = 1; seed <= 100 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Model(seed, false).run();
  }
}

TEST(RandomGroup, StaticMembersAgreeAndNobodyWaitsForEver) {
  for (uint64_t seed = 1; seed <= 100 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Model(seed, true).run();
  }
}

}  // namespace
}  // namespace paceline::group
