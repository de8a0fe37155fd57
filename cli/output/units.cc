#include "cli/output/units.h"

#include <fmt/format.h>

#include <array>

namespace cw::cli {

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto amount = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (amount >= 1023.95 && unit + 1 < kUnits.size()) {
    amount /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string age_text(Duration age) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  if (seconds < 60) return fmt::format("{}s", seconds < 0 ? 0 : seconds);
  if (seconds < 3600) return fmt::format("{}m", seconds / 60);
  if (seconds < 48L * 3600) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

std::string since_text(WallTime at, WallTime now) {
  return at == WallTime{} ? "never" : age_text(now - at);
}

std::string millis_text(double milliseconds) {
  if (milliseconds < 10) return fmt::format("{:.2f} ms", milliseconds);
  if (milliseconds < 100) return fmt::format("{:.1f} ms", milliseconds);
  return fmt::format("{:.0f} ms", milliseconds);
}

std::string percent_text(double share) {
  const double percent = share * 100;
  if (percent <= 0) return "0%";
  if (percent < 10) return fmt::format("{:.1f}%", percent);
  return fmt::format("{:.0f}%", percent);
}

}  // namespace cw::cli
