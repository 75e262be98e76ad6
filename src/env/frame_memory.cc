#include "env/frame_memory.h"

#include <array>
#include <new>
#include <utility>

namespace paceline::task_internal {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kKept = false;
#else
constexpr bool kKept = true;
#endif
#else
constexpr bool kKept = true;
#endif

constexpr size_t kStepBytes = 64;
constexpr size_t kFrameBytesMax = 4096;  // larger frames are the heap's
constexpr size_t kKeptBytesMax = 256u << 10;

struct FreeFrame {
  FreeFrame* next;
};

// Frames of one size, last freed first: the one that is still in the processor's cache.
struct FreeList {
  FreeFrame* first = nullptr;
  size_t bytes = 0;
};

// Plain memory, so that a frame freed late in a thread's end still finds it.
struct FreeFrames {
  std::array<FreeList, kFrameBytesMax / kStepBytes> lists{};
  bool ended = false;
};
constinit thread_local FreeFrames frames;

struct AtThreadEnd {
  bool watching = false;
  ~AtThreadEnd() {
    frames.ended = true;
    for (FreeList& list : frames.lists)
      while (FreeFrame* frame = list.first) {
        list.first = frame->next;
        ::operator delete(frame);
      }
  }
};
thread_local AtThreadEnd at_thread_end;

size_t size_class(size_t bytes) {
  return (bytes - 1) / kStepBytes;
}

}  // namespace

void* FrameMemory::operator new(size_t bytes) {
  if (!kKept || bytes > kFrameBytesMax) return ::operator new(bytes);
  FreeList& list = frames.lists[size_class(bytes)];
  const size_t rounded = (size_class(bytes) + 1) * kStepBytes;
  if (!list.first) return ::operator new(rounded);
  list.bytes -= rounded;
  return std::exchange(list.first, list.first->next);
}

void FrameMemory::operator delete(void* frame, size_t bytes) noexcept {
  if (!kKept || bytes > kFrameBytesMax || frames.ended) return ::operator delete(frame);
  FreeList& list = frames.lists[size_class(bytes)];
  const size_t rounded = (size_class(bytes) + 1) * kStepBytes;
  if (list.bytes + rounded > kKeptBytesMax) return ::operator delete(frame);
  at_thread_end.watching = true;  // made here, so that it is destroyed with the thread
  list.first = new (frame) FreeFrame{list.first};
  list.bytes += rounded;
}

}  // namespace paceline::task_internal
