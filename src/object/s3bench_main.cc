#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "env/real_env.h"
#include "object/s3.h"

// What a store gives to plain requests through our own client: the floor that everything built on
// it is measured against. paceline-s3bench URL BYTES IN_FLIGHT COUNT; credentials as the URL and
// the environment say. Prints one line of JSON for the puts and one for the reads.

using namespace paceline;
using namespace paceline::object;

namespace {

struct Load {
  std::unique_ptr<S3Store> store;
  uint64_t bytes = 0;
  size_t in_flight = 0;
  size_t count = 0;
  std::string run;
  size_t next = 0;
  size_t running = 0;
  std::vector<env::Duration> latencies;
  std::string failed;
};

Task<void> worker(env::Shard& shard, Load& load, bool put, Slice body) {
  while (load.next < load.count && load.failed.empty()) {
    const std::string key = fmt::format("{}/{}", load.run, load.next++);
    const env::Instant start = shard.now();
    if (put) {
      auto done = co_await load.store->put_if_absent(shard, key, {body});
      if (!done) load.failed = done.error().message;
    } else {
      auto got = co_await load.store->get(shard, key, 0, load.bytes);
      if (!got) load.failed = got.error().message;
    }
    load.latencies.push_back(shard.now() - start);
  }
  --load.running;
}

Task<void> phase(env::Shard& shard, Load& load, bool put, Slice body) {
  load.next = 0;
  load.latencies.clear();
  const env::Instant start = shard.now();
  load.running = load.in_flight;
  for (size_t i = 0; i < load.in_flight; ++i) shard.spawn(worker(shard, load, put, body));
  while (load.running > 0) co_await env::sleep_for(shard, std::chrono::milliseconds(1));
  const double seconds = std::chrono::duration<double>(shard.now() - start).count();
  std::ranges::sort(load.latencies);
  auto at = [&load](double share) {
    const size_t index =
        static_cast<size_t>(share * static_cast<double>(load.latencies.size() - 1));
    return std::chrono::duration<double, std::milli>(load.latencies[index]).count();
  };
  const double per_second = static_cast<double>(load.count) / seconds;
  fmt::print(
      "{{\"op\":\"{}\",\"bytes\":{},\"in_flight\":{},\"count\":{},\"per_second\":{:.1f},"
      "\"mib_per_second\":{:.1f},\"p50_ms\":{:.2f},\"p99_ms\":{:.2f},\"max_ms\":{:.2f}}}\n",
      put ? "put" : "get", load.bytes, load.in_flight, load.count, per_second,
      per_second * static_cast<double>(load.bytes) / (1 << 20), at(0.5), at(0.99), at(1));
}

Task<void> bench(env::RealEnv& world, S3Options options, Load& load) {
  env::Shard& shard = world.shard(0);
  auto opened = co_await open_s3_store(shard, std::move(options));
  if (opened) {
    load.store = std::move(*opened);
    load.run = fmt::format("bench/{:016x}", shard.random());
    Buffer buffer = Buffer::allocate(load.bytes);
    for (size_t i = 0; i < buffer.size(); ++i) buffer.data()[i] = static_cast<std::byte>(i * 7);
    co_await phase(shard, load, true, Slice(buffer));
    if (load.failed.empty()) co_await phase(shard, load, false, Slice());
    std::vector<std::string> keys;
    for (size_t i = 0; i < load.count; ++i) keys.push_back(fmt::format("{}/{}", load.run, i));
    auto removed = co_await load.store->remove(shard, std::move(keys));
    if (load.failed.empty() && !removed) load.failed = removed.error().message;
  } else {
    load.failed = opened.error().message;
  }
  load.store.reset();
  co_await env::sleep_for(shard, std::chrono::milliseconds(10));
  world.stop();
}

template <class T>
bool read_number(const char* text, T& into) {
  const std::string_view view(text);
  const auto [stop, error] = std::from_chars(view.data(), view.data() + view.size(), into);
  return error == std::errc{} && stop == view.data() + view.size();
}

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view pair(*entry);
    const size_t equals = pair.find('=');
    if (equals != pair.npos) environment.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return environment;
}

}  // namespace

int main(int argc, char** argv) {
  Load load;
  if (argc != 5 || !read_number(argv[2], load.bytes) || !read_number(argv[3], load.in_flight) ||
      !read_number(argv[4], load.count) || load.bytes == 0 || load.count == 0) {
    fmt::print(stderr, "usage: paceline-s3bench URL BYTES IN_FLIGHT COUNT\n");
    return 2;
  }
  S3Options options;
  options.environment = process_environment();
  auto location = parse_s3_url(argv[1], options.environment);
  if (!location) {
    fmt::print(stderr, "{}\n", location.error().message);
    return 2;
  }
  options.location = std::move(*location);
  env::RealEnv world({.shards = 1});
  world.shard(0).spawn(bench(world, std::move(options), load));
  world.run();
  if (load.failed.empty()) return 0;
  fmt::print(stderr, "{}\n", load.failed);
  return 1;
}
