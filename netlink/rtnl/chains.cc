// Base chains of nftables, read from the kernel. The nft program would first read every rule of the
// host, and kube-proxy has tens of thousands.
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <set>

#include "netlink/owner.h"
#include "netlink/rtnl/state.h"

namespace cw::netlink {

namespace {

constexpr std::string_view kOurDevices = "cw-";  // how their names begin

std::string family_of(std::uint8_t family) {
  if (family == NFPROTO_IPV4) return "ip";
  if (family == NFPROTO_IPV6) return "ip6";
  return family == NFPROTO_INET ? "inet" : "";
}
std::uint8_t number_of(const std::string& family) {
  if (family == "ip") return NFPROTO_IPV4;
  return family == "ip6" ? NFPROTO_IPV6 : NFPROTO_INET;
}

Message request(int type, std::uint8_t family) {
  nfgenmsg header{};
  header.nfgen_family = family;
  header.version = NFNETLINK_V0;
  return {(NFNL_SUBSYS_NFTABLES << 8) | type, 0, header};
}

// The attributes of nftables are in network order.
std::uint32_t network_u32(const Attributes& attributes, int type) {
  return be32toh(attributes.u32(type));
}

bool is_ours(const std::string& table) {
  const std::set<std::string_view> ours{kNodeNftTable, kForwardNftTable, kGatewayNftTable,
                                        kClosedNftTable};
  return ours.count(table) != 0;
}

std::optional<BaseChain> base_chain(const nlmsghdr* message) {
  const auto* header = static_cast<const nfgenmsg*>(NLMSG_DATA(message));
  const Attributes attributes(message, sizeof *header);
  if (!attributes.has(NFTA_CHAIN_HOOK)) return std::nullopt;
  BaseChain chain;
  chain.family = family_of(header->nfgen_family);
  chain.table = attributes.text(NFTA_CHAIN_TABLE);
  chain.name = attributes.text(NFTA_CHAIN_NAME);
  if (chain.family.empty() || (chain.family == "inet" && is_ours(chain.table))) return std::nullopt;
  const Attributes hook(attributes.bytes(NFTA_CHAIN_HOOK));
  const auto at = network_u32(hook, NFTA_HOOK_HOOKNUM);
  const auto type = attributes.text(NFTA_CHAIN_TYPE);
  if (at == NF_INET_POST_ROUTING && type == "nat") {
    chain.hook = BaseChain::Hook::kPostroutingNat;
  } else if (at != NF_INET_FORWARD || type != "filter") {
    return std::nullopt;
  }
  chain.priority = static_cast<std::int32_t>(network_u32(hook, NFTA_HOOK_PRIORITY));
  chain.drops =
      attributes.has(NFTA_CHAIN_POLICY) && network_u32(attributes, NFTA_CHAIN_POLICY) == NF_DROP;
  return chain;
}

// Whether a rule of the table has the begin of our devices' names in its expressions: nft and
// iptables compare a packet's device with such bytes.
Result<bool> names_ours(Socket& socket, const BaseChain& chain) {
  auto message = request(NFT_MSG_GETRULE, number_of(chain.family));
  message.put(NFTA_RULE_TABLE, chain.table);
  bool found = false;
  auto ok = socket.dump(
      message,
      [&](const nlmsghdr* m) {
        const Attributes attributes(m, sizeof(nfgenmsg));
        const auto bytes = attributes.bytes(NFTA_RULE_EXPRESSIONS);
        found = found || std::search(bytes.begin(), bytes.end(), kOurDevices.begin(),
                                     kOurDevices.end()) != bytes.end();
      },
      "nft rules");
  if (!ok) return fail(std::move(ok.error()));
  return found;
}

}  // namespace

Result<std::vector<BaseChain>> RtnlKernel::all_base_chains() {
  auto socket = Socket::open(NETLINK_NETFILTER);
  if (!socket) return fail(std::move(socket.error()).context("nftables"));
  std::vector<BaseChain> chains;
  auto ok = socket->dump(
      request(NFT_MSG_GETCHAIN, NFPROTO_UNSPEC),
      [&](const nlmsghdr* message) {
        if (auto chain = base_chain(message)) chains.push_back(std::move(*chain));
      },
      "nft chains");
  if (!ok) return fail(std::move(ok.error()));
  for (auto& chain : chains) {
    if (!chain.drops || chain.hook != BaseChain::Hook::kForward) continue;
    auto named = names_ours(*socket, chain);
    if (!named) return fail(std::move(named.error()));
    chain.names_ours = *named;
  }
  std::sort(chains.begin(), chains.end(), [](const auto& a, const auto& b) {
    return std::tie(a.family, a.table, a.name) < std::tie(b.family, b.table, b.name);
  });
  return chains;
}

}  // namespace cw::netlink
