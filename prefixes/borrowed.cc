#include "prefixes/borrowed.h"

#include <fmt/format.h>

namespace cw::prefixes {

std::string borrowed_note(const Borrowed& borrowed) {
  constexpr const char* kRemedy =
      "Set strictAffinity: true in Calico's IPAM configuration, and give the IPPool smaller or "
      "more "
      "blocks, so that each node has blocks of its own";
  if (borrowed.size() > kMostBorrowed) {
    return fmt::format(
        "{} pods have addresses of other nodes' blocks, more than the {} that Causeway follows: "
        "remote clusters reach none of these pods. {}",
        borrowed.size(), kMostBorrowed, kRemedy);
  }
  return fmt::format(
      "{} {} of another node's block, for example {} on node {}: each is announced by itself. {}",
      borrowed.size(), borrowed.size() == 1 ? "pod has an address" : "pods have addresses",
      borrowed.begin()->first.to_string(), borrowed.begin()->second, kRemedy);
}

}  // namespace cw::prefixes
