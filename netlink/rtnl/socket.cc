#include "netlink/rtnl/socket.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace cw::netlink {

namespace {

constexpr std::size_t kBuffer = 256 << 10;
constexpr int kDumpTries = 10;  // other programs' changes interrupt a dump

// The text of the kernel's extended acknowledgement, if it sent one after the error.
std::string extack(const nlmsghdr* header) {
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
  std::size_t offset = sizeof(nlmsgerr);
  if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) {
    offset += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(nlmsghdr);
  }
  const std::size_t size = header->nlmsg_len - NLMSG_HDRLEN;
  if (offset >= size) return {};
  const auto* at = static_cast<const std::uint8_t*>(NLMSG_DATA(header));
  return Attributes(std::span(at + offset, size - offset)).text(NLMSGERR_ATTR_MSG);
}

Result<> acknowledgement(const nlmsghdr* header, std::string_view what) {
  const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
  if (error->error == 0) return {};
  auto result = errno_error(-error->error, fmt::format("{}: netlink", what));
  if (const auto text = extack(header); !text.empty()) result.text += ": " + text;
  return fail(std::move(result));
}

}  // namespace

void Message::Free::operator()(nl_msg* message) const { nlmsg_free(message); }

Message::Message(int type, int flags, const void* header, std::size_t size)
    : message_(nlmsg_alloc_size(16384)) {
  CW_CHECK(message_ != nullptr);
  CW_CHECK(nlmsg_put(message_.get(), NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, flags) != nullptr);
  CW_CHECK(nlmsg_append(message_.get(), const_cast<void*>(header), size, NLMSG_ALIGNTO) == 0);
}

void Message::put(int attribute, std::span<const std::uint8_t> bytes) {
  CW_CHECK(nla_put(message_.get(), attribute, static_cast<int>(bytes.size()), bytes.data()) == 0);
}
void Message::put(int attribute, const std::string& text) {
  CW_CHECK(nla_put_string(message_.get(), attribute, text.c_str()) == 0);
}
void Message::put_u8(int attribute, std::uint8_t value) {
  CW_CHECK(nla_put_u8(message_.get(), attribute, value) == 0);
}
void Message::put_u16(int attribute, std::uint16_t value) {
  CW_CHECK(nla_put_u16(message_.get(), attribute, value) == 0);
}
void Message::put_u32(int attribute, std::uint32_t value) {
  CW_CHECK(nla_put_u32(message_.get(), attribute, value) == 0);
}
void Message::nest(int attribute, const std::function<void(Message&)>& fill) {
  auto* start = nla_nest_start(message_.get(), attribute);
  CW_CHECK(start != nullptr);
  fill(*this);
  nla_nest_end(message_.get(), start);
}

Attributes::Attributes(const nlmsghdr* message, std::size_t header_size) {
  const auto* from = static_cast<const std::uint8_t*>(NLMSG_DATA(message));
  const auto skip = NLMSG_ALIGN(header_size);
  const std::size_t size = message->nlmsg_len - NLMSG_HDRLEN;
  if (size > skip) *this = Attributes(std::span(from + skip, size - skip));
}

Attributes::Attributes(std::span<const std::uint8_t> nested) {
  while (nested.size() >= sizeof(nlattr)) {
    const auto* attribute = reinterpret_cast<const nlattr*>(nested.data());
    if (attribute->nla_len < sizeof(nlattr) || attribute->nla_len > nested.size()) return;
    all_.push_back(attribute);
    nested = nested.subspan(std::min<std::size_t>(NLA_ALIGN(attribute->nla_len), nested.size()));
  }
}

const nlattr* Attributes::find(int type) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [type](const nlattr* a) {
    return (a->nla_type & NLA_TYPE_MASK) == type;
  });
  return found == all_.end() ? nullptr : *found;
}

std::span<const std::uint8_t> Attributes::bytes(int type) const {
  const auto* attribute = find(type);
  if (attribute == nullptr) return {};
  return {reinterpret_cast<const std::uint8_t*>(attribute) + NLA_HDRLEN,
          static_cast<std::size_t>(attribute->nla_len - NLA_HDRLEN)};
}

std::string Attributes::text(int type) const {
  const auto raw = bytes(type);
  return {raw.begin(), std::find(raw.begin(), raw.end(), 0)};
}

namespace {

template <typename T>
T number(std::span<const std::uint8_t> raw) {
  T value{};
  if (raw.size() >= sizeof value) std::memcpy(&value, raw.data(), sizeof value);
  return value;
}

}  // namespace

