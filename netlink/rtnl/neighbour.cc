// Neighbours and the VXLAN forwarding database. Both use the same messages, the FDB with family
// AF_BRIDGE.
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "netlink/rtnl/state.h"

namespace cw::netlink {

namespace {

Message entry_message(int type, int flags, std::uint8_t family, std::uint32_t index,
                      const IpAddress& destination, const Mac& mac) {
  ndmsg header{};
  header.ndm_family = family;
  header.ndm_ifindex = static_cast<int>(index);
  header.ndm_state = NUD_PERMANENT;
  if (family == AF_BRIDGE) header.ndm_flags = NTF_SELF;
  Message message(type, flags, header);
  message.put(NDA_DST, destination.bytes());
  message.put(NDA_LLADDR, mac);
  return message;
}

bool is_gone(const Result<>& result) { return !result && result.error().code == Errc::kNotFound; }

struct Entry {
  IpAddress destination;
  Mac mac{};
};

Result<std::vector<Entry>> dump_entries(Socket& socket, std::uint8_t family, std::uint32_t index) {
  std::vector<Entry> entries;
  ndmsg request{};
  request.ndm_family = family;
  Message message(RTM_GETNEIGH, 0, request);
  if (family != AF_BRIDGE) message.put_u32(NDA_IFINDEX, index);
  auto ok = socket.dump(
      message,
      [&](const nlmsghdr* m) {
        const auto* header = static_cast<const ndmsg*>(NLMSG_DATA(m));
        if (header->ndm_ifindex != static_cast<int>(index) || header->ndm_family != family ||
            (header->ndm_state & NUD_PERMANENT) == 0) {
          return;
        }
        const Attributes attributes(m, sizeof *header);
        const auto mac = attributes.bytes(NDA_LLADDR);
        const auto destination = IpAddress::from_bytes(attributes.bytes(NDA_DST));
        if (!destination || mac.size() != 6) return;
        Entry entry{*destination, {}};
        std::copy(mac.begin(), mac.end(), entry.mac.begin());
        entries.push_back(entry);
      },
      family == AF_BRIDGE ? "fdb" : "neighbours");
  if (!ok) return fail(ok.error());
  return entries;
}

}  // namespace

Result<std::vector<Neighbour>> RtnlKernel::dump_neighbours(const std::string& link) {
  const auto index = index_of(link);
  if (!index) return std::vector<Neighbour>();
  std::vector<Neighbour> out;
  for (const auto family : {AF_INET, AF_INET6}) {
    const auto entries = dump_entries(state_->socket, static_cast<std::uint8_t>(family), *index);
    if (!entries) return fail(entries.error());
    for (const auto& entry : *entries) out.push_back({entry.destination, entry.mac});
  }
  return out;
}

Result<> RtnlKernel::replace_neighbour(const std::string& link, const Neighbour& n) {
  const auto index = index_of(link);
  if (!index) return fail(index.error());
  return state_->socket.request(entry_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE,
                                              af(n.address.family()), *index, n.address, n.mac),
                                "neighbour " + n.address.to_string());
}

Result<> RtnlKernel::remove_neighbour(const std::string& link, const Neighbour& n) {
  const auto index = index_of(link);
  if (!index) return {};
  auto ok = state_->socket.request(
      entry_message(RTM_DELNEIGH, 0, af(n.address.family()), *index, n.address, n.mac),
      "remove neighbour " + n.address.to_string());
  return is_gone(ok) ? Result<>() : ok;
}

Result<std::vector<FdbEntry>> RtnlKernel::dump_fdb(const std::string& link) {
  const auto index = index_of(link);
  if (!index) return std::vector<FdbEntry>();
  const auto entries = dump_entries(state_->socket, AF_BRIDGE, *index);
  if (!entries) return fail(entries.error());
  std::vector<FdbEntry> out;
  for (const auto& entry : *entries) out.push_back({entry.mac, entry.destination});
  return out;
}

Result<> RtnlKernel::replace_fdb(const std::string& link, const FdbEntry& entry) {
  const auto index = index_of(link);
  if (!index) return fail(index.error());
  return state_->socket.request(entry_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, AF_BRIDGE,
                                              *index, entry.remote, entry.mac),
                                "fdb " + to_string(entry.mac));
}

Result<> RtnlKernel::remove_fdb(const std::string& link, const FdbEntry& entry) {
  const auto index = index_of(link);
  if (!index) return {};
  auto ok = state_->socket.request(
      entry_message(RTM_DELNEIGH, 0, AF_BRIDGE, *index, entry.remote, entry.mac),
      "remove fdb " + to_string(entry.mac));
  return is_gone(ok) ? Result<>() : ok;
}

}  // namespace cw::netlink
