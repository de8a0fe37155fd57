#include "netlink/nexthops.h"

#include <fmt/format.h>

#include "base/diff.h"
#include "base/log.h"
#include "netlink/hold.h"

namespace cw::netlink {

namespace {

std::string describe(std::uint32_t id) { return fmt::format("nexthop {:#x}", id); }

}  // namespace

std::set<std::uint32_t> Nexthops::write(PassReport& report) {
  std::set<std::uint32_t> surplus;
  const auto now = kernel_.dump_nexthops();
  if (report.read(now, "dump nexthops")) {
    NexthopMap actual;
    for (const auto& nexthop : *now) {
      if (owner_.has(nexthop)) actual[nexthop.id] = nexthop;
    }
    const auto plan = diff(actual, wanted_);
    for (const auto* part : {&plan.add, &plan.change}) {
      for (const auto& [id, nexthop] : *part) {
        const auto before = written_.find(id);
        report.step(kernel_.replace_nexthop(nexthop), describe(id),
                    before != written_.end() && before->second == nexthop, "next hop");
      }
    }
    for (const auto& [id, nexthop] : plan.remove) surplus.insert(id);
  }
  written_ = wanted_;
  return surplus;
}

void Nexthops::remove(const std::set<std::uint32_t>& surplus, PassReport& report) {
  for (const auto id : surplus) {
    if (wanted_.count(id) != 0) continue;
    report.step(kernel_.remove_nexthop(id), "remove " + describe(id));
  }
}

// A queue goes out when its neighbour gets a MAC address, in order, before that call returns. The
// kernel sends packets that come in that time past the queue. So they wait in a second queue; past
// that one a packet can be sent for some microseconds only. No packet is queued again before the
// nexthop object is replaced.
void Nexthops::release(const Nexthop& next) {
  const auto mac = next.gateway ? neighbours_.find(*next.gateway) : neighbours_.end();
  if (mac == neighbours_.end()) return;
  const auto behind = behind_hold(next.id);
  const bool two = kernel_.replace_nexthop(behind).has_value();
  const auto let_go = [&](const IpAddress& queue) {
    if (auto done = kernel_.replace_neighbour(std::string(kVxlanLink), {queue, mac->second});
        !done) {
      log_warn("held packets are lost", {{"error", done.error().text}});
    }
  };
  let_go(hold_address(next.id));
  if (two) let_go(*behind.gateway);
}

PassReport Nexthops::change(const NexthopMap& wanted) {
  PassReport report;
  wanted_ = wanted;
  for (auto& [id, current] : written_) {
    const auto next = wanted.find(id);
    if (next == wanted.end() || next->second == current) continue;
    const bool held = is_hold(current);
    if (held) release(next->second);
    auto done = kernel_.replace_nexthop(next->second);
    if (done) current = next->second;
    if (held) {  // the neighbours do not exist if no packet was held
      (void)kernel_.remove_neighbour(std::string(kVxlanLink), {hold_address(id), Mac{}});
      (void)kernel_.remove_neighbour(std::string(kVxlanLink), {*behind_hold(id).gateway, Mac{}});
    }
    report.step(std::move(done), describe(id));
  }
  return report;
}

}  // namespace cw::netlink
