// Policy rules.
#include <fmt/format.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "netlink/owner.h"
#include "netlink/rtnl/state.h"

namespace cw::netlink {

namespace {

Message rule_message(int type, int flags, const Rule& rule) {
  fib_rule_hdr header{};
  header.family = af(rule.family);
  header.action = rule.unreachable ? FR_ACT_UNREACHABLE : FR_ACT_TO_TBL;
  header.table = RT_TABLE_UNSPEC;
  if (rule.to) header.dst_len = static_cast<std::uint8_t>(rule.to->length());
  Message message(type, flags, header);
  message.put_u32(FRA_PRIORITY, rule.priority);
  if (!rule.unreachable) message.put_u32(FRA_TABLE, rule.table);
  message.put_u8(FRA_PROTOCOL, kProtocol);
  if (!rule.iif.empty()) message.put(FRA_IIFNAME, rule.iif);
  if (rule.to && rule.to->length() != 0) message.put(FRA_DST, rule.to->address().bytes());
  return message;
}

// The destination that a rule in a dump names; none if it has none.
std::optional<Prefix> destination_of(const fib_rule_hdr& header, const Attributes& attributes) {
  if (header.dst_len == 0) return std::nullopt;
  const auto address = IpAddress::from_bytes(attributes.bytes(FRA_DST));
  if (!address) return std::nullopt;
  const auto prefix = Prefix::of(*address, header.dst_len);
  return prefix ? std::optional(*prefix) : std::nullopt;
}

}  // namespace

Result<std::vector<Rule>> RtnlKernel::dump_rules() {
  std::vector<Rule> out;
  for (const auto family : {AF_INET, AF_INET6}) {
    fib_rule_hdr request{};
    request.family = static_cast<std::uint8_t>(family);
    auto ok = state_->socket.dump(
        Message(RTM_GETRULE, 0, request),
        [&](const nlmsghdr* m) {
          const auto* header = static_cast<const fib_rule_hdr*>(NLMSG_DATA(m));
          const Attributes attributes(m, sizeof *header);
          if (attributes.u8(FRA_PROTOCOL) != kProtocol) return;
          const bool unreachable = header->action == FR_ACT_UNREACHABLE;
          out.push_back({family == AF_INET ? Family::kV4 : Family::kV6,
                         attributes.u32(FRA_PRIORITY), unreachable ? 0U : attributes.u32(FRA_TABLE),
                         attributes.text(FRA_IIFNAME), destination_of(*header, attributes),
                         unreachable});
        },
        "rules");
    if (!ok) return fail(ok.error());
  }
  return out;
}

Result<> RtnlKernel::add_rule(const Rule& rule) {
  auto ok = state_->socket.request(rule_message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule),
                                   fmt::format("rule {}", rule.priority));
  if (!ok && ok.error().code == Errc::kExists) return {};
  return ok;
}

Result<> RtnlKernel::remove_rule(const Rule& rule) {
  auto ok = state_->socket.request(rule_message(RTM_DELRULE, 0, rule),
                                   fmt::format("remove rule {}", rule.priority));
  if (!ok && ok.error().code == Errc::kNotFound) return {};
  return ok;
}

}  // namespace cw::netlink
