#include "gateway/coordinator.h"

#include "base/log.h"

namespace cw::gateway {

Coordinator::Coordinator(const Deps& deps, const Config& config,
                         std::optional<tunnel::Key> file_key)
    : base_(
          deps, config, std::move(file_key), [this] { pass(); }, [this] { tick(); }) {
  deps.metrics.before_scrape([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) publish_metrics();
  });
}

std::vector<std::string> Coordinator::not_ready() const {
  return gateway_ == nullptr ? base_.not_ready() : gateway_->not_ready();
}

void Coordinator::pass() {
  base_.identity.update();
  const auto& known = base_.identity.known();
  if (!known) return;
  if (gateway_ == nullptr || gateway_->identity() != *known) {
    gateway_.reset();  // its sockets and its device make room
    gateway_ = std::make_unique<Gateway>(base_, *known);
    log_info("gateway identified", {{"cluster", known->self.cluster},
                                    {"gateway", known->self.ordinal},
                                    {"key", known->public_key.base64()},
                                    {"control", known->control_address.to_string()}});
  }
  gateway_->reconcile();
}

void Coordinator::tick() {
  if (gateway_ == nullptr) return base_.schedule.pass_soon();
  gateway_->tick();
}

void Coordinator::drain(std::function<void()> done) {
  base_.drain.start(
      [this] { return gateway_ == nullptr ? std::nullopt : std::optional(gateway_->carried()); },
      std::move(done));
  if (gateway_ != nullptr) gateway_->announce_drain();
}

void Coordinator::publish_metrics() {
  base_.report.publish_ready(not_ready().empty());
  if (gateway_ != nullptr) gateway_->publish_metrics();
}

}  // namespace cw::gateway
