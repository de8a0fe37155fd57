#include "gateway/feed/peer_address.h"

#include <string>

namespace cw::gateway {

Result<IpAddress> peer_address(std::string_view peer) {
  const auto bad = [peer] {
    return fail(Errc::kInvalid, "not an IP peer: " + std::string(peer.substr(0, 100)));
  };
  if (peer.size() > 100) return bad();
  if (peer.rfind("ipv4:", 0) != 0 && peer.rfind("ipv6:", 0) != 0) return bad();
  std::string text(peer.substr(5));
  for (const auto& [escaped, plain] : {std::pair("%5B", "["), std::pair("%5D", "]")}) {
    if (const auto at = text.find(escaped); at != std::string::npos) text.replace(at, 3, plain);
  }
  const auto endpoint = Endpoint::parse(text);
  if (!endpoint) return bad();
  return endpoint->address;
}

}  // namespace cw::gateway
