// gRPC's own messages, as debug lines of ours: what matters in them our code reports itself.
#pragma once

namespace cw::gateway {

void quiet_grpc();  // idempotent

}  // namespace cw::gateway
