#include "wal/append_call.h"

#include <algorithm>

#include "wal/format.h"

namespace paceline::wal {

uint64_t Call::bytes() const {
  uint64_t sum = 0;
  for (const Entry& entry : entries) sum += kEntryHeaderBytes + entry.payload.size();
  return sum;
}

bool CallBox::push(std::shared_ptr<Call> call) {
  Call* top = call.get();
  top->self = std::move(call);
  top->before = top_.load(std::memory_order_relaxed);
  while (!top_.compare_exchange_weak(top->before, top, std::memory_order_acq_rel)) {
  }
  return !top->before;
}

Calls CallBox::take_all() {
  Calls arrived;
  for (Call* call = top_.exchange(nullptr, std::memory_order_acq_rel); call;) {
    Call* before = call->before;
    arrived.push_back(std::move(call->self));
    call = before;
  }
  std::ranges::reverse(arrived);
  return arrived;
}

void complete(Calls calls) {
  while (!calls.empty()) {
    env::Shard* home = calls.front()->home;
    Calls same;
    Calls others;
    for (auto& call : calls) (call->home == home ? same : others).push_back(std::move(call));
    home->post([same = std::move(same)] {
      for (const auto& call : same) call->caller.resume();
    });
    calls = std::move(others);
  }
}

void refuse(std::shared_ptr<Call> call, Error error) {
  call->result.emplace(fail(std::move(error)));
  Calls refused;
  refused.push_back(std::move(call));
  complete(std::move(refused));
}

}  // namespace paceline::wal
