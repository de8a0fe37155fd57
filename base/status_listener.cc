#include "base/status_listener.h"

#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/socket.h"

namespace cw {

namespace {

// `shared`: several sockets of this process use the port.
Result<UniqueFd> bound(const Endpoint& at, bool shared) {
  const auto failed = [&] {
    return fail(errno_error(errno, fmt::format("status endpoint {}", at.to_string())));
  };
  UniqueFd fd(::socket(at.address.is_v4() ? AF_INET : AF_INET6,
                       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // "[::]" means every address of the host. A kernel without IPv6 has only IPv4 addresses.
  if (!fd && errno == EAFNOSUPPORT && !at.address.is_v4() && at.address.is_unspecified()) {
    return bound({IpAddress::v4({}), at.port}, shared);
  }
  if (!fd) return failed();
  const int one = 1;
  const int off = 0;
  if (!at.address.is_v4()) {
    (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (shared) (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  if (!bind_socket(fd.get(), at)) return failed();
  return fd;
}

std::uint16_t port_of(const UniqueFd& fd) {
  const auto at = local_endpoint(fd.get());
  return at ? at->port : std::uint16_t{0};
}

// Makes socket 0, which listened first, take what arrives by the loopback device. Socket 1 takes
// the rest. The loopback device has index 1 in every network namespace. A packet of another host
// cannot pretend to be local: Linux drops it when its source is an address of this host. False: the
// kernel does not support it.
bool split_by_device(const UniqueFd& fd) {
  constexpr auto kDevice = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_IFINDEX);
  std::array<sock_filter, 4> code{{
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, kDevice},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 1},
      {BPF_RET | BPF_K, 0, 0, 0},
      {BPF_RET | BPF_K, 0, 0, 1},
  }};
  const sock_fprog program{code.size(), code.data()};
  return ::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) ==
         0;
}

Result<UniqueFd> listening(const Endpoint& at) {
  auto fd = bound(at, true);
  if (fd && ::listen(fd->get(), SOMAXCONN) != 0) {
    return fail(errno_error(errno, fmt::format("status endpoint {}", at.to_string())));
  }
  return fd;
}

}  // namespace

std::uint16_t StatusListeners::port() const { return port_of(others); }

Result<StatusListeners> listen_for_status(const Endpoint& at) {
  // With SO_REUSEPORT, Linux would let another process of this user share the port without an
  // error. A first bind without it detects such a process.
  if (at.port != 0) {
    if (auto alone = bound(at, false); !alone) return fail(std::move(alone.error()));
  }
  auto own = listening(at);
  if (!own) return fail(std::move(own.error()));
  auto others = listening({at.address, port_of(*own)});
  if (!others) return fail(std::move(others.error()));
  if (!split_by_device(*own)) own->reset();
  return StatusListeners{std::move(*own), std::move(*others)};
}

}  // namespace cw
