#include "gateway/drain.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "gateway/object.h"

namespace cw::gateway {
namespace {

// If no other gateway can take over, only the last probes and feed messages need time to go out.
constexpr Duration kShort = std::chrono::milliseconds(200);
// A drain waits for nodes that still claim this gateway, at most this many times its usual length.
constexpr int kLimit = 5;
constexpr Duration kLookAgain = std::chrono::milliseconds(20);

}  // namespace

bool Drain::active() const {
  if (stopping_) return true;
  const auto stored = view_.gateways.find(gateway_key(config_.ordinal));
  return stored != nullptr &&
         stored->meta.annotations.count(std::string(api::kDrainAnnotation)) != 0;
}

bool Drain::others_can_take_over() const {
  const auto& gateways = view_.gateways.items();
  return std::any_of(gateways.begin(), gateways.end(), [this](const auto& entry) {
    const auto view = local_view(*entry.second);
    return view.ordinal != config_.ordinal && view.usable && !view.draining;
  });
}

void Drain::start(Carried carried, std::function<void()> done) {
  stopping_ = true;
  const bool wait = carried().has_value() && others_can_take_over();
  log_info("gateway drains", {{"others", wait ? "take over" : "none"}});
  carried_ = std::move(carried);
  done_ = std::move(done);
  ends_ = loop_.now() + (wait ? kLimit * config_.drain : kShort);
  timer_ = loop_.after(wait ? config_.drain : kShort, [this] { watch(); });
}

void Drain::watch() {
  const auto carried = carried_().value_or(0);
  if (carried == 0 || loop_.now() >= ends_) {
    if (carried != 0) log_warn("drain ends with prefixes still claimed", {{"prefixes", carried}});
    return std::exchange(done_, {})();
  }
  timer_ = loop_.after(kLookAgain, [this] { watch(); });
}

}  // namespace cw::gateway
