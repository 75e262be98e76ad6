#include "judge/order.h"

#include <algorithm>
#include <map>
#include <queue>
#include <string>
#include <tuple>
#include <unordered_map>

namespace paceline::judge {
namespace {

using evidence::Event;
using Events = std::vector<const Event*>;

void add_chain(const Events& chain, const char* why, std::vector<Edge>& edges) {
  for (size_t i = 1; i < chain.size(); ++i) edges.push_back({chain[i - 1], chain[i], why});
}

void add_sources(const Dossier& dossier, std::vector<Edge>& edges) {
  std::map<std::string_view, Events> by_source;
  for (const Event& event : dossier.events) by_source[event.source].push_back(&event);
  for (auto& [source, events] : by_source) {
    std::ranges::stable_sort(events, {}, &Event::source_seq);
    add_chain(events, "one source says one thing after the other", edges);
  }
}

// Whoever asks tells so before whoever answers: the asking event is of the client's plane.
void add_requests(const Dossier& dossier, std::vector<Edge>& edges) {
  std::map<std::string_view, Events> by_request;
  for (const Event& event : dossier.events)
    if (!event.request_id.empty()) by_request[event.request_id].push_back(&event);
  for (const auto& [id, events] : by_request) {
    const auto asked = std::ranges::find(events, "client", &Event::plane);
    if (asked == events.end()) continue;
    for (const Event* event : events)
      if (event->plane != "client")
        edges.push_back({*asked, event, "a request is before its reply"});
  }
}

void add_causes(const Dossier& dossier, std::vector<Edge>& edges) {
  std::unordered_map<std::string_view, const Event*> by_id;
  for (const Event& event : dossier.events) by_id.try_emplace(event.event_id, &event);
  for (const Event& event : dossier.events) {
    if (event.cause_id.empty()) continue;
    const auto cause = by_id.find(event.cause_id);
    if (cause != by_id.end() && cause->second != &event)
      edges.push_back({cause->second, &event, "a cause is before its effect"});
  }
}

void add_faults(const Dossier& dossier, std::vector<Edge>& edges) {
  for (const StepView& step : dossier.steps) {
    Events chain;
    for (const Event* event : {step.commanded, step.effective, step.heal_commanded, step.healed})
      if (event) chain.push_back(event);
    add_chain(chain, "a fault is commanded, then effective, then healed", edges);
  }
}

// Who takes over serves nothing of a lane that he has not sealed.
void add_seals(const Dossier& dossier, std::vector<Edge>& edges) {
  std::map<std::pair<std::string_view, std::string_view>, const Event*> sealed;
  for (const Event* event : dossier.all("lane.sealed"))
    sealed.try_emplace({event->source, event->lane}, event);
  for (const Event* event : dossier.all("partition.serving"))
    if (const auto seal = sealed.find({event->source, event->cause_id}); seal != sealed.end())
      edges.push_back({seal->second, event, "an epoch is sealed before the next one is served"});
}

void add_offsets(const Dossier& dossier, std::vector<Edge>& edges) {
  for (const auto& [partition, events] : dossier.of_partition) {
    std::map<std::string_view, Events> by_type;
    for (const Event* event : events)
      if (event->offset) by_type[event->type].push_back(event);
    for (auto& [type, list] : by_type) {
      std::ranges::stable_sort(list, {}, &Event::offset);
      for (size_t i = 1; i < list.size(); ++i)
        if (*list[i - 1]->offset < *list[i]->offset)
          edges.push_back({list[i - 1], list[i], "a lower offset is before a higher one"});
    }
  }
}

}  // namespace

std::vector<Edge> causal_edges(const Dossier& dossier) {
  std::vector<Edge> edges;
  add_sources(dossier, edges);
  add_requests(dossier, edges);
  add_causes(dossier, edges);
  add_faults(dossier, edges);
  add_seals(dossier, edges);
  add_offsets(dossier, edges);
  return edges;
}

Relation by_clock(const Event& a, const Event& b) {
  // In doubles: an error bound is anything that a file says.
  const double apart = static_cast<double>(b.t_mono_ns) - static_cast<double>(a.t_mono_ns);
  const double bound = static_cast<double>(a.clock_err_ns.value_or(0)) +
                       static_cast<double>(b.clock_err_ns.value_or(0));
  if (apart > bound) return Relation::before;
  if (apart < -bound) return Relation::after;
  return Relation::concurrent;
}

std::vector<const Event*> in_order(const Dossier& dossier, const std::vector<Edge>& edges) {
  std::unordered_map<const Event*, size_t> waits_for;
  std::unordered_map<const Event*, Events> effects;
  for (const Edge& edge : edges) {
    ++waits_for[edge.effect];
    effects[edge.cause].push_back(edge.effect);
  }
  const auto later = [](const Event* a, const Event* b) {
    return std::tie(a->t_mono_ns, a->source, a->source_seq) >
           std::tie(b->t_mono_ns, b->source, b->source_seq);
  };
  std::priority_queue<const Event*, Events, decltype(later)> ready(later);
  for (const Event& event : dossier.events)
    if (waits_for[&event] == 0) ready.push(&event);
  Events ordered;
  while (!ready.empty()) {
    const Event* event = ready.top();
    ready.pop();
    ordered.push_back(event);
    for (const Event* effect : effects[event])
      if (--waits_for[effect] == 0) ready.push(effect);
  }
  // Causes in a circle tell nothing: such events stand at the end, by the clocks.
  Events rest;
  for (const Event& event : dossier.events)
    if (waits_for[&event] != 0) rest.push_back(&event);
  std::ranges::stable_sort(rest, [&](const Event* a, const Event* b) { return later(b, a); });
  ordered.insert(ordered.end(), rest.begin(), rest.end());
  return ordered;
}

}  // namespace paceline::judge
