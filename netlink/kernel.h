// The kernel's network state as the daemons use it: links, addresses, neighbours, FDB entries,
// routes, rules, nexthop objects, sysctls, and nftables as declarative text. It only dumps,
// replaces and removes; the reconciler compares. Replacing is idempotent, and removing an object
// that does not exist succeeds. Implementations: rtnl/ (libnl and libmnl) and fake/ (stateful, with
// a text log). Each thread opens its own Kernel. Calls that may take long (nft, connection
// tracking, large dumps) are for a thread that may block (docs/adr/0011-loop-never-blocks.md);
// on_change() is for the loop thread.
//
// Dumps show only what netlink/owner.h marks as ours. Functions named all_... show everything.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/loop.h"
#include "base/prefix.h"

namespace cw::netlink {

using Mac = std::array<std::uint8_t, 6>;
[[nodiscard]] std::string to_string(const Mac& mac);

// Any link of this network namespace.
struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::string kind;  // "vxlan", "wireguard", "veth", "tun", ...; empty for plain devices
  std::uint32_t mtu = 0;
  bool up = false;
  Mac mac{};
  std::uint32_t master = 0;  // the index of the bridge that it is a port of; 0: of none
  friend bool operator==(const Link&, const Link&) = default;
};

struct VxlanSpec {
  std::string name;
  std::uint32_t vni = 0;
  std::uint16_t port = 0;
  IpAddress local;  // underlay source
  std::uint32_t mtu = 0;
  Mac mac{};
  friend bool operator==(const VxlanSpec&, const VxlanSpec&) = default;
};

// An address on a link.
struct Address {
  std::string link;
  IpAddress address;
  unsigned length = 0;
  friend auto operator<=>(const Address&, const Address&) = default;
};

// Permanent neighbour entry on a link: address -> MAC.
struct Neighbour {
  IpAddress address;
  Mac mac{};
  friend auto operator<=>(const Neighbour&, const Neighbour&) = default;
};

// Permanent VXLAN forwarding entry: MAC -> underlay address.
struct FdbEntry {
  Mac mac{};
  IpAddress remote;
  friend auto operator<=>(const FdbEntry&, const FdbEntry&) = default;
};

// A nexthop object (`ip nexthop`), protocol kProtocol. A gateway of the other family is allowed for
// IPv4 routes (RFC 5549).
struct Nexthop {
  std::uint32_t id = 0;
  std::string link;                  // empty with blackhole
  std::optional<IpAddress> gateway;  // none: directly on the link
  Family family = Family::kV4;       // of the nexthop object, if there is no gateway
  bool blackhole = false;
  friend bool operator==(const Nexthop&, const Nexthop&) = default;
};

enum class RouteType : std::uint8_t { kUnicast, kUnreachable, kBlackhole, kThrow };

// A route with protocol kProtocol. Unicast: exactly one of nexthop_id and link.
struct Route {
  std::uint32_t table = 0;
  Prefix dst;
  RouteType type = RouteType::kUnicast;
  std::uint32_t nexthop_id = 0;
  std::string link;
  std::optional<IpAddress> gateway;  // with link only; may be of the other family
  std::optional<IpAddress> prefer_src;
  std::uint32_t mtu = 0;     // 0: none
  std::uint32_t metric = 0;  // 0: the family's default
  friend bool operator==(const Route&, const Route&) = default;
};

// A policy rule with protocol kProtocol. It matches packets that go to `to`, came in by `iif` and
// carry `mark`. The kernel looks them up in `table`, refuses them as unreachable, continues with
// the rule of priority `go_to`, or does nothing (`nop`).
struct Rule {
  Family family = Family::kV4;
  std::uint32_t priority = 0;
  std::uint32_t table = 0;
  std::string iif;                // empty: any
  std::optional<Prefix> to = {};  // of `family`; none: any destination
  bool unreachable = false;       // refuses; `table` is 0 then
  std::uint32_t mark = 0;         // the whole mark; 0: any
  std::uint32_t go_to = 0;        // 0: none; else `table` is 0
  bool nop = false;               // where a go_to lands
  friend auto operator<=>(const Rule&, const Rule&) = default;
};

// Any policy rule of this network namespace: the fields that decide about a pod's packets.
struct AnyRule {
  enum class Action : std::uint8_t { kTable, kGoTo, kNop, kRefuse };
  Family family = Family::kV4;
  std::uint32_t priority = 0;
  Action action = Action::kTable;
  std::uint32_t table = 0;  // or the target of kGoTo
  std::optional<Prefix> from = {};
  std::optional<Prefix> to = {};
  std::string iif = {};
  std::string oif = {};
  std::uint32_t mark = 0;
  std::uint32_t mask = 0;
  bool invert = false;
  // It matches on something that no pod's packet has: a user id, a tunnel id, a VRF.
  bool special = false;
  int suppress_length = -1;  // routes of at most this length do not count
  bool ours = false;         // protocol kProtocol
  friend bool operator==(const AnyRule&, const AnyRule&) = default;
};

// `rule` as all_rules() shows it.
[[nodiscard]] AnyRule any_rule(const Rule& rule);

// What this host reaches without us.
struct Connected {
  std::vector<Prefix> networks;    // connected routes of the main table, without those of our links
  std::vector<IpAddress> routers;  // of the main table's default routes
  // Single addresses with the name of the veth device that they are routed to. CNIs without a
  // bridge have such a route for each pod.
  std::vector<std::pair<IpAddress, std::string>> pods = {};
  friend bool operator==(const Connected&, const Connected&) = default;
};

