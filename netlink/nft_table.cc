#include "netlink/nft_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "base/prefix_set.h"

namespace cw::netlink {

namespace {

template <typename List>
NftSet set_of(std::string_view name, Family family, const List& members, bool intervals) {
  const bool v4 = family == Family::kV4;
  NftSet set{fmt::format("{}{}", name, v4 ? 4 : 6), v4 ? "type ipv4_addr" : "type ipv6_addr",
             intervals};
  for (const auto& member : members) {
    if (member.family() != family) continue;
    set.elements += set.elements.empty() ? "" : ", ";
    set.elements += member.to_string();
  }
  return set;
}

void add(std::string& text, const NftSet& set) {
  text += fmt::format("\tset {} {{\n\t\t{}\n", set.name, set.type);
  if (set.intervals) text += "\t\tflags interval\n";
  if (!set.elements.empty()) text += fmt::format("\t\telements = {{ {} }}\n", set.elements);
  text += "\t}\n";
}

void add(std::string& text, const NftChain& chain) {
  text += fmt::format("\tchain {} {{\n", chain.name);
  if (!chain.hook.empty()) text += fmt::format("\t\ttype {}; policy accept;\n", chain.hook);
  for (const auto& rule : chain.rules) text += fmt::format("\t\t{}\n", rule);
  text += "\t}\n";
}

std::set<std::string_view> elements_of(const NftSet& set) {
  std::set<std::string_view> elements;
  const std::string_view all = set.elements;
  for (std::size_t at = 0; at < all.size();) {
    const auto end = std::min(all.find(", ", at), all.size());
    elements.insert(all.substr(at, end - at));
    at = end + 2;
  }
  return elements;
}

// "delete element inet TABLE SET { ... }" of what `from` has and `to` has not; empty: nothing.
std::string difference(std::string_view verb, const std::string& place,
                       const std::set<std::string_view>& from,
                       const std::set<std::string_view>& to) {
  std::vector<std::string_view> some;
  std::set_difference(from.begin(), from.end(), to.begin(), to.end(), std::back_inserter(some));
  if (some.empty()) return {};
  return fmt::format("{} element inet {} {{ {} }}\n", verb, place, fmt::join(some, ", "));
}

bool same_form(const NftTable& a, const NftTable& b) {
  return a.name == b.name && a.counters == b.counters && a.chains == b.chains &&
         std::equal(a.sets.begin(), a.sets.end(), b.sets.begin(), b.sets.end(),
                    [](const NftSet& one, const NftSet& other) {
                      return one.name == other.name && one.type == other.type &&
                             one.intervals == other.intervals;
                    });
}

}  // namespace

std::optional<std::string> nft_change(const NftTable& before, const NftTable& after) {
  if (!same_form(before, after)) return std::nullopt;
  std::string gone;
  std::string fresh;
  for (std::size_t n = 0; n < after.sets.size(); ++n) {
    const auto& set = after.sets[n];
    if (before.sets[n].elements == set.elements) continue;
    const auto old = elements_of(before.sets[n]);
    const auto now = elements_of(set);
    const auto place = fmt::format("{} {}", after.name, set.name);
    gone += difference("delete", place, old, now);
    fresh += difference("add", place, now, old);
  }
  // The first line names the table; it changes nothing. What goes is first: it may overlap with
  // what comes.
  return fmt::format("table inet {} {{}}\n{}{}", after.name, gone, fresh);
}

std::string nft_text(const NftTable& table) {
  // The first line makes the table if there is none: `delete` of a missing table fails.
  auto text =
      fmt::format("table inet {0} {{}}\ndelete table inet {0}\ntable inet {0} {{\n", table.name);
  for (const auto& counter : table.counters) {
    text += fmt::format("\tcounter {} {{\n\t}}\n", counter);
  }
  for (const auto& set : table.sets) add(text, set);
  for (const auto& chain : table.chains) add(text, chain);
  return text + "}\n";
}

NftSet prefix_set(std::string_view name, Family family, std::span<const Prefix> prefixes) {
  return set_of(name, family, PrefixSet(prefixes).outermost(), true);
}

NftSet address_set(std::string_view name, Family family, const std::set<IpAddress>& addresses) {
  return set_of(name, family, addresses, false);
}

void add_prefix_sets(NftTable& table, std::string_view name, std::span<const Prefix> prefixes) {
  const PrefixSet set(prefixes);
  for (const auto family : {Family::kV4, Family::kV6}) {
    table.sets.push_back(set_of(name, family, set.outermost(), true));
  }
}

void add_address_sets(NftTable& table, std::string_view name,
                      const std::set<IpAddress>& addresses) {
  for (const auto family : {Family::kV4, Family::kV6}) {
    table.sets.push_back(set_of(name, family, addresses, false));
  }
}

}  // namespace cw::netlink
