// The heap: what was freed goes back to the system, so that the resident size is what is in use.
// Giving back takes about half a millisecond a MiB, and nothing can allocate meanwhile, on any
// thread (docs/adr/0011-loop-never-blocks.md).
#pragma once

#include <malloc.h>

#include <chrono>
#include <cstddef>

namespace cw {

// First in main: one heap for all threads (a thread's own keeps what others freed), large blocks
// apart from it (the limit would otherwise grow with the first large block that is freed).
inline void share_heap() {
  // Before there are other threads.
  (void)mallopt(M_ARENA_MAX, 1);               // NOLINT(concurrency-mt-unsafe)
  (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);  // NOLINT(concurrency-mt-unsafe)
}

// For a process whose loop no probe waits for.
inline void give_back_memory() { (void)malloc_trim(0); }
inline constexpr std::chrono::seconds kGiveBackEvery{30};

// Resident memory of this process, bytes; 0: unknown.
[[nodiscard]] std::size_t resident_bytes();

// For a loop that answers probes: gives back only after the process grew, and then soon, so that
// there is never much to give back at once. Memory that was in use for long and is freed without
// growth stays, to be used again. One of these a process.
class GrowthWatch {
 public:
  static constexpr std::size_t kStep = 8 << 20;
  static constexpr std::chrono::seconds kEvery{1};

  // Whether it is time, at this resident size.
  [[nodiscard]] bool grew(std::size_t resident) const { return resident >= floor_ + kStep; }
  // The resident size after memory was given back.
  void settle(std::size_t resident) { floor_ = resident; }
  void look() {
    if (!grew(resident_bytes())) return;
    give_back_memory();
    settle(resident_bytes());
  }

 private:
  std::size_t floor_ = 0;
};

}  // namespace cw
