// Bytes as the published test vectors write them.
#pragma once

#include <string>

#include "tunnel/engine/crypto.h"

namespace cw::tunnel::engine {

inline std::string hex(Bytes bytes) {
  std::string out;
  for (const auto b : bytes) {
    out += "0123456789abcdef"[b >> 4U];
    out += "0123456789abcdef"[b & 15U];
  }
  return out;
}

}  // namespace cw::tunnel::engine
