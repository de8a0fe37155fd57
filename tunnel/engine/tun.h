// A TUN device with IFF_VNET_HDR: one read gives one packet or one super-packet of up to 64 KiB
// (linux/if_tun.h, Documentation/networking/tuntap.rst). The device lives as long as this object.
// It asks for the best offloads and falls back: USO (Linux 6.2) and TSO, then TSO, then none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "tunnel/engine/vnet.h"

namespace cw::tunnel::engine {

// The largest packet that a read can give, without its header.
inline constexpr std::size_t kMaxTunPacket = 65535;

class Tun {
 public:
  // kExists: another program has the name. kDenied: no CAP_NET_ADMIN. kUnsupported: no
  // /dev/net/tun. If `tso` or `uso` is false, that offload is not asked for.
  [[nodiscard]] static Result<Tun> open(const std::string& name, bool tso, bool uso);

  enum class Io : std::uint8_t {
    kDone,
    kAgain,   // nothing to read, or no room to write
    kGone,    // the interface was deleted
    kFailed,  // this packet failed (link down, malformed)
    kInvalid  // EINVAL: this kernel refuses the super-packet
  };
  // Never blocks. kDone: `out` has a packet of `size` bytes, and `header` describes it.
  [[nodiscard]] Io read(VnetHeader& header, std::span<std::uint8_t> out, std::size_t& size);
  [[nodiscard]] Io write(const VnetHeader& header, std::span<const std::span<std::uint8_t>> pieces);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] unsigned ifindex() const { return ifindex_; }
  [[nodiscard]] bool tso() const { return tso_; }
  [[nodiscard]] bool uso() const { return uso_; }

 private:
  Tun() = default;
  UniqueFd fd_;
  unsigned ifindex_ = 0;
  bool tso_ = false;
  bool uso_ = false;
};

// The interface's MTU in this network namespace.
[[nodiscard]] Result<std::size_t> mtu_of(unsigned ifindex);

}  // namespace cw::tunnel::engine
