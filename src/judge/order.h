#pragma once

#include <vector>

#include "judge/dossier.h"
#include "judge/model.h"

namespace paceline::judge {

// `cause` cannot have come after `effect`, whatever the clocks say.
struct Edge {
  const evidence::Event* cause = nullptr;
  const evidence::Event* effect = nullptr;
  const char* why = "";
};
// The same source by its numbers; what was asked before its answers; a fault's command, effect and
// end; a seal before what is served behind it; a cause before its effects; lower offsets before
// higher ones.
std::vector<Edge> causal_edges(const Dossier& dossier);

enum class Relation { before, concurrent, after };
// By the clocks alone: only beyond both error bounds.
Relation by_clock(const evidence::Event& a, const evidence::Event& b);

// All events so that no effect stands before its cause; where causes do not tell, by the clocks.
// The clocks' order of what they cannot tell apart is kept stable, and means nothing.
std::vector<const evidence::Event*> in_order(const Dossier& dossier,
                                             const std::vector<Edge>& edges);

}  // namespace paceline::judge
