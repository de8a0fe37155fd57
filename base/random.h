// Randomness as an input: product code gets the kernel's (getrandom), tests a seeded one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace cw {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::byte> out) = 0;

  [[nodiscard]] std::uint64_t next() {
    std::array<std::byte, 8> bytes{};
    fill(bytes);
    std::uint64_t value = 0;
    for (const auto byte : bytes) value = (value << 8U) | std::to_integer<std::uint64_t>(byte);
    return value;
  }
};

// getrandom(2). Aborts if it fails.
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::byte> out) override;
};

}  // namespace cw
