#include "base/check.h"
#include "drill/plan.h"

// A plan, or at least one sentence of what is wrong with it.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace paceline::drill;
  const auto plan = parse_plan({reinterpret_cast<const char*>(bytes), size});
  if (plan) {
    CHECK(!plan->steps.empty() && plan->observe_s >= 1 && plan->load.partitions > 0);
  } else {
    CHECK(!plan.error().empty());
    for (const auto& sentence : plan.error()) CHECK(!sentence.empty());
  }
  return 0;
}