// A chain of nftables that the kernel itself calls, of any program. iptables of today writes such
// chains, too.
struct BaseChain {
  std::string family;  // "ip", "ip6", "inet"
  std::string table;
  std::string name;
  enum class Hook : std::uint8_t { kForward, kPostroutingNat } hook = Hook::kForward;
  std::int32_t priority = 0;
  bool drops = false;       // by its policy, what its rules do not decide
  bool names_ours = false;  // a rule in its table names a device of ours; only read with `drops`
  friend bool operator==(const BaseChain&, const BaseChain&) = default;
};

class Kernel {
 public:
  virtual ~Kernel() = default;

  // All links / all addresses of the namespace, not only ours.
  [[nodiscard]] virtual Result<std::vector<Link>> all_links() = 0;
  [[nodiscard]] virtual Result<std::vector<Address>> all_addresses() = 0;
  // Connected networks, default routers and pods' routes of all programs, sorted.
  [[nodiscard]] virtual Result<Connected> all_connected() = 0;

  // Makes the VXLAN device (static FDB, no learning) and sets it up. Changes MTU and MAC in place;
  // makes the device again only if vni, port or local differ. kExists: the link is of another kind.
  [[nodiscard]] virtual Result<> replace_vxlan(const VxlanSpec& spec) = 0;
  [[nodiscard]] virtual Result<std::optional<VxlanSpec>> dump_vxlan(const std::string& name) = 0;
  [[nodiscard]] virtual Result<> set_link(const std::string& name, std::uint32_t mtu, bool up) = 0;
  // Removes the link if it is there and of `kind`.
  [[nodiscard]] virtual Result<> remove_link(const std::string& name, const std::string& kind) = 0;

  [[nodiscard]] virtual Result<> replace_address(const Address& address) = 0;
  [[nodiscard]] virtual Result<> remove_address(const Address& address) = 0;

  // Permanent entries of one link. The link is ours, so all its entries are.
  [[nodiscard]] virtual Result<std::vector<Neighbour>> dump_neighbours(const std::string& link) = 0;
  [[nodiscard]] virtual Result<> replace_neighbour(const std::string& link, const Neighbour& n) = 0;
  [[nodiscard]] virtual Result<> remove_neighbour(const std::string& link, const Neighbour& n) = 0;
  [[nodiscard]] virtual Result<std::vector<FdbEntry>> dump_fdb(const std::string& link) = 0;
  [[nodiscard]] virtual Result<> replace_fdb(const std::string& link, const FdbEntry& entry) = 0;
  [[nodiscard]] virtual Result<> remove_fdb(const std::string& link, const FdbEntry& entry) = 0;

  [[nodiscard]] virtual Result<std::vector<Nexthop>> dump_nexthops() = 0;
  [[nodiscard]] virtual Result<> replace_nexthop(const Nexthop& nexthop) = 0;
  [[nodiscard]] virtual Result<> remove_nexthop(std::uint32_t id) = 0;

  [[nodiscard]] virtual Result<std::vector<Route>> dump_routes(std::uint32_t table) = 0;
  [[nodiscard]] virtual Result<> replace_route(const Route& route) = 0;
  [[nodiscard]] virtual Result<> remove_route(const Route& route) = 0;

  [[nodiscard]] virtual Result<std::vector<Rule>> dump_rules() = 0;
  // The rules of all programs in both families, by rising priority within a family.
  [[nodiscard]] virtual Result<std::vector<AnyRule>> all_rules() = 0;
  // The destinations of all programs' routes in `table`. Throw routes, which lead to the next rule,
  // are left out.
  [[nodiscard]] virtual Result<std::vector<Prefix>> all_destinations(Family family,
                                                                     std::uint32_t table) = 0;
  [[nodiscard]] virtual Result<> add_rule(const Rule& rule) = 0;  // an existing one is success
  [[nodiscard]] virtual Result<> remove_rule(const Rule& rule) = 0;

  // /proc/sys/net/<path>, e.g. "ipv4/ip_forward". set_sysctl() does not write an equal value.
  [[nodiscard]] virtual Result<std::string> sysctl(const std::string& path) = 0;
  [[nodiscard]] virtual Result<> set_sysctl(const std::string& path, const std::string& value) = 0;

  // One atomic nftables transaction with text for `nft -f` (nft_text()). The text itself deletes
  // the table that it replaces.
  [[nodiscard]] virtual Result<> apply_nft(const std::string& text) = 0;
  // `nft -s list table inet NAME` (without counters); empty if there is none.
  [[nodiscard]] virtual Result<std::string> dump_nft(const std::string& table) = 0;
  [[nodiscard]] virtual Result<> remove_nft(const std::string& table) = 0;

  // The chains of other programs that see forwarded packets or translate sources, sorted. Chains of
  // our tables are left out, and so are other families and hooks.
  [[nodiscard]] virtual Result<std::vector<BaseChain>> all_base_chains() = 0;

  // Deletes tracked flows to or from `remotes` whose source is translated, and returns their
  // number. Such a flow began before the exemption, and would keep its translation for life.
  [[nodiscard]] virtual Result<unsigned> forget_translated_flows(
      std::span<const Prefix> remotes) = 0;

  // Calls back when links, addresses, neighbours, routes, rules, nexthops, the nft ruleset, or the
  // sysctls of forwarding and of the reverse path check have changed, also by ourselves, and when
  // events were lost (ENOBUFS). At most once per turn of the loop.
  [[nodiscard]] virtual Handle on_change(std::function<void()> callback) = 0;
};

}  // namespace cw::netlink
