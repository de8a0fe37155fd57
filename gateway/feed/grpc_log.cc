#include "gateway/feed/grpc_log.h"

#include <grpc/support/log.h>

#include "base/log.h"

namespace cw::gateway {

void quiet_grpc() {
  gpr_set_log_function([](gpr_log_func_args* args) {
    log_debug("grpc",
              {{"severity", gpr_log_severity_string(args->severity)}, {"message", args->message}});
  });
}

}  // namespace cw::gateway
