#include "takeover/explorer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "takeover/visited.h"

namespace paceline::takeover {
namespace {

constexpr uint32_t kNobody = UINT32_MAX;

class Explorer {
 public:
  Explorer(const Model& model, ExploreBounds bounds) : model_(model), bounds_(bounds) {}

  Exploration run() {
    visit_all();
    if (report_.complete && bounds_.progress) judge_progress();
    report_.states = visited_.size();
    report_.bytes = bytes();
    return std::move(report_);
  }

 private:
  // How a state was reached first: by which step of which state.
  struct Origin {
    uint32_t from;
    uint16_t step;
  };
  struct Edge {
    uint32_t from;
    uint32_t to;
  };

  void visit_all() {
    reach(model_.first(), kNobody, 0);
    uint32_t level_end = visited_.size();
    for (uint32_t next = 0; next < visited_.size() && !report_.counter_example; ++next) {
      if (next == level_end) {
        level_end = visited_.size();
        ++report_.depth;
        if (report_.depth >= bounds_.depth_max) return cut(fmt::format("depth {}", report_.depth));
      }
      visit(next);
      if (visited_.size() >= bounds_.states_max)
        return cut(fmt::format("{} states", bounds_.states_max));
      if (bytes() >= bounds_.bytes_max) return cut(fmt::format("{} bytes", bounds_.bytes_max));
    }
    report_.complete = !report_.counter_example;
  }

  void cut(std::string why) {
    if (!report_.counter_example) report_.cut_by = std::move(why);
  }

  void visit(uint32_t number) {
    // Chunks do not move, so the bytes stay where they are while states are added.
    const std::string_view state = visited_.at(number);
    uint32_t step = 0;
    model_.expand(state, false, [&](std::string_view next, StepKind kind, std::string) {
      CHECK(step <= UINT16_MAX);
      ++report_.steps;
      if (report_.counter_example) return;
      const uint32_t to = reach(next, number, static_cast<uint16_t>(step++));
      if (bounds_.progress && kind == StepKind::progress) edges_.push_back({number, to});
    });
  }

  uint32_t reach(std::string_view state, uint32_t from, uint16_t step) {
    const auto [number, is_new] = visited_.insert(state);
    if (!is_new) return number;
    origins_.push_back({from, step});
    if (auto what = model_.wrong(state))
      report_.counter_example = CounterExample{std::move(*what), way_to(number)};
    return number;
  }

  // Backwards from the settled states; whoever is not met cannot get there any more.
  void judge_progress() {
    const uint32_t count = visited_.size();
    std::vector<uint64_t> starts(count + 1, 0);
    for (const Edge& edge : edges_) ++starts[edge.to + 1];
    for (uint32_t i = 0; i < count; ++i) starts[i + 1] += starts[i];
    std::vector<uint32_t> sources(edges_.size());
    std::vector<uint64_t> next(starts.begin(), starts.end() - 1);
    for (const Edge& edge : edges_) sources[next[edge.to]++] = edge.from;

    std::vector<bool> able(count, false);
    std::vector<uint32_t> pending;
    for (uint32_t number = 0; number < count; ++number) {
      if (!model_.settled(visited_.at(number))) continue;
      able[number] = true;
      pending.push_back(number);
    }
    while (!pending.empty()) {
      const uint32_t to = pending.back();
      pending.pop_back();
      for (uint64_t i = starts[to]; i < starts[to + 1]; ++i) {
        if (able[sources[i]]) continue;
        able[sources[i]] = true;
        pending.push_back(sources[i]);
      }
    }
    const auto stuck = std::ranges::find(able, false);
    if (stuck == able.end()) return;
    const auto number = static_cast<uint32_t>(stuck - able.begin());
    report_.complete = false;
    report_.counter_example =
        CounterExample{"stuck: without more faults it never settles", way_to(number)};
  }

  std::vector<std::string> way_to(uint32_t number) const {
    std::vector<std::string> words;
    while (origins_[number].from != kNobody) {
      const Origin origin = origins_[number];
      uint32_t step = 0;
      auto take = [&](std::string_view, StepKind, std::string told) {
        if (step++ == origin.step) words.push_back(std::move(told));
      };
      model_.expand(visited_.at(origin.from), true, take);
      number = origin.from;
    }
    std::ranges::reverse(words);
    return words;
  }

  uint64_t bytes() const {
    return visited_.bytes() + origins_.capacity() * sizeof(Origin) +
           edges_.capacity() * sizeof(Edge);
  }

  const Model& model_;
  const ExploreBounds bounds_;
  Visited visited_;
  std::vector<Origin> origins_;
  std::vector<Edge> edges_;
  Exploration report_;
};

}  // namespace

std::string Exploration::to_string() const {
  std::string end = "complete";
  if (counter_example)
    end = fmt::format("WRONG after {} steps: {}", counter_example->steps.size(),
                      counter_example->what);
  else if (!complete)
    end = fmt::format("cut off at {}", cut_by);
  return fmt::format("{} states, {} steps between them, depth {}, {} MiB: {}", states, steps, depth,
                     bytes >> 20, end);
}

Exploration explore(const Model& model, ExploreBounds bounds) {
  return Explorer(model, bounds).run();
}

}  // namespace paceline::takeover
