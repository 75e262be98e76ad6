#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "record/recompress.h"
#include "record/records.h"

// What packing a batch of JSON-like records costs, by codec and bytes of the records: how long a
// shard stands still, or a blocking thread is taken.

namespace paceline::record {
namespace {

std::string batch_of(size_t bytes) {
  BatchBuilder builder;
  builder.timestamp(1'700'000'000'000);
  for (size_t i = 0; builder.bytes() < bytes; ++i)
    builder.add(std::to_string(i * 2654435761u % 100'000),
                fmt::format(R"({{"user":{},"item":"{:x}","price":{}.{:02}}})", i * 7919 % 10'007,
                            i * 2654435761u, i % 500, i % 97));
  return *builder.build();
}

void pack(benchmark::State& state) {
  const std::string batch = batch_of(static_cast<size_t>(state.range(1)));
  const BatchView view = *BatchView::parse(as_bytes(batch));
  const RecompressOptions options{.codec = static_cast<Codec>(state.range(0)),
                                  .bytes_max = size_t{16} << 20};
  size_t size = 0;
  for (auto _ : state) {
    auto packed = recompress(view, options);
    size = packed->size();
    benchmark::DoNotOptimize(packed);
  }
  state.SetLabel(fmt::format("{} to {} bytes", codec_name(options.codec), size));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(batch.size()));
}
BENCHMARK(pack)
    ->ArgsProduct({{0, 1, 2, 3, 4}, {200, 4 << 10, 16 << 10, 1 << 20}})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace paceline::record
