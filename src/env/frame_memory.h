#pragma once

#include <cstddef>

namespace paceline::task_internal {

// Memory of coroutine frames. A request is a dozen frames that live for a millisecond, many of them
// above the sizes that the heap keeps at hand; here each thread keeps the frames it freed, by size,
// up to 256 KiB a size. A frame may be freed on another thread than it was made on. Under the
// address sanitizer every frame is the heap's, so that it sees what is used too late.
struct FrameMemory {
  static void* operator new(size_t bytes);
  static void operator delete(void* frame, size_t bytes) noexcept;
};

}  // namespace paceline::task_internal
