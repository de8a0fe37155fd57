#include "netlink/fake/fake_nft.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/prefix.h"

namespace cw::netlink {
namespace {

// In the order in which nft_text() has them.
bool comes_before(const std::string& a, const std::string& b) {
  const auto one = Prefix::parse(a);
  const auto other = Prefix::parse(b);
  return one && other ? *one < *other : a < b;
}

// Of "... { a, b }".
std::vector<std::string> elements_in(std::string_view text) {
  std::vector<std::string> elements;
  const auto open = text.find("{ ");
  if (open == std::string_view::npos) return elements;
  text = text.substr(open + 2, text.rfind(" }") - open - 2);
  while (!text.empty()) {
    const auto end = std::min(text.find(", "), text.size());
    elements.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return elements;
}

bool change_set(std::string& listing, const std::string& set, bool add,
                const std::vector<std::string>& some) {
  const auto begin = listing.find(fmt::format("\tset {} {{\n", set));
  if (begin == std::string::npos) return false;
  const auto end = listing.find("\t}\n", begin);
  auto at = listing.find("\t\telements = ", begin);
  if (at == std::string::npos || at > end) at = end;
  auto elements = elements_in(std::string_view(listing).substr(at, end - at));
  for (const auto& one : some) {
    if (!add && std::erase(elements, one) == 0) return false;
    if (add) elements.push_back(one);
  }
  std::sort(elements.begin(), elements.end(), comes_before);
  listing.replace(
      at, end - at,
      elements.empty() ? "" : fmt::format("\t\telements = {{ {} }}\n", fmt::join(elements, ", ")));
  return true;
}

}  // namespace

bool change_elements(std::string& listing, std::string_view change) {
  constexpr std::string_view kPlace = " element inet ";
  while (!change.empty()) {
    const auto end = std::min(change.find('\n'), change.size());
    const auto line = change.substr(0, end);
    change.remove_prefix(std::min(end + 1, change.size()));
    const auto place = line.find(kPlace);
    if (place == std::string_view::npos) continue;  // the line that names the table
    const auto words = line.substr(place + kPlace.size());
    const auto name = words.substr(words.find(' ') + 1);
    if (!change_set(listing, std::string(name.substr(0, name.find(' '))), line.front() == 'a',
                    elements_in(line))) {
      return false;
    }
  }
  return true;
}

}  // namespace cw::netlink
