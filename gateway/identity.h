// The identity of this gateway: its WireGuard key, from a file or from the Secret
// causeway-gateway-<ordinal> (entry "privateKey", base64). Also the secret of the cluster's own
// overlay (Secret causeway-overlay-key, entry "key", 32 bytes).
#pragma once

#include <optional>
#include <string>

#include "api/names.h"
#include "api/types/secret.h"
#include "tunnel/key.h"

namespace cw::gateway {

using api::key_secret;
using api::kOverlayEntry;
using api::kOverlayKeyBytes;
using api::kOverlaySecret;
using api::kPresharedKeyEntry;
using api::kPrivateKeyEntry;

// A sentence for a missing Secret. It names the commands that make the Secret.
[[nodiscard]] std::string missing_secret(const std::string& ns, const std::string& name);

// The key that two clusters share in addition to their key pairs (WireGuard paper, section 5.2).
struct PresharedKey {
  tunnel::Key key;
  bool kept = false;  // its Secret had it before and has no readable key now
};

// kInvalid, with the path: no such file, not readable, or no base64 key in it.
[[nodiscard]] Result<tunnel::Key> key_from_file(const std::string& path);
// Reads a base64 key. White space around it is ignored. kNotFound: no such entry. kInvalid: not a
// key.
[[nodiscard]] Result<tunnel::Key> key_from_secret(const api::Secret& secret,
                                                  const std::string& entry);
[[nodiscard]] std::string fresh_private_key(Random& random);  // base64
[[nodiscard]] std::string fresh_overlay_key(Random& random);  // 32 bytes

}  // namespace cw::gateway
