#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "env/random.h"
#include "stream/block_codec.h"

// What packing blocks of a mebibyte costs a blocking thread, and saves: JSON-like records, the same
// packed by their producers (noise), and noise with a tenth of text.

namespace paceline::stream {
namespace {

constexpr size_t kBlockBytes = 1 << 20;

std::string json() {
  std::string text;
  for (uint64_t i = 0; text.size() < kBlockBytes; ++i)
    text += fmt::format(R"({{"user":{},"item":"{:x}","price":{}.{:02},"at":{}}})",
                        i * 7919 % 10'007, i * 2654435761u, i % 500, i % 97, 1'700'000'000 + i);
  return text;
}
std::string noise(size_t bytes) {
  env::Random random(7);
  std::string text;
  while (text.size() < bytes) text += static_cast<char>(random.below(256));
  return text;
}
std::string body(int64_t kind) {
  if (kind == 0) return json();
  if (kind == 1) return noise(kBlockBytes);
  return noise(kBlockBytes / 10 * 9) + json().substr(0, kBlockBytes / 10);
}

void pack(benchmark::State& state) {
  const std::string text = body(state.range(0));
  const std::vector<Bytes> pieces{as_bytes(text)};
  size_t size = text.size();
  for (auto _ : state) {
    auto packed = pack_block(pieces);
    if (packed) size = packed->size();
    benchmark::DoNotOptimize(packed);
  }
  state.SetLabel(fmt::format("{:.2f} of the bytes", double(size) / double(text.size())));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}
BENCHMARK(pack)->Arg(0)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond);

void open(benchmark::State& state) {
  const std::string text = json();
  const std::vector<Bytes> pieces{as_bytes(text)};
  const Slice packed = *pack_block(pieces);
  for (auto _ : state) {
    auto opened = open_block(packed.bytes(), static_cast<uint32_t>(text.size()));
    benchmark::DoNotOptimize(opened);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}
BENCHMARK(open)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace paceline::stream
