#include "tunnel/engine/tun.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace cw::tunnel::engine {

namespace {

// TUN_F_USO4 and TUN_F_USO6, which the kernel headers of Debian 12 (Linux 6.1) lack.
constexpr unsigned kTunFUso4 = 0x20;
constexpr unsigned kTunFUso6 = 0x40;

Error open_error(int err, const std::string& name) {
  auto error = errno_error(err, fmt::format("tun device {}", name));
  if (err == EBUSY || err == EINVAL) {
    error.code = Errc::kExists;
    error.text += ": the name is taken by another program or another kind of device";
  }
  if (err == ENOENT || err == ENODEV || err == ENXIO) error.code = Errc::kUnsupported;
  return error;
}

Tun::Io outcome(int err) {
  switch (err) {
    case EAGAIN:
      return Tun::Io::kAgain;
    case EBADFD:
    case EBADF:
      return Tun::Io::kGone;
    case EINVAL:
      return Tun::Io::kInvalid;
    default:
      return Tun::Io::kFailed;
  }
}

}  // namespace

Result<Tun> Tun::open(const std::string& name, bool tso, bool uso) {
  Tun tun;
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return fail(Errc::kInvalid, fmt::format("\"{}\" is no interface name", name));
  }
  tun.fd_.reset(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tun.fd_) return fail(open_error(errno, "/dev/net/tun"));
  ifreq request{};
  std::memcpy(static_cast<char*>(request.ifr_name), name.data(), name.size());
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(tun.fd_.get(), TUNSETIFF, &request) != 0) return fail(open_error(errno, name));
  const unsigned none = TUN_F_CSUM;
  const unsigned with_tso = none | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  const unsigned with_uso = with_tso | kTunFUso4 | kTunFUso6;
  const auto offload = [&](unsigned flags) {
    return ::ioctl(tun.fd_.get(), TUNSETOFFLOAD, static_cast<unsigned long>(flags)) == 0;
  };
  tun.uso_ = tso && uso && offload(with_uso);
  tun.tso_ = tun.uso_ || (tso && offload(with_tso));
  // If even checksum offload is refused, the kernel gives finished packets, which is fine too.
  if (!tun.tso_) (void)offload(none);
  tun.ifindex_ = ::if_nametoindex(name.c_str());
  if (tun.ifindex_ == 0) return fail(open_error(errno, name));
  return tun;
}

Tun::Io Tun::read(VnetHeader& header, std::span<std::uint8_t> out, std::size_t& size) {
  std::array<iovec, 2> parts{{{&header, sizeof header}, {out.data(), out.size()}}};
  const auto n = ::readv(fd_.get(), parts.data(), static_cast<int>(parts.size()));
  if (n < 0) return errno == EINTR ? Io::kAgain : outcome(errno);
  if (static_cast<std::size_t>(n) <= sizeof header) return Io::kFailed;
  size = static_cast<std::size_t>(n) - sizeof header;
  return Io::kDone;
}

Tun::Io Tun::write(const VnetHeader& header, std::span<const std::span<std::uint8_t>> pieces) {
  std::array<iovec, IOV_MAX> parts;  // not zeroed: each part is written before it is read
  auto copy = header;
  parts[0] = {&copy, sizeof copy};
  if (pieces.size() >= parts.size()) return Io::kInvalid;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    parts[i + 1] = {pieces[i].data(), pieces[i].size()};
  }
  for (;;) {
    const auto n = ::writev(fd_.get(), parts.data(), static_cast<int>(pieces.size() + 1));
    if (n >= 0) return Io::kDone;
    if (errno != EINTR) return outcome(errno);
  }
}

Result<std::size_t> mtu_of(unsigned ifindex) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno_error(errno, "socket"));
  ifreq request{};
  if (::if_indextoname(ifindex, static_cast<char*>(request.ifr_name)) == nullptr) {
    return fail(errno_error(errno, "interface name"));
  }
  if (::ioctl(fd.get(), SIOCGIFMTU, &request) != 0) return fail(errno_error(errno, "mtu"));
  return static_cast<std::size_t>(request.ifr_mtu);
}

}  // namespace cw::tunnel::engine
