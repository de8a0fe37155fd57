// The heap after a burst: what was freed goes back to the system at once, so that the resident size
// is what is in use.
#pragma once

#include <malloc.h>

namespace cw {

inline void give_back_memory() { (void)malloc_trim(0); }

}  // namespace cw
