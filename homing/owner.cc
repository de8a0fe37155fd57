#include "homing/owner.h"

#include <algorithm>

#include "tunnel/key.h"

namespace cw::homing {

OwnerId owner_id(std::string_view node) {
  OwnerId id;
  if (node.empty()) return id;
  const auto digest = tunnel::digest_of("causeway owner", {}, node);
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

std::set<Family> families_of(const std::vector<Prefix>& prefixes) {
  std::set<Family> families;
  for (const auto& prefix : prefixes) families.insert(prefix.family());
  return families;
}

}  // namespace cw::homing
