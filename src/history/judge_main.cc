#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "history/checker.h"
#include "history/ndjson.h"

// paceline-judge FILE...: the verdict on one history, which may lie in several files.

namespace paceline::history {
namespace {

enum Exit { good = 0, usage = 2, anomalies = 4, not_judged = 7 };

Result<void> read_file(const char* path, Reader& reader) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path, "rb"), std::fclose);
  if (!file) return fail(Code::io_error, "it cannot be opened");
  reader.begin();
  std::string pending;  // a line that has no end yet
  std::string piece(1 << 20, '\0');
  while (const size_t got = std::fread(piece.data(), 1, piece.size(), file.get())) {
    pending.append(piece, 0, got);
    size_t from = 0;
    for (size_t end; (end = pending.find('\n', from)) != std::string::npos; from = end + 1)
      TRY_VOID(reader.line(std::string_view(pending).substr(from, end - from)));
    pending.erase(0, from);
  }
  if (std::ferror(file.get())) return fail(Code::io_error, "it cannot be read");
  // The writer may have died in the middle of a line; but what it was about to say is not known.
  if (!pending.empty()) return fail(Code::corrupt, "its last line has no end");
  return {};
}

void print_counts(const Counts& counts) {
  fmt::print(
      "judged {} keys: {} sends acknowledged, {} failed, {} unknown; {} records acknowledged; {} "
      "polls of {} records, {} of them final with {} records; {} commits acknowledged, {} times "
      "asked for\n",
      counts.keys, counts.sends[0], counts.sends[1], counts.sends[2], counts.records_acked,
      counts.polls, counts.records_polled, counts.final_polls, counts.final_records,
      counts.commits_acked, counts.committed_reads);
}

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    fmt::print(stderr, "usage: paceline-judge FILE...\n");
    return Exit::usage;
  }
  History history;
  Reader reader(history);
  for (int i = 1; i < argc; ++i) {
    if (auto read = read_file(argv[i], reader); !read) {
      fmt::print(stderr, "not judged: {}: {}\n", argv[i], read.error().message);
      return Exit::not_judged;
    }
  }
  if (auto able = judgeable(history); !able) {
    fmt::print(stderr, "not judged: {}\n", able.error().message);
    return Exit::not_judged;
  }
  const std::vector<Anomaly> found = check(history);
  for (const Anomaly& anomaly : found) {
    fmt::print("{} in key {}: {}\n", anomaly.name, anomaly.key, anomaly.what);
    for (const std::string& line : story_of(anomaly, history)) fmt::print("    {}\n", line);
  }
  print_counts(count(history));
  fmt::print("{}\n", found.empty() ? "good: no anomaly" : "BAD");
  return found.empty() ? Exit::good : Exit::anomalies;
}

}  // namespace
}  // namespace paceline::history

int main(int argc, char** argv) {
  return paceline::history::main(argc, argv);
}
