#include "netlink/repairs.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"

namespace cw::netlink {

namespace {

std::string plural(const std::string& kind, std::size_t count) {
  if (count == 1) return fmt::format("1 {}", kind);
  if (kind == "address") return fmt::format("{} addresses", count);
  if (kind == "FDB entry") return fmt::format("{} FDB entries", count);
  return fmt::format("{} {}s", count, kind);
}

}  // namespace

std::string repairs_text(const std::map<std::string, std::size_t>& restored) {
  std::string text;
  for (const auto& [kind, count] : restored) {
    text += (text.empty() ? "" : ", ") + plural(kind, count);
  }
  return text;
}

Repairs::Repairs(Loop& loop, Counter& total, std::function<void(const std::string& sentence)> tell)
    : loop_(loop), total_(total), tell_(std::move(tell)) {}

void Repairs::add(const std::map<std::string, std::size_t>& restored) {
  for (const auto& [kind, count] : restored) {
    untold_[kind] += count;
    total_.add(static_cast<double>(count));
  }
  if (!pause_.active()) tell();
}

void Repairs::tell() {
  if (untold_.empty()) return;
  const auto objects = repairs_text(std::exchange(untold_, {}));
  log_warn("another program removed or changed objects of ours: they are there again",
           {{"objects", objects}});
  tell_(fmt::format(
      "another program removed or changed objects of Causeway in this node's kernel, and they are "
      "there again: {}. docs/operations/production-checklist.md lists programs that do so and "
      "their settings",
      objects));
  pause_ = loop_.after(kGap, [this] {
    pause_.reset();
    tell();
  });
}

}  // namespace cw::netlink
