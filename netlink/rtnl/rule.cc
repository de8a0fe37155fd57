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
  if (rule.go_to != 0) header.action = FR_ACT_GOTO;
  if (rule.nop) header.action = FR_ACT_NOP;
  header.table = RT_TABLE_UNSPEC;
  if (rule.to) header.dst_len = static_cast<std::uint8_t>(rule.to->length());
  Message message(type, flags, header);
  message.put_u32(FRA_PRIORITY, rule.priority);
  if (header.action == FR_ACT_TO_TBL) message.put_u32(FRA_TABLE, rule.table);
  if (rule.go_to != 0) message.put_u32(FRA_GOTO, rule.go_to);
  if (rule.mark != 0) {
    message.put_u32(FRA_FWMARK, rule.mark);
    message.put_u32(FRA_FWMASK, 0xffffffff);
  }
  message.put_u8(FRA_PROTOCOL, kProtocol);
  if (!rule.iif.empty()) message.put(FRA_IIFNAME, rule.iif);
  if (rule.to && rule.to->length() != 0) message.put(FRA_DST, rule.to->address().bytes());
  return message;
}

// The destination that a dumped rule matches; none: any.
std::optional<Prefix> destination_of(const fib_rule_hdr& header, const Attributes& attributes) {
  if (header.dst_len == 0) return std::nullopt;
  const auto address = IpAddress::from_bytes(attributes.bytes(FRA_DST));
  if (!address) return std::nullopt;
  const auto prefix = Prefix::of(*address, header.dst_len);
  return prefix ? std::optional(*prefix) : std::nullopt;
}

}  // namespace

AnyRule any_rule(const Rule& rule) {
  AnyRule any;
  any.family = rule.family;
  any.priority = rule.priority;
  any.table = rule.go_to != 0 ? rule.go_to : rule.table;
  any.action = rule.nop           ? AnyRule::Action::kNop
               : rule.go_to != 0  ? AnyRule::Action::kGoTo
               : rule.unreachable ? AnyRule::Action::kRefuse
                                  : AnyRule::Action::kTable;
  any.to = rule.to;
  any.iif = rule.iif;
  any.mark = rule.mark;
  any.mask = rule.mark == 0 ? 0 : 0xffffffff;
  any.ours = true;
  return any;
}

namespace {

AnyRule::Action action_of(std::uint8_t action) {
  switch (action) {
    case FR_ACT_TO_TBL:
      return AnyRule::Action::kTable;
    case FR_ACT_GOTO:
      return AnyRule::Action::kGoTo;
    case FR_ACT_NOP:
      return AnyRule::Action::kNop;
    default:
      return AnyRule::Action::kRefuse;
  }
}

AnyRule any_rule_of(Family family, const fib_rule_hdr& header, const Attributes& attributes) {
  AnyRule rule;
  rule.family = family;
  rule.priority = attributes.u32(FRA_PRIORITY);
  rule.action = action_of(header.action);
  rule.table = attributes.u32(header.action == FR_ACT_GOTO ? FRA_GOTO : FRA_TABLE);
  rule.to = destination_of(header, attributes);
  if (header.src_len != 0) {
    if (const auto from = IpAddress::from_bytes(attributes.bytes(FRA_SRC))) {
      if (const auto prefix = Prefix::of(*from, header.src_len)) rule.from = *prefix;
    }
  }
  rule.iif = attributes.text(FRA_IIFNAME);
  rule.oif = attributes.text(FRA_OIFNAME);
  rule.mark = attributes.u32(FRA_FWMARK);
  rule.mask = attributes.u32(FRA_FWMASK);
  rule.invert = (header.flags & FIB_RULE_INVERT) != 0;
  rule.special =
      attributes.has(FRA_UID_RANGE) || attributes.has(FRA_TUN_ID) || attributes.u8(FRA_L3MDEV) != 0;
  if (attributes.has(FRA_SUPPRESS_PREFIXLEN)) {
    rule.suppress_length = static_cast<int>(attributes.u32(FRA_SUPPRESS_PREFIXLEN));
  }
  rule.ours = attributes.u8(FRA_PROTOCOL) == kProtocol;
  return rule;
}

Rule own_rule(AnyRule any) {
  using Action = AnyRule::Action;
  Rule rule{any.family, any.priority, 0, std::move(any.iif), any.to, any.action == Action::kRefuse,
            any.mark};
  if (any.action == Action::kTable) rule.table = any.table;
  if (any.action == Action::kGoTo) rule.go_to = any.table;
  rule.nop = any.action == Action::kNop;
  return rule;
}

Result<> each_rule(Socket& socket, const std::function<void(AnyRule)>& each) {
  for (const auto family : {Family::kV4, Family::kV6}) {
    fib_rule_hdr request{};
    request.family = af(family);
    auto ok = socket.dump(
        Message(RTM_GETRULE, 0, request),
        [&](const nlmsghdr* m) {
          const auto* header = static_cast<const fib_rule_hdr*>(NLMSG_DATA(m));
          each(any_rule_of(family, *header, Attributes(m, sizeof *header)));
        },
        "rules");
    if (!ok) return ok;
  }
  return {};
}

}  // namespace

Result<std::vector<AnyRule>> RtnlKernel::all_rules() {
  std::vector<AnyRule> out;
  auto ok = each_rule(state_->socket, [&](AnyRule rule) { out.push_back(std::move(rule)); });
  if (!ok) return fail(std::move(ok.error()));
  return out;
}

Result<std::vector<Rule>> RtnlKernel::dump_rules() {
  std::vector<Rule> out;
  auto ok = each_rule(state_->socket, [&](AnyRule rule) {
    if (rule.ours) out.push_back(own_rule(std::move(rule)));
  });
  if (!ok) return fail(std::move(ok.error()));
  return out;
}

Result<std::vector<Prefix>> RtnlKernel::all_destinations(Family family, std::uint32_t table) {
  std::vector<Prefix> out;
  rtmsg request{};
  request.rtm_family = af(family);
  Message message(RTM_GETROUTE, 0, request);
  message.put_u32(RTA_TABLE, table);
  auto ok = state_->socket.dump(
      message,
      [&](const nlmsghdr* m) {
        const auto* header = static_cast<const rtmsg*>(NLMSG_DATA(m));
        const Attributes attributes(m, sizeof *header);
        if (attributes.u32(RTA_TABLE) != table || header->rtm_type == RTN_THROW) return;
        auto address = IpAddress::from_bytes(attributes.bytes(RTA_DST));
        if (header->rtm_dst_len == 0) {
          address = family == Family::kV4 ? IpAddress::v4({}) : IpAddress::v6({});
        }
        if (!address) return;
        if (const auto dst = Prefix::of(*address, header->rtm_dst_len)) out.push_back(*dst);
      },
      "destinations");
  // For IPv4, a table that never had a route does not exist.
  if (!ok && ok.error().code == Errc::kNotFound) return std::vector<Prefix>{};
  if (!ok) return fail(ok.error());
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
