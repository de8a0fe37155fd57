// Links and addresses.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>

#include "netlink/rtnl/state.h"

namespace cw::netlink {

std::string to_string(const Mac& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3],
                     mac[4], mac[5]);
}

Result<std::unique_ptr<RtnlKernel>> RtnlKernel::open(Loop& loop) {
  auto socket = Socket::open(NETLINK_ROUTE);
  if (!socket) return fail(socket.error());
  return std::unique_ptr<RtnlKernel>(
      new RtnlKernel(std::make_unique<State>(loop, std::move(*socket))));
}

RtnlKernel::RtnlKernel(std::unique_ptr<State> state) : state_(std::move(state)) {}
RtnlKernel::~RtnlKernel() = default;

namespace {

struct ParsedLink {
  Link link;
  VxlanSpec vxlan;  // if kind is vxlan
};

ParsedLink parse_link(const nlmsghdr* message) {
  const auto* header = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  const Attributes attributes(message, sizeof *header);
  ParsedLink out;
  out.link.index = static_cast<std::uint32_t>(header->ifi_index);
  out.link.name = attributes.text(IFLA_IFNAME);
  out.link.mtu = attributes.u32(IFLA_MTU);
  out.link.master = attributes.u32(IFLA_MASTER);
  out.link.up = (header->ifi_flags & IFF_UP) != 0;
  const auto mac = attributes.bytes(IFLA_ADDRESS);
  if (mac.size() == out.link.mac.size()) std::copy(mac.begin(), mac.end(), out.link.mac.begin());
  const Attributes info(attributes.bytes(IFLA_LINKINFO));
  out.link.kind = info.text(IFLA_INFO_KIND);
  if (out.link.kind == "vxlan") {
    const Attributes data(info.bytes(IFLA_INFO_DATA));
    out.vxlan.name = out.link.name;
    out.vxlan.vni = data.u32(IFLA_VXLAN_ID);
    out.vxlan.port = ntohs(data.u16(IFLA_VXLAN_PORT));
    const auto local =
        data.has(IFLA_VXLAN_LOCAL6) ? data.bytes(IFLA_VXLAN_LOCAL6) : data.bytes(IFLA_VXLAN_LOCAL);
    if (const auto address = IpAddress::from_bytes(local)) out.vxlan.local = *address;
    out.vxlan.mtu = out.link.mtu;
    out.vxlan.mac = out.link.mac;
  }
  return out;
}

Result<std::vector<ParsedLink>> dump_links(Socket& socket) {
  std::vector<ParsedLink> links;
  const Message message(RTM_GETLINK, 0, ifinfomsg{});
  auto ok = socket.dump(
      message, [&](const nlmsghdr* m) { links.push_back(parse_link(m)); }, "links");
  if (!ok) return fail(ok.error());
  return links;
}

}  // namespace

Result<std::vector<Link>> RtnlKernel::all_links() {
  auto parsed = dump_links(state_->socket);
  if (!parsed) return fail(parsed.error());
  std::vector<Link> links;
  for (auto& one : *parsed) links.push_back(std::move(one.link));
  return links;
}

Result<std::uint32_t> RtnlKernel::index_of(const std::string& link) {
  const auto index = if_nametoindex(link.c_str());
  if (index == 0) return fail(Errc::kNotFound, fmt::format("no link {}", link));
  return index;
}

std::string RtnlKernel::name_of(std::uint32_t index) {
  char name[IF_NAMESIZE] = {};
  return if_indextoname(index, name) != nullptr ? name : "";
}

Result<std::optional<VxlanSpec>> RtnlKernel::dump_vxlan(const std::string& name) {
  const auto links = dump_links(state_->socket);
  if (!links) return fail(links.error());
  for (const auto& one : *links) {
    if (one.link.name != name) continue;
    if (one.link.kind != "vxlan") {
      return fail(Errc::kExists,
                  fmt::format("link {} is of kind \"{}\", not vxlan", name, one.link.kind));
    }
    return std::optional<VxlanSpec>(one.vxlan);
  }
  return std::optional<VxlanSpec>();
}

