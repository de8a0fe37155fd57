// What the files of rtnl/ share. Private.
#pragma once

#include <sys/socket.h>

#include <map>

#include "netlink/rtnl/rtnl_kernel.h"
#include "netlink/rtnl/socket.h"

namespace cw::netlink {

struct RtnlKernel::State {
  State(Loop& l, Socket s) : loop(l), socket(std::move(s)) {}
  Loop& loop;
  Socket socket;
};

[[nodiscard]] inline std::uint8_t af(Family family) {
  return family == Family::kV4 ? AF_INET : AF_INET6;
}

}  // namespace cw::netlink