std::uint8_t Attributes::u8(int type) const { return number<std::uint8_t>(bytes(type)); }
std::uint16_t Attributes::u16(int type) const { return number<std::uint16_t>(bytes(type)); }
std::uint32_t Attributes::u32(int type) const { return number<std::uint32_t>(bytes(type)); }

void Socket::Free::operator()(nl_sock* socket) const { nl_socket_free(socket); }

Result<Socket> Socket::open(int protocol) {
  Socket socket(nl_socket_alloc());
  CW_CHECK(socket.socket_ != nullptr);
  if (const int err = nl_connect(socket.socket_.get(), protocol); err != 0) {
    return fail(Errc::kInternal, fmt::format("netlink socket: {}", nl_geterror(err)));
  }
  const int one = 1;
  const int fd = nl_socket_get_fd(socket.socket_.get());
  ::setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
  ::setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof one);
  timeval limit{5, 0};  // the kernel answers at once; never wait for long
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return socket;
}

Result<> Socket::request(const Message& message, std::string_view what) {
  auto* header = nlmsg_hdr(message.raw());
  header->nlmsg_flags = static_cast<std::uint16_t>(header->nlmsg_flags | NLM_F_ACK | NLM_F_REQUEST);
  if (const int err = nl_send_auto(socket_.get(), message.raw()); err < 0) {
    return fail(Errc::kInternal, fmt::format("{}: send: {}", what, nl_geterror(err)));
  }
  const auto sequence = nlmsg_hdr(message.raw())->nlmsg_seq;
  std::vector<char> buffer(kBuffer);
  for (int reads = 0; reads < 100; ++reads) {
    const auto n = ::recv(nl_socket_get_fd(socket_.get()), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, fmt::format("{}: netlink", what)));
    auto left = static_cast<int>(n);
    for (auto* at = reinterpret_cast<nlmsghdr*>(buffer.data()); nlmsg_ok(at, left);
         at = nlmsg_next(at, &left)) {
      // Answers to an earlier request that timed out are skipped.
      if (at->nlmsg_seq == sequence && at->nlmsg_type == NLMSG_ERROR)
        return acknowledgement(at, what);
    }
  }
  return fail(Errc::kUnavailable, fmt::format("{}: netlink: no acknowledgement", what));
}

Result<> Socket::dump(const Message& message, const Each& each, std::string_view what) {
  for (int tries = 0; tries < kDumpTries; ++tries) {
    auto* header = nlmsg_hdr(message.raw());
    header->nlmsg_flags =
        static_cast<std::uint16_t>(header->nlmsg_flags | NLM_F_DUMP | NLM_F_REQUEST);
    header->nlmsg_seq = NL_AUTO_SEQ;
    if (const int err = nl_send_auto(socket_.get(), message.raw()); err < 0) {
      return fail(Errc::kInternal, fmt::format("{}: send: {}", what, nl_geterror(err)));
    }
    const auto sequence = nlmsg_hdr(message.raw())->nlmsg_seq;
    std::vector<std::vector<char>> parts;
    bool interrupted = false;
    bool done = false;
    while (!done) {
      std::vector<char> buffer(kBuffer);
      const auto n = ::recv(nl_socket_get_fd(socket_.get()), buffer.data(), buffer.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail(errno_error(errno, fmt::format("{}: netlink", what)));
      buffer.resize(static_cast<std::size_t>(n));
      auto left = static_cast<int>(n);
      for (auto* at = reinterpret_cast<nlmsghdr*>(buffer.data()); nlmsg_ok(at, left);
           at = nlmsg_next(at, &left)) {
        if (at->nlmsg_seq != sequence) continue;
        interrupted = interrupted || (at->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (at->nlmsg_type == NLMSG_ERROR) {
          if (auto ok = acknowledgement(at, what); !ok) return ok;
          done = true;
        }
        done = done || at->nlmsg_type == NLMSG_DONE;
      }
      parts.push_back(std::move(buffer));
    }
    if (interrupted) continue;
    for (auto& part : parts) {
      auto left = static_cast<int>(part.size());
      for (auto* at = reinterpret_cast<nlmsghdr*>(part.data()); nlmsg_ok(at, left);
           at = nlmsg_next(at, &left)) {
        if (at->nlmsg_seq == sequence && at->nlmsg_type >= NLMSG_MIN_TYPE) each(at);
      }
    }
    return {};
  }
  return fail(Errc::kUnavailable,
              fmt::format("{}: netlink: the dump keeps being interrupted", what));
}

}  // namespace cw::netlink
