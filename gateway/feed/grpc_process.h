// Settings of gRPC for the whole process: its log and its threads.
#pragma once

#include <functional>

namespace cw::gateway {

// gRPC's own messages become debug lines of ours, and the threads that it starts first give way
// (base/thread_role.h). Call it before any other use of gRPC. Idempotent.
void prepare_grpc();

// Runs `start` on a thread that gives way, and waits for it. Threads that gRPC starts meanwhile
// give way too, because remote clusters decide how much work they have.
void start_giving_way(const std::function<void()>& start);

}  // namespace cw::gateway
