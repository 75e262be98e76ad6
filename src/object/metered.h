#pragma once

#include <atomic>

#include "object/object.h"

// One purpose's view of a store, for metrics: what was asked, and how many bytes of bodies went.

namespace paceline::object {

// Written on every shard that asks, read from any. A request counts when it is made, whatever
// becomes of it; bytes count when they have arrived.
struct Traffic {
  std::atomic<uint64_t> puts = 0;
  std::atomic<uint64_t> gets = 0;
  std::atomic<uint64_t> heads = 0;
  std::atomic<uint64_t> removes = 0;  // keys
  std::atomic<uint64_t> lists = 0;
  std::atomic<uint64_t> failures = 0;
  std::atomic<uint64_t> bytes_put = 0;
  std::atomic<uint64_t> bytes_got = 0;
};

// Everything is passed on to `store`; both that and `traffic` outlive the view.
std::unique_ptr<Store> make_metered(Store& store, Traffic& traffic);

}  // namespace paceline::object
