// A public key in a form that two people can compare by telephone. It contains no secret.
#pragma once

#include <string>

#include "tunnel/key.h"

namespace cw::tunnel {

// The first 125 bits of SHA-256(key) in base32 (RFC 4648), five groups of five characters:
// "K7QXN-2FJ3A-M6ZTW-QY4PD-LBE5R". Another key with the same text takes 2^125 tries.
[[nodiscard]] std::string fingerprint(const Key& public_key);

}  // namespace cw::tunnel
