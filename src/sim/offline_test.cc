#include "sim/faulty_objects.h"
#include "sim/wire_world_test.h"

namespace paceline::sim {
namespace {

using namespace std::chrono_literals;

class Offline : public WireTest {};
PACELINE_ON_ONE_AND_TWO_SHARDS(Offline);

// A failing store degrades, it does not halt: neither the start nor a partition's opening gives up.
TEST_P(Offline, ABrokerThatStartsWithoutItsStoreServesOnceTheStoreAnswers) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    ObjectFaults faults;
    options().wrap_objects = [&faults, seed](std::unique_ptr<object::Store> real) {
      return make_faulty_objects(std::move(real), faults, seed);
    };
    restart(End::stop);
    const std::string topic = fmt::format("t{}", seed);
    create_topic(topic, 3);
    for (int32_t partition = 0; partition < 3; ++partition)
      EXPECT_EQ(name(produce(topic, partition, batch({"x"})).error_code), "NONE");
    client_.reset();
    broker_.begin_stop();  // uploads everything
    ASSERT_TRUE(world_.run_until([&] { return !broker_.running(); }, 20s));
    faults.cut = 0.5;
    broker_.start();
    world_.run_for(2s);
    faults.cut = 0;
    world_.run_for(6s);
    ASSERT_TRUE(broker_.serving());
    for (int32_t partition = 0; partition < 3; ++partition) {
      EXPECT_EQ(values_from(topic, partition), std::vector<std::string>{"x"});
      EXPECT_EQ(name(produce(topic, partition, batch({"y"})).error_code), "NONE");
    }
  }
}

}  // namespace
}  // namespace paceline::sim
