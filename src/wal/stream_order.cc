#include "wal/stream_order.h"

#include <fmt/format.h>

namespace paceline::wal {

Result<void> StreamOrder::accept(std::span<const Entry> entries) {
  for (size_t i = 0; i < entries.size(); ++i) {
    const EntryHeader& header = entries[i].header;
    if (header.kind != EntryKind::batch) continue;
    auto [found, is_new] = rows_.try_emplace(header.stream, Row{header.epoch, header.base});
    Row& row = found->second;
    if (header.epoch > row.epoch) row = {header.epoch, header.base};
    if (header.epoch < row.epoch || header.base != row.next) {
      std::string message = fmt::format(
          "stream {}: a batch of epoch {} at offset {} does not follow epoch {}, offset {}",
          header.stream.to_string(), header.epoch.value, header.base.value, row.epoch.value,
          row.next.value);
      undo(entries.first(i));
      return fail(Code::conflict, std::move(message));
    }
    row.next += header.count;
  }
  return {};
}

// The row of a stream whose first batch is taken back stays, so that those behind it are refused.
void StreamOrder::undo(std::span<const Entry> entries) {
  for (size_t i = entries.size(); i-- > 0;) {
    const EntryHeader& header = entries[i].header;
    if (header.kind != EntryKind::batch) continue;
    const auto found = rows_.find(header.stream);
    if (found != rows_.end() && found->second.epoch == header.epoch)
      found->second.next = header.base;
  }
}

}  // namespace paceline::wal
