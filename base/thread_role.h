// What a thread is for: its name, and whether it gives way to the loop and the packets. Linux only.
#pragma once

namespace cw {

// Of the calling thread, as `ps -L` and `perf` show it; at most 15 characters.
void name_thread(const char* name);

// For threads whose amount of work others decide: remote clusters, strangers, the store. The
// calling thread, and every thread and process that it starts, gets a third of the processor that
// the loop and the packet workers get, and does not interrupt them when it wakes up (nice +5,
// SCHED_BATCH). Not less: such a thread may hold the heap's lock, which the loop waits for. Needs
// no rights; there is no way back.
void give_way();

}  // namespace cw
