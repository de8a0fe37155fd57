#include "routeagent/hop_device.h"

#include "base/log.h"
#include "routeagent/node/hop.h"

namespace cw::routeagent {

namespace {

constexpr Duration kBetweenLooks = std::chrono::minutes(1);

}  // namespace

Result<> HopDevice::apply(const tunnel::DeviceSpec& spec) {
  if (driver_ == nullptr) {
    auto opened = open_();
    if (!opened) return fail(std::move(opened.error()));
    driver_ = std::move(*opened);
    log_info("node tunnel", {{"driver", driver_->name()}, {"port", port_}});
  }
  return driver_->apply(spec);
}

void HopDevice::keep(const NodeInputs& inputs) {
  if (!open_) return;
  auto spec = desired_hop(inputs, own_, port_);
  if (applied_ && inputs.host.hop_index != 0 && applied_->peers == spec.peers &&
      loop_.now() < next_look_) {
    return;
  }
  auto done = apply(spec);
  const auto trouble = done ? std::string() : done.error().context("node tunnel").text;
  if (!trouble.empty() && trouble != trouble_) log_warn(trouble);
  trouble_ = trouble;
  applied_.reset();
  if (done) applied_ = std::move(spec);
  next_look_ = loop_.now() + kBetweenLooks;
}

}  // namespace cw::routeagent
