// One nftables table (family inet) as a value: counters, sets, chains and their rules. A rule is
// one line of nft's own language, as `nft list` shows it. Everything that the daemons put into
// nftables is written with these types (docs/protocol/kernel-state.md, "Adding a rule"). Pure.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/prefix.h"

namespace cw::netlink {

struct NftSet {
  std::string name;
  std::string type;  // "type ipv4_addr", "typeof ip saddr . meta mark"
  bool intervals = false;
  std::string elements = {};  // with commas between them: 10,000 prefixes are one string
  friend bool operator==(const NftSet&, const NftSet&) = default;
};

struct NftChain {
  std::string name;
  // "filter hook input priority filter - 10": the chain sees packets at this hook. It lets them
  // pass unless a rule stops them (policy accept). Empty: other chains jump to this one.
  std::string hook;
  std::vector<std::string> rules = {};
  friend bool operator==(const NftChain&, const NftChain&) = default;
};

struct NftTable {
  std::string name;
  std::vector<std::string> counters = {};
  std::vector<NftSet> sets = {};
  std::vector<NftChain> chains = {};
  friend bool operator==(const NftTable&, const NftTable&) = default;
};

// The text of one transaction, which replaces the whole table. Equal tables give equal text.
[[nodiscard]] std::string nft_text(const NftTable& table);

// The text of one transaction that makes `after` of `before`, where only elements of sets differ:
// what comes and what goes. None: something else differs.
[[nodiscard]] std::optional<std::string> nft_change(const NftTable& before, const NftTable& after);

// Set `NAME4` or `NAME6`: the members of one family, sorted. The intervals of a set must not
// overlap, so prefixes inside another one are left out.
[[nodiscard]] NftSet prefix_set(std::string_view name, Family family,
                                std::span<const Prefix> prefixes);
[[nodiscard]] NftSet address_set(std::string_view name, Family family,
                                 const std::set<IpAddress>& addresses);
// Adds the sets of both families.
void add_prefix_sets(NftTable& table, std::string_view name, std::span<const Prefix> prefixes);
void add_address_sets(NftTable& table, std::string_view name, const std::set<IpAddress>& addresses);

}  // namespace cw::netlink
