// The replay window of one receiving key (RFC 6479): a ring of 8,192 bits. 8,128 of them are usable
// behind the newest counter. check() before decryption is a cheap filter. accept() after
// authentication decides.
#pragma once

#include <array>
#include <cstdint>

namespace cw::tunnel::engine {

inline constexpr std::uint64_t kRejectAfterMessages = UINT64_MAX - (std::uint64_t{1} << 13U);

class ReplayWindow {
 public:
  static constexpr std::uint64_t kBits = 8192;
  static constexpr std::uint64_t kUsable = kBits - 64;

  // Whether `counter` could still be accepted.
  [[nodiscard]] bool check(std::uint64_t counter) const {
    if (counter >= kRejectAfterMessages) return false;
    if (counter >= next_) return true;
    if (next_ - counter > kUsable) return false;
    return (words_[word(counter)] & bit(counter)) == 0;
  }

  // Records `counter` if it is new and inside the window; else returns false.
  [[nodiscard]] bool accept(std::uint64_t counter) {
    if (!check(counter)) return false;
    if (counter >= next_) {
      // Clears the words that the window moves into.
      const auto from = next_ == 0 ? 0 : (next_ - 1) / 64 + 1;
      const auto to = counter / 64;
      const auto count = to >= from ? to - from + 1 : 0;
      if (next_ == 0 || count >= words_.size()) {
        words_.fill(0);
      } else {
        for (auto w = from; w <= to; ++w) words_[w % words_.size()] = 0;
      }
      next_ = counter + 1;
    }
    words_[word(counter)] |= bit(counter);
    return true;
  }

 private:
  [[nodiscard]] static std::size_t word(std::uint64_t counter) {
    return static_cast<std::size_t>(counter / 64 % (kBits / 64));
  }
  [[nodiscard]] static std::uint64_t bit(std::uint64_t counter) {
    return std::uint64_t{1} << (counter % 64);
  }

  std::uint64_t next_ = 0;  // one more than the highest accepted counter
  std::array<std::uint64_t, kBits / 64> words_{};
};

}  // namespace cw::tunnel::engine
