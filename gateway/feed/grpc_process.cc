#include "gateway/feed/grpc_process.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>

#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/thread_role.h"

namespace cw::gateway {

void start_giving_way(const std::function<void()>& start) {
  std::thread([&] {
    name_thread("cw-grpc-start");
    give_way();
    start();
  }).join();
}

void prepare_grpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function([](gpr_log_func_args* args) {
      log_debug("grpc", {{"severity", gpr_log_severity_string(args->severity)},
                         {"message", args->message}});
    });
    // Never shut down: the next use of gRPC would start its threads again, from any thread.
    start_giving_way(grpc_init);
  });
}

}  // namespace cw::gateway
