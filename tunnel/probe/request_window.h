// The newest requests of a detector, by sequence number. Older ones are forgotten. `Request` has
// `TimePoint at` (when it was sent) and `bool answered`. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "base/loop.h"

namespace cw::tunnel {

template <typename Request>
class RequestWindow {
 public:
  static constexpr std::size_t kSize = 64;

  // Adds a request and returns its sequence number.
  std::uint64_t add(const Request& request) {
    requests_[next_ % kSize] = request;
    return next_++;
  }
  [[nodiscard]] std::uint64_t next() const { return next_; }  // the next sequence number
  [[nodiscard]] std::uint64_t oldest() const { return next_ > kSize ? next_ - kSize : 0; }
  // Precondition: oldest() <= sequence < next().
  [[nodiscard]] const Request& at(std::uint64_t sequence) const {
    return requests_[sequence % kSize];
  }
  // Marks the request as answered and returns it. Null, and no change: it is unknown or was
  // answered.
  const Request* answer(std::uint64_t sequence) {
    if (!open(sequence)) return nullptr;
    auto& request = requests_[sequence % kSize];
    request.answered = true;
    return &request;
  }
  // The request is known and not answered.
  [[nodiscard]] bool open(std::uint64_t sequence) const {
    return sequence < next_ && next_ - sequence <= kSize && !at(sequence).answered;
  }

 private:
  std::array<Request, kSize> requests_{};
  std::uint64_t next_ = 0;
};

}  // namespace cw::tunnel
