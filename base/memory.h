// Heap settings and returning freed memory to the kernel, so that the resident size is close to
// what is in use. Returning memory takes about 0.5 ms per MiB. Meanwhile no thread can allocate
// (docs/adr/0011-loop-never-blocks.md).
#pragma once

#include <malloc.h>

#include <chrono>
#include <cstddef>

namespace cw {

// Call first in main. All threads share one heap, because a heap per thread keeps what other
// threads freed. Large blocks are mapped apart; with the default, their size limit grows when one
// is freed.
inline void share_heap() {
  // No other threads exist yet.
  (void)mallopt(M_ARENA_MAX, 1);               // NOLINT(concurrency-mt-unsafe)
  (void)mallopt(M_MMAP_THRESHOLD, 128 << 10);  // NOLINT(concurrency-mt-unsafe)
}

// For a process that answers no probes.
inline void give_back_memory() { (void)malloc_trim(0); }
inline constexpr std::chrono::seconds kGiveBackEvery{30};

// Resident memory of this process in bytes. 0: unknown.
[[nodiscard]] std::size_t resident_bytes();

// For a process that answers probes: returns memory only after the process grew, and soon, so that
// there is never much to return at once. Memory that is freed without growth stays for reuse. One
// per process.
class GrowthWatch {
 public:
  // Bytes of growth. Measured: docs/adr/0011-loop-never-blocks.md, "Memory".
  static constexpr std::size_t kStep = 8 << 20;
  static constexpr std::chrono::seconds kEvery{1};

  // True: at this resident size, memory should be returned.
  [[nodiscard]] bool grew(std::size_t resident) const { return resident >= floor_ + kStep; }
  // Call with the resident size after memory was returned.
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
