#include "base/socket.h"

#include <sys/socket.h>

namespace cw {

bool bind_socket(int fd, const Endpoint& at, std::uint32_t scope) {
  sockaddr_storage address{};
  const auto size = at.to_sockaddr(address, scope);
  return ::bind(fd, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(size)) == 0;
}

std::optional<Endpoint> local_endpoint(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  const auto at = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&address), size);
  return at ? std::optional(*at) : std::nullopt;
}

}  // namespace cw
