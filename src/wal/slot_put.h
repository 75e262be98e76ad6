#pragma once

#include <string>
#include <vector>

#include "wal/slot_store.h"

namespace paceline::wal {

// What the answer to a put, or to reading back, says of a slot. Pure.
enum class SlotStep {
  put_again,  // nothing is known: the same bytes once more
  read_back,  // somebody's body is there
  ours,
  others,
};
SlotStep after_put(const Answer<void>& answer);
// `header` is set when a body could be read. A body that is damaged, or of another key, is to be
// read again.
SlotStep after_read(const Answer<Slice>& answer, const Owner& owner,
                    std::optional<uint64_t> sequence, const Nonce& nonce,
                    std::optional<SlotHeader>& header);

// Who has a slot.
struct Settled {
  enum class Whose { ours, others, unknown };
  Whose whose = Whose::unknown;
  SlotHeader header;  // of others
  Error error;        // unknown: why
};
struct SlotPut {
  std::string key;
  std::optional<uint64_t> sequence = 0;  // none: not a slot
  Nonce nonce;
  std::vector<Slice> body;  // never changes: what is put again is the same
  size_t tries_max = 0;     // 0: until it is known
};
// Puts the body until it is known who has the slot. A store that fails is waited for. Unknown only
// when the tries are over, nobody waits any more (SlotStore::end), or what is there cannot be read.
Task<Settled> settle_slot(SlotStore slots, SlotPut put);

}  // namespace paceline::wal
