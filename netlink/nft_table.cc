#include "netlink/nft_table.h"

#include <fmt/format.h>

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

}  // namespace

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
