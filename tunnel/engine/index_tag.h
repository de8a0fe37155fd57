// Receiver indices that a socket filter can tell from made-up ones, without knowing which there
// are: of the 32 bits on the wire, read in network order, the upper 12 are a keyed function of the
// lower 20. One stranger's guess in 4,096 passes, and then meets a table of what exists. The key is
// the device's own and lasts as long as it. Who sees our traffic could learn it, and could flood us
// with indices that it saw anyway; nothing but the load of a flood hangs on it.
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

  // The index, as messages.h loads and stores it, made of the lower 20 bits of `number`.
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
