// The heap: what was freed goes back to the system, so that the resident size is what is in use.
#pragma once

#include <malloc.h>

#include <chrono>

namespace cw {

// First in main: one heap for all threads (a thread's own keeps what others freed), large blocks
// apart from it (the limit would otherwise grow with the first large block that is freed).
inline void share_heap() {
  // Before there are other threads.
  (void)mallopt(M_ARENA_MAX, 1);               // NOLINT(concurrency-mt-unsafe)
  (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);  // NOLINT(concurrency-mt-unsafe)
}

// After a burst, and now and then: a few milliseconds at tens of megabytes.
inline void give_back_memory() { (void)malloc_trim(0); }
inline constexpr std::chrono::seconds kGiveBackEvery{30};

}  // namespace cw
