// What gRPC does in this process besides its calls: its log, and its threads.
#pragma once

#include <functional>

namespace cw::gateway {

// gRPC's own messages become debug lines of ours, and the threads that it starts first give way
// (thread_role.h). Before any other use of gRPC; idempotent.
void prepare_grpc();

// Runs `start` on a thread that gives way, and waits for it. The threads that gRPC starts meanwhile
// do too: remote clusters decide how much they have to do.
void start_giving_way(const std::function<void()>& start);

}  // namespace cw::gateway
