#include "netlink/conntrack/conntrack.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <vector>

#include "base/prefix_set.h"

namespace cw::netlink {

namespace {

struct Close {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, Close>;

struct Tuple {
  std::optional<IpAddress> source;
  std::optional<IpAddress> destination;
};

// What is needed to delete a flow: the bytes of its original tuple, and its id, so that a new flow
// with the same addresses is not deleted.
struct Flow {
  std::vector<std::uint8_t> original;
  std::optional<std::uint32_t> id;
  std::uint8_t family = 0;
};

std::optional<IpAddress> address_of(const nlattr* attribute) {
  const auto* bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
  const auto parsed = IpAddress::from_bytes({bytes, mnl_attr_get_payload_len(attribute)});
  return parsed ? std::optional(*parsed) : std::nullopt;
}

int read_ip(const nlattr* ip, void* context) {
  auto& tuple = *static_cast<Tuple*>(context);
  const auto type = mnl_attr_get_type(ip);
  if (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC) tuple.source = address_of(ip);
  if (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST) tuple.destination = address_of(ip);
  return MNL_CB_OK;
}

int read_tuple(const nlattr* part, void* context) {
  if (mnl_attr_get_type(part) == CTA_TUPLE_IP) (void)mnl_attr_parse_nested(part, read_ip, context);
  return MNL_CB_OK;
}

Tuple tuple_of(const nlattr* nested) {
  Tuple tuple;
  (void)mnl_attr_parse_nested(nested, read_tuple, &tuple);
  return tuple;
}

struct Search {
  const PrefixSet& remotes;
  std::vector<Flow> found;
};

// A reply goes to the address that the flow's source was translated to. Without a translation it
// goes to the source itself.
bool is_translated(const Tuple& original, const Tuple& reply, const PrefixSet& remotes) {
  if (!original.source || !original.destination || !reply.destination) return false;
  const bool remote = remotes.contains(*original.destination) || remotes.contains(*original.source);
  return remote && *reply.destination != *original.source;
}

struct Entry {
  Tuple original;
  Tuple reply;
  Flow flow;
};

int read_entry(const nlattr* attribute, void* context) {
  auto& entry = *static_cast<Entry*>(context);
  switch (mnl_attr_get_type(attribute)) {
    case CTA_TUPLE_ORIG: {
      entry.original = tuple_of(attribute);
      const auto* bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
      entry.flow.original.assign(bytes, bytes + mnl_attr_get_payload_len(attribute));
      break;
    }
    case CTA_TUPLE_REPLY:
      entry.reply = tuple_of(attribute);
      break;
    case CTA_ID:
      entry.flow.id = mnl_attr_get_u32(attribute);  // network order; sent back as it is
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

int collect(const nlmsghdr* message, void* context) {
  auto& search = *static_cast<Search*>(context);
  Entry entry;
  entry.flow.family = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->nfgen_family;
  if (mnl_attr_parse(message, sizeof(nfgenmsg), read_entry, &entry) < 0) return MNL_CB_OK;
  if (is_translated(entry.original, entry.reply, search.remotes)) {
    search.found.push_back(std::move(entry.flow));
  }
  return MNL_CB_OK;
}

class Conntrack {
 public:
  explicit Conntrack(Socket socket) : socket_(std::move(socket)) {}

  Result<> dump(Search& search) {
    auto* header = message(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, AF_UNSPEC);
    return exchange(header, collect, &search);
  }
  Result<> remove(const Flow& flow) {
    auto* header = message(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, flow.family);
    mnl_attr_put(header, NLA_F_NESTED | CTA_TUPLE_ORIG, flow.original.size(), flow.original.data());
    if (flow.id) mnl_attr_put_u32(header, CTA_ID, *flow.id);
    return exchange(header, nullptr, nullptr);
  }

 private:
  nlmsghdr* message(unsigned type, unsigned flags, std::uint8_t family) {
    auto* header = mnl_nlmsg_put_header(buffer_.data());
    header->nlmsg_type = static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8U) | type);
    header->nlmsg_flags = static_cast<std::uint16_t>(flags);
    header->nlmsg_seq = ++sequence_;
    auto* body = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    body->nfgen_family = family;
    body->version = NFNETLINK_V0;
    return header;
  }
  Result<> exchange(const nlmsghdr* header, mnl_cb_t callback, void* context) {
    if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) {
      return fail(errno_error(errno, "conntrack: send"));
    }
    const auto port = mnl_socket_get_portid(socket_.get());
    for (;;) {
      const auto got = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
      if (got < 0) return fail(errno_error(errno, "conntrack: receive"));
      const int state = mnl_cb_run(buffer_.data(), static_cast<std::size_t>(got), sequence_, port,
                                   callback, context);
      if (state == MNL_CB_ERROR) return fail(errno_error(errno, "conntrack"));
      if (state == MNL_CB_STOP) return {};
    }
  }

  Socket socket_;
  unsigned sequence_ = 0;
  std::array<char, 1U << 15U> buffer_{};  // the kernel's dumps use at most 32 KiB a datagram
};

}  // namespace

Result<unsigned> forget_translated_flows(std::span<const Prefix> remotes) {
  Socket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (socket == nullptr || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    if (errno == EPROTONOSUPPORT) return 0U;
    return fail(errno_error(errno, "conntrack: open"));
  }
  const timeval limit{3, 0};  // the kernel answers at once; never wait for long
  (void)::setsockopt(mnl_socket_get_fd(socket.get()), SOL_SOCKET, SO_RCVTIMEO, &limit,
                     sizeof limit);
  const PrefixSet set(remotes);
  Conntrack conntrack(std::move(socket));
  Search search{set, {}};
  if (auto dumped = conntrack.dump(search); !dumped) {
    if (dumped.error().code == Errc::kUnsupported || errno == EINVAL) return 0U;
    return fail(dumped.error());
  }
  unsigned forgotten = 0;
  for (const auto& flow : search.found) {
    auto removed = conntrack.remove(flow);
    if (removed) ++forgotten;
    // kNotFound: the flow has ended by itself.
    if (!removed && removed.error().code != Errc::kNotFound) return fail(removed.error());
  }
  return forgotten;
}

}  // namespace cw::netlink
