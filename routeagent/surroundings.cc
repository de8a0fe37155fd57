#include "routeagent/surroundings.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "routeagent/node/filters.h"

namespace cw::routeagent {

namespace {

std::vector<Prefix> remote_prefixes(const Seen& seen) {
  std::vector<Prefix> all;
  for (const auto& remote : seen.remotes) {
    all.insert(all.end(), remote.prefixes.begin(), remote.prefixes.end());
  }
  return all;
}

void log_news(const std::vector<std::string>& before, const std::vector<std::string>& now,
              const char* event) {
  for (const auto& text : now) {
    if (std::find(before.begin(), before.end(), text) == before.end()) {
      log_warn(event, {{"what", text}});
    }
  }
}

}  // namespace

Surroundings::Surroundings(const Deps& deps, std::function<void()> on_change)
    : kernel_(deps.slow()),
      background_(deps.background),
      on_change_(std::move(on_change)),
      gauge_(deps.metrics.gauge("causeway_routeagent_obstacles",
                                "Settings of other programs that stop pods' packets to remote "
                                "clusters, or change their source.")),
      watch_(deps.loop, deps.store, deps.random, on_change_),
      timer_(deps.loop.every(kLook, [this] { look(); })) {}

void Surroundings::look() {
  if (looking_) return;
  looking_ = true;
  const bool taken = background_.run([this, kernel = &kernel_] {
    auto chains = kernel->all_base_chains();
    return [this, chains = std::move(chains)]() mutable {
      looking_ = false;
      if (!chains) return log_debug("chains not read", {{"error", chains.error().text}});
      if (*chains == chains_) return;
      chains_ = std::move(*chains);
      on_change_();
    };
  });
  CW_CHECK(taken);  // one at a time: the queue has room
}

void Surroundings::check(const api::Node* node, const Seen& seen) {
  const auto remotes = remote_prefixes(seen);
  auto obstacles = watch_.of(node, remotes);
  auto doubts = remotes.empty() ? std::vector<std::string>{} : filter_doubts(chains_);
  log_news(obstacles_, obstacles, "a setting of the pod network stops pods' packets");
  log_news(doubts_, doubts, "a packet filter may stop pods' packets");
  obstacles_ = std::move(obstacles);
  doubts_ = std::move(doubts);
  gauge_.set(static_cast<double>(obstacles_.size()));
}

}  // namespace cw::routeagent