Result<> RtnlKernel::replace_vxlan(const VxlanSpec& spec) {
  const auto have = dump_vxlan(spec.name);
  if (!have) return fail(have.error());
  if (*have &&
      ((*have)->vni != spec.vni || (*have)->port != spec.port || (*have)->local != spec.local)) {
    if (auto ok = remove_link(spec.name, "vxlan"); !ok) return ok;
  } else if (*have) {
    if ((*have)->mac != spec.mac) {
      ifinfomsg header{};
      header.ifi_index = static_cast<int>(if_nametoindex(spec.name.c_str()));
      Message message(RTM_NEWLINK, 0, header);
      message.put(IFLA_ADDRESS, spec.mac);
      if (auto ok = state_->socket.request(message, "set MAC of " + spec.name); !ok) return ok;
    }
    return set_link(spec.name, spec.mtu, true);
  }
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  message.put(IFLA_IFNAME, spec.name);
  message.put_u32(IFLA_MTU, spec.mtu);
  message.put(IFLA_ADDRESS, spec.mac);
  message.nest(IFLA_LINKINFO, [&](Message& m) {
    m.put(IFLA_INFO_KIND, std::string("vxlan"));
    m.nest(IFLA_INFO_DATA, [&](Message& d) {
      d.put_u32(IFLA_VXLAN_ID, spec.vni);
      d.put_u16(IFLA_VXLAN_PORT, htons(spec.port));
      const int local = spec.local.is_v4() ? int{IFLA_VXLAN_LOCAL} : int{IFLA_VXLAN_LOCAL6};
      d.put(local, spec.local.bytes());
      d.put_u8(IFLA_VXLAN_LEARNING, 0);
      // Over IPv6, also take packets without a UDP checksum (RFC 6935).
      if (spec.local.is_v6()) d.put_u8(IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1);
    });
  });
  if (auto ok = state_->socket.request(message, "add " + spec.name); !ok) return ok;
  return set_link(spec.name, spec.mtu, true);
}

Result<> RtnlKernel::set_link(const std::string& name, std::uint32_t mtu, bool up) {
  const auto index = index_of(name);
  if (!index) return fail(index.error());
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(*index);
  header.ifi_change = IFF_UP;
  header.ifi_flags = up ? static_cast<unsigned>(IFF_UP) : 0U;
  Message message(RTM_NEWLINK, 0, header);
  if (mtu != 0) message.put_u32(IFLA_MTU, mtu);
  return state_->socket.request(message, "set " + name);
}

Result<> RtnlKernel::remove_link(const std::string& name, const std::string& kind) {
  const auto links = all_links();
  if (!links) return fail(links.error());
  const auto found =
      std::find_if(links->begin(), links->end(), [&](const Link& l) { return l.name == name; });
  if (found == links->end()) return {};
  if (found->kind != kind) {
    return fail(Errc::kExists, fmt::format("link {} is of kind \"{}\", not \"{}\": left alone",
                                           name, found->kind, kind));
  }
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(found->index);
  return state_->socket.request(Message(RTM_DELLINK, 0, header), "remove " + name);
}

Result<std::vector<Address>> RtnlKernel::all_addresses() {
  std::vector<Address> addresses;
  auto ok = state_->socket.dump(
      Message(RTM_GETADDR, 0, ifaddrmsg{}),
      [&](const nlmsghdr* m) {
        const auto* header = static_cast<const ifaddrmsg*>(NLMSG_DATA(m));
        const Attributes attributes(m, sizeof *header);
        // IFA_LOCAL is our end of a point-to-point address. IPv6 addresses often have none.
        const auto raw =
            attributes.has(IFA_LOCAL) ? attributes.bytes(IFA_LOCAL) : attributes.bytes(IFA_ADDRESS);
        const auto address = IpAddress::from_bytes(raw);
        if (address)
          addresses.push_back({name_of(header->ifa_index), *address, header->ifa_prefixlen});
      },
      "addresses");
  if (!ok) return fail(ok.error());
  return addresses;
}

namespace {

Result<Message> address_message(int type, int flags, const Address& address, std::uint32_t index) {
  ifaddrmsg header{};
  header.ifa_family = af(address.address.family());
  header.ifa_prefixlen = static_cast<std::uint8_t>(address.length);
  header.ifa_index = index;
  // No duplicate address detection: the address follows from a key, and must be usable at once.
  if (address.address.is_v6()) header.ifa_flags = IFA_F_NODAD;
  Message message(type, flags, header);
  message.put(IFA_LOCAL, address.address.bytes());
  message.put(IFA_ADDRESS, address.address.bytes());
  return message;
}

}  // namespace

Result<> RtnlKernel::replace_address(const Address& address) {
  const auto index = index_of(address.link);
  if (!index) return fail(index.error());
  const auto message = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address, *index);
  return state_->socket.request(*message, "address " + address.address.to_string());
}

Result<> RtnlKernel::remove_address(const Address& address) {
  const auto index = index_of(address.link);
  if (!index) return {};  // no link, no address
  const auto message = address_message(RTM_DELADDR, 0, address, *index);
  auto ok = state_->socket.request(*message, "remove address " + address.address.to_string());
  if (!ok && ok.error().text.find("EADDRNOTAVAIL") != std::string::npos) return {};
  return ok;
}

}  // namespace cw::netlink
