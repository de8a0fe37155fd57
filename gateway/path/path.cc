#include "gateway/path/path.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "netlink/owner.h"

namespace cw::gateway {
namespace {

std::optional<HostView> host_of(netlink::Kernel& kernel) {
  auto links = kernel.all_links();
  auto addresses = kernel.all_addresses();
  if (!links || !addresses) return std::nullopt;
  return HostView{std::move(*links), std::move(*addresses)};
}

}  // namespace

Path::Path(netlink::Kernel& kernel, Background background, std::function<void()> on_change)
    : kernel_(kernel),
      background_(std::move(background)),
      on_change_(std::move(on_change)),
      reconciler_(std::make_shared<netlink::Reconciler>(netlink::gateway_owner(), kernel)) {}

void Path::set_desired(const PathInput& input) {
  if (!dirty_ && input_ == input && errors_.empty()) return;
  dirty_ = programming_;  // receive() looks again
  if (programming_) return;
  input_ = input;
  programming_ = true;
  const bool taken = background_.run([this, input, reconciler = reconciler_, kernel = &kernel_] {
    auto report = reconciler->apply(desired_path(input));
    auto host = host_of(*kernel);
    return [this, report = std::move(report), host = std::move(host)] { receive(report, host); };
  });
  CW_CHECK(taken);  // at most one runs, so the queue has room
}

void Path::receive(netlink::PassReport report, std::optional<HostView> host) {
  programming_ = false;
  const bool first = !std::exchange(programmed_, true);
  dirty_ = dirty_ || report.more;
  const bool other_host = host && *host != host_;
  if (other_host) host_ = std::move(*host);
  for (const auto& error : report.errors) {
    if (std::find(errors_.begin(), errors_.end(), error) == errors_.end()) {
      log_warn("kernel state incomplete, trying again", {{"error", error}});
    }
  }
  if (report.errors.empty() && !errors_.empty()) log_info("kernel state complete again");
  errors_ = std::move(report.errors);
  for (const auto& [kind, count] : report.restored) restored_[kind] += count;
  if (report.steps > 0) log_debug("kernel state changed", {{"steps", report.steps}});
  // For changes that came meanwhile, and for probes on addresses that exist now.
  if (first || other_host || report.steps > 0 || dirty_) on_change_();
}

}  // namespace cw::gateway
