#include <benchmark/benchmark.h>

#include "record/records.h"
#include "record/validate.h"

namespace paceline::record {
namespace {

// Arguments: the batch's bytes before compression, the codec. Records of 1 KiB, half noise so that
// the codecs have work.
void validate(benchmark::State& state) {
  constexpr size_t kRecordBytes = 1024;
  std::string value(kRecordBytes, 'x');
  uint64_t seed = 1;
  BatchBuilder builder;
  builder.codec(static_cast<Codec>(state.range(1))).timestamp(1000);
  while (builder.bytes() + kRecordBytes < static_cast<size_t>(state.range(0))) {
    for (size_t i = 0; i < kRecordBytes / 2; ++i) {
      seed = seed * 6364136223846793005ull + 1442695040888963407ull;
      value[i] = static_cast<char>(seed >> 56);
    }
    builder.add("key", value);
  }
  const std::string batch = *builder.build();
  ValidateOptions options;
  options.max_message_bytes = 1 << 30;
  for (auto _ : state) {
    auto facts = validate_produced(as_bytes(batch), options);
    if (!facts) state.SkipWithError("refused");
    benchmark::DoNotOptimize(facts);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(builder.bytes()));
}
BENCHMARK(validate)
    ->ArgsProduct({{64 << 10, 1 << 20}, {0, 1, 2, 3, 4}})
    ->ArgNames({"bytes", "codec"});

}  // namespace
}  // namespace paceline::record
