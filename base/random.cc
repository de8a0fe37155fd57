#include "base/random.h"

#include <sys/random.h>

#include <cerrno>

#include "base/error.h"

namespace cw {

void SystemRandom::fill(std::span<std::byte> out) {
  while (!out.empty()) {
    const auto got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    CW_CHECK(got > 0);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace cw
