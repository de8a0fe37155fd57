// Any bytes as the file given to `causewayctl pair accept`, and as a name to resolve.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "cli/pair.h"
#include "cli/resolve.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  cw::cli::OwnCluster own;
  own.id = "east";
  own.pods = {*cw::Prefix::parse("10.1.0.0/24")};
  if (const auto peer = cw::cli::parse_peer(text, "input")) {
    if (cw::cli::acceptable(*peer, own)) {
      for (const auto& prefix : peer->spec.allowed_cidrs) {
        CW_CHECK(!cw::never_a_peers(prefix));
      }
      (void)cw::cli::fingerprints_text(*peer, &*peer);  // total, as all of these
      (void)cw::cli::imports_text(peer->spec);
      // An accepted peer is written so that it reads the same.
      const auto again = cw::cli::parse_peer(cw::cli::peer_yaml(*peer), "again");
      CW_CHECK(again && again->spec == peer->spec);
    }
  }
  if (const auto name = cw::cli::parse_name(text)) {
    CW_CHECK(cw::api::is_dns_label(name->service.name));
  }
  return 0;
}
