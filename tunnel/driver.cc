#include "tunnel/driver.h"

#include <fmt/format.h>

#include "tunnel/engine/engine_driver.h"
#include "tunnel/kernel/kernel_driver.h"
#include "tunnel/uapi/uapi_driver.h"

namespace cw::tunnel {

Result<DriverChoice> parse_driver(std::string_view text) {
  if (text == "auto") return DriverChoice::kAuto;
  if (text == "kernel") return DriverChoice::kKernel;
  if (text == "uapi") return DriverChoice::kUapi;
  if (text == "engine") return DriverChoice::kEngine;
  return fail(Errc::kInvalid,
              fmt::format("\"{}\" is no tunnel driver; write auto, kernel, uapi or engine", text));
}

Result<std::unique_ptr<Driver>> make_driver(const DriverConfig& config) {
  auto choice = config.choice;
  if (choice == DriverChoice::kAuto) {
    choice = kernel_has_wireguard() ? DriverChoice::kKernel : DriverChoice::kEngine;
  }
  switch (choice) {
    case DriverChoice::kKernel:
      if (!kernel_has_wireguard()) {
        return fail(Errc::kUnsupported,
                    "tunnel driver kernel: this kernel has no WireGuard (or we may not make a "
                    "device); use driver auto, engine or uapi");
      }
      return std::make_unique<KernelDriver>(config);
    case DriverChoice::kEngine:
      return std::make_unique<EngineDriver>(config);
    default:
      return std::make_unique<UapiDriver>(config);
  }
}

}  // namespace cw::tunnel
