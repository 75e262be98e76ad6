#include "takeover/explorer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "takeover/visited.h"

namespace paceline::takeover {
namespace {

// Two jugs of 3 and 5: fill, empty, pour. Wrong when the bigger one holds `bad`; settled when both
// are empty. `drain` is whether emptying counts as progress.
class Jugs : public Model {
 public:
  explicit Jugs(int bad, bool drain = true) : bad_(bad), drain_(drain) {}

  std::string first() const override { return state(0, 0); }

  void expand(std::string_view now, bool with_words, const Emit& emit) const override {
    const int a = now[0] - '0', b = now[1] - '0';
    auto say = [&](int x, int y, StepKind kind, const char* words) {
      emit(state(x, y), kind, with_words ? words : "");
    };
    const int pour = std::min(a, 5 - b), back = std::min(b, 3 - a);
    const StepKind drain = drain_ ? StepKind::progress : StepKind::disturbance;
    say(3, b, StepKind::disturbance, "fill 3");
    say(a, 5, StepKind::disturbance, "fill 5");
    say(0, b, drain, "empty 3");
    say(a, 0, drain, "empty 5");
    say(a - pour, b + pour, StepKind::progress, "3 to 5");
    say(a + back, b - back, StepKind::progress, "5 to 3");
  }
  std::optional<std::string> wrong(std::string_view now) const override {
    if (now[1] - '0' != bad_) return std::nullopt;
    return fmt::format("{} in the bigger one", bad_);
  }
  bool settled(std::string_view now) const override { return now == "00"; }

 private:
  static std::string state(int a, int b) { return fmt::format("{}{}", a, b); }

  int bad_;
  bool drain_;
};

TEST(Explorer, FindsTheShortestWayToWhatIsWrong) {
  const Exploration found = explore(Jugs(4), {});
  ASSERT_TRUE(found.counter_example);
  EXPECT_EQ(found.counter_example->what, "4 in the bigger one");
  EXPECT_EQ(found.counter_example->steps, (std::vector<std::string>{"fill 5", "5 to 3", "empty 3",
                                                                    "5 to 3", "fill 5", "5 to 3"}));
  EXPECT_FALSE(found.complete);
}

TEST(Explorer, VisitsEverythingOnceWhenNothingIsWrong) {
  const Exploration found = explore(Jugs(9), {});
  EXPECT_FALSE(found.counter_example) << found.to_string();
  EXPECT_TRUE(found.complete);
  EXPECT_EQ(found.states, 16u);
  EXPECT_EQ(found.steps, 96u);
}

TEST(Explorer, TellsTheSameTwice) {
  EXPECT_EQ(explore(Jugs(9), {}).to_string(), explore(Jugs(9), {}).to_string());
}

TEST(Explorer, AStateFromWhichNothingSettlesIsWrong) {
  const Exploration found = explore(Jugs(9, false), {});
  ASSERT_TRUE(found.counter_example);
  EXPECT_EQ(found.counter_example->steps, (std::vector<std::string>{"fill 3"}));
}

TEST(Explorer, SaysThatABoundCutItOff) {
  const Exploration by_states = explore(Jugs(9), {.states_max = 5});
  EXPECT_FALSE(by_states.complete);
  EXPECT_EQ(by_states.cut_by, "5 states");
  const Exploration by_depth = explore(Jugs(9), {.depth_max = 2});
  EXPECT_FALSE(by_depth.complete);
  EXPECT_EQ(by_depth.cut_by, "depth 2");
  EXPECT_FALSE(by_depth.counter_example);
  const Exploration by_bytes = explore(Jugs(9), {.bytes_max = 1});
  EXPECT_EQ(by_bytes.cut_by, "1 bytes");
}

TEST(Visited, TellsEqualFromDifferentAcrossManyStates) {
  Visited visited;
  const std::string padding(40, 'x');
  for (uint32_t i = 0; i < 50'000; ++i)
    EXPECT_EQ(visited.insert(padding + std::to_string(i)), std::pair(i, true));
  for (uint32_t i = 0; i < 50'000; i += 7) {
    EXPECT_EQ(visited.insert(padding + std::to_string(i)), std::pair(i, false));
    EXPECT_EQ(visited.at(i), padding + std::to_string(i));
  }
  EXPECT_EQ(visited.size(), 50'000u);
}

}  // namespace
}  // namespace paceline::takeover
