// Receiver indices that a socket filter can tell from made-up ones without a list of the existing
// ones. Of the 32 bits, read in network order, the upper 12 are a keyed function of the lower 20. A
// random guess passes once in 4,096 times, and then meets the table of existing indices. Each
// device has its own random key for its whole life. An on-path attacker could derive the key, but
// can copy valid indices anyway. The tag only limits the load of a flood; it authenticates nothing.
#pragma once

#include <cstdint>

#include "base/random.h"

namespace cw::tunnel::engine {

class IndexTag {
 public:
  static constexpr std::uint32_t kNumber = 0x000fffff;
  static constexpr std::uint32_t kTag = ~kNumber;

  explicit IndexTag(Random& random)
      : factor_(static_cast<std::uint32_t>(random.next()) | 1U),
        addend_(static_cast<std::uint32_t>(random.next())) {}

  // The index made of the lower 20 bits of `number`, as messages.h loads and stores it.
  [[nodiscard]] std::uint32_t index_of(std::uint32_t number) const {
    return __builtin_bswap32((tag_of(number) & kTag) | (number & kNumber));
  }
  [[nodiscard]] bool is_ours(std::uint32_t index) const {
    const auto read = __builtin_bswap32(index);
    return (tag_of(read) & kTag) == (read & kTag);
  }
  // The tag of a number: the upper 12 bits of number * factor + addend (modulo 2^32).
  [[nodiscard]] std::uint32_t factor() const { return factor_; }
  [[nodiscard]] std::uint32_t addend() const { return addend_; }

 private:
  [[nodiscard]] std::uint32_t tag_of(std::uint32_t number) const {
    return (number & kNumber) * factor_ + addend_;
  }
  std::uint32_t factor_;
  std::uint32_t addend_;
};

}  // namespace cw::tunnel::engine
