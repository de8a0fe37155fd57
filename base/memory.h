// The heap: what was freed goes back to the system, so that the resident size is what is in use.
#pragma once

#include <malloc.h>

#include <chrono>

namespace cw {

// For all of a daemon's threads; first in main. A thread's own heap keeps what others freed.
inline void share_heap() { (void)mallopt(M_ARENA_MAX, 1); }

// After a burst, and now and then: a few milliseconds at tens of megabytes.
inline void give_back_memory() { (void)malloc_trim(0); }
inline constexpr std::chrono::seconds kGiveBackEvery{30};

}  // namespace cw
