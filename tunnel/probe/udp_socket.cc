#include "tunnel/probe/udp_socket.h"

#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/socket.h"

namespace cw::tunnel {

Result<UdpSocket> open_udp_socket(const Endpoint& local, const std::string& device,
                                  std::string_view what) {
  const auto family = local.address.is_v4() ? AF_INET : AF_INET6;
  UdpSocket socket{UniqueFd(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)), 0};
  if (!socket.fd) return fail(errno_error(errno, std::string(what)));
  const int fd = socket.fd.get();
  const int one = 1;
  if (family == AF_INET6) (void)::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (!device.empty()) {
    socket.device = if_nametoindex(device.c_str());
    if (socket.device == 0 || ::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.data(),
                                           static_cast<socklen_t>(device.size())) != 0) {
      return fail(Errc::kUnavailable, fmt::format("{}: no device {}", what, device));
    }
  }
  if (!bind_socket(fd, local, local.address.is_link_local() ? socket.device : 0)) {
    return fail(errno_error(errno, fmt::format("{} {}", what, local.to_string())));
  }
  return socket;
}

}  // namespace cw::tunnel
