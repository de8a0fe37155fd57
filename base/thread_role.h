// The name and the priority of a thread. Linux only.
#pragma once

namespace cw {

// Names the calling thread for `ps -L` and `perf`. At most 15 characters.
void name_thread(const char* name);

// For threads whose load is decided outside: by remote clusters, unknown clients or the store. The
// calling thread, and every thread and process it starts, gets a third of the CPU time of the loop
// and the packet workers. It does not preempt them when it wakes up (nice +5, SCHED_BATCH). The
// share is not smaller, because such a thread may hold the heap's lock, which the loop waits for.
// Needs no privileges. It cannot be undone.
void give_way();

}  // namespace cw
