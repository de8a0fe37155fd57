#include "routeagent/node/nft.h"

#include <fmt/format.h>

#include <algorithm>

#include "netlink/owner.h"

namespace cw::routeagent {

namespace {

using netlink::kNodeAskPort;
using netlink::kNodeNftTable;
using netlink::kNodeProbePort;
using netlink::kTunnelLink;
using netlink::kVxlanLink;
using netlink::kVxlanPort;

template <typename T>
bool is_family(const T& value, Family family) {
  return value.family() == family;
}

// One named set of one family. Prefix sets are interval sets; auto-merge lets prefixes overlap.
template <typename T>
std::string set_text(std::string_view name, Family family, std::vector<T> values) {
  std::erase_if(values, [family](const T& value) { return !is_family(value, family); });
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  std::vector<std::string> elements;
  elements.reserve(values.size());
  for (const auto& value : values) elements.push_back(value.to_string());
  const bool intervals = std::is_same_v<T, Prefix>;
  return fmt::format(
      "\tset {}{} {{\n\t\ttype {}\n{}{}\t}}\n", name, family == Family::kV4 ? 4 : 6,
      family == Family::kV4 ? "ipv4_addr" : "ipv6_addr",
      intervals ? "\t\tflags interval\n\t\tauto-merge\n" : "",
      elements.empty() ? "" : fmt::format("\t\telements = {{ {} }}\n", fmt::join(elements, ", ")));
}

template <typename T>
std::string both_sets(std::string_view name, const std::vector<T>& values) {
  return set_text(name, Family::kV4, values) + set_text(name, Family::kV6, values);
}

// An earlier nat chain wins over every later masquerade, whoever made it: a packet's address is
// translated once. The identity translation still counts as one.
std::string exemption() {
  return fmt::format(
      "\tchain snat-exemption {{\n"
      "\t\ttype nat hook postrouting priority srcnat - 10; policy accept;\n"
      "\t\tip saddr @local4 ip daddr @remote4 snat ip to ip saddr\n"
      "\t\tip saddr @remote4 ip daddr @local4 snat ip to ip saddr\n"
      "\t\tip6 saddr @local6 ip6 daddr @remote6 snat ip6 to ip6 saddr\n"
      "\t\tip6 saddr @remote6 ip6 daddr @local6 snat ip6 to ip6 saddr\n"
      "\t\toifname \"{0}\" udp dport {1} ip saddr @local4 ip daddr {2} snat ip to ip saddr\n"
      "\t\toifname \"{0}\" udp dport {1} ip6 saddr @local6 snat ip6 to ip6 saddr\n"
      "\t}}\n",
      kVxlanLink, netlink::kThroughPort, netlink::kThroughRange4);
}

// What processes of the host itself send to remote pods. After DNAT (a ClusterIP) or with an
// address of its own choice a packet has a source that no remote cluster accepts: it gets the
// host's address inside the pod prefix. On a host without one such packets are refused at once. The
// tunnel's own packets are marked.
std::string host_traffic(const NftInputs& inputs) {
  std::string translated;
  std::string refused;
  for (const auto family : {Family::kV4, Family::kV6}) {
    const bool v4 = family == Family::kV4;
    const auto* ip = v4 ? "ip" : "ip6";
    const int n = v4 ? 4 : 6;
    if (const auto source = inputs.host.find(family); source != inputs.host.end()) {
      translated += fmt::format(
          "\t\tmeta mark != {:#x} {} daddr @remote{} fib saddr type local snat {} to {}\n",
          netlink::kTunnelMark, ip, n, ip, source->second.to_string());
    } else {
      refused += fmt::format(
          "\t\tmeta mark != {:#x} {} daddr @remote{} {} saddr != @local{} "
          "counter name \"host-refused\" reject with {} type admin-prohibited\n",
          netlink::kTunnelMark, ip, n, ip, n, v4 ? "icmp" : "icmpv6");
    }
  }
  std::string text;
  if (!translated.empty()) {
    text +=
        "\tchain host-source {\n"
        "\t\ttype nat hook postrouting priority srcnat - 9; policy accept;\n" +
        translated + "\t}\n";
  }
  if (!refused.empty()) {
    text +=
        "\tcounter host-refused {\n\t}\n"
        "\tchain host-refused {\n"
        "\t\ttype filter hook output priority filter; policy accept;\n" +
        refused + "\t}\n";
  }
  return text;
}

// SYN and SYN-ACK, both directions. The kernel only ever lowers the option.
std::string clamp(const NftInputs& inputs) {
  std::string text =
      "\tchain mss {\n"
      "\t\ttype filter hook forward priority mangle; policy accept;\n";
  const auto add = [&](Family family, const std::string& where, std::uint32_t mtu) {
    const bool v6 = family == Family::kV6;
    for (const auto* side : {"saddr", "daddr"}) {
      text +=
          fmt::format("\t\t{} {} {} tcp flags & (syn | rst) == syn tcp option maxseg size set {}\n",
                      v6 ? "ip6" : "ip", side, where, mtu - (v6 ? 60U : 40U));
    }
  };
  add(Family::kV4, "@remote4", inputs.mtu);
  add(Family::kV6, "@remote6", inputs.mtu);
  for (const auto& [prefix, mtu] : inputs.narrow) add(prefix.family(), prefix.to_string(), mtu);
  return text + "\t}\n";
}

// What reaches this host's own stack. VXLAN packets: those of the cluster's nodes. From cw-vx:
// probes, neighbour discovery, and answers to what the host itself asked from an address inside its
// pod prefix: host_traffic() may have put that there, so the connection tells and not the packet.
std::string guard(const OverlayGuard& overlay) {
  return fmt::format(
      "\tchain guard {{\n"
      "\t\ttype filter hook input priority filter - 10; policy accept;\n"
      "\t\tudp dport {} jump vxlan\n"
      "{}"
      "\t\tiifname != \"{}\" accept\n"
      "\t\ticmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept\n"
      "\t\tip6 saddr fe80::/64 udp dport {{ {}, {} }} accept\n"
      "\t\tip daddr @own4 icmp type echo-request accept\n"
      "\t\tip6 daddr @own6 icmpv6 type echo-request accept\n"
      "\t\tct reply ip daddr @own4 ct state established,related accept\n"
      "\t\tct reply ip6 daddr @own6 ct state established,related accept\n"
      "\t\tdrop\n"
      "\t}}\n",
      kVxlanPort,
      overlay.encrypted ? fmt::format("\t\tiifname \"{}\" counter drop\n", netlink::kHopLink) : "",
      kVxlanLink, kNodeAskPort, kNodeProbePort);
}

// A gateway may see only one direction of a connection in transit; tracked, its packets would be
// "invalid" to others' rules. What begins or ends on this node is tracked as ever.
std::string untracked() {
  return fmt::format(
      "\tchain transit {{\n"
      "\t\ttype filter hook prerouting priority raw; policy accept;\n"
      "\t\tiifname \"{0}\" ip daddr @remote4 notrack\n"
      "\t\tiifname \"{0}\" ip6 daddr @remote6 notrack\n"
      "\t\tiifname \"{1}\" ip daddr @local4 ip daddr != @own4 notrack\n"
      "\t\tiifname \"{1}\" ip6 daddr @local6 ip6 daddr != @own6 notrack\n"
      "\t}}\n",
      kVxlanLink, kTunnelLink);
}

}  // namespace

std::string nft_table(const NftInputs& inputs) {
  // The first two lines make the replacement idempotent: delete fails on a table that is not there.
  return fmt::format("table inet {0} {{}}\ndelete table inet {0}\ntable inet {0} {{\n",
                     kNodeNftTable) +
         both_sets("local", inputs.local) + both_sets("own", inputs.own) +
         both_sets("remote", inputs.remote) + both_sets("nodes", inputs.nodes) +
         overlay_sets(inputs.overlay) + exemption() + host_traffic(inputs) + clamp(inputs) +
         overlay_chains(inputs.overlay) + guard(inputs.overlay) + untracked() + "}\n";
}

}  // namespace cw::routeagent
