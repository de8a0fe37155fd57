#include "tunnel/fingerprint.h"

#include <string_view>

namespace cw::tunnel {

std::string fingerprint(const Key& public_key) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  constexpr std::size_t kCharacters = 25;
  constexpr std::size_t kGroup = 5;
  const auto digest = digest_of("", {&public_key});
  std::string text;
  for (std::size_t i = 0; i < kCharacters; ++i) {
    const auto bit = 5 * i;
    const auto word = static_cast<unsigned>(digest[bit / 8] << 8U) | digest[bit / 8 + 1];
    if (i != 0 && i % kGroup == 0) text += '-';
    text += kAlphabet[(word >> (11 - bit % 8)) & 31U];
  }
  return text;
}

}  // namespace cw::tunnel
