// Cryptokey routing (paper section 2): which peer owns the longest prefix that contains an address.
// A prefix has one owner; inserting it again moves it. One path-compressed binary trie per family.
// Lookups allocate nothing. `Owner` is any small value (a peer pointer or an index).
#pragma once

#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/prefix.h"

namespace cw::tunnel::engine {

template <typename Owner>
class AllowedIps {
 public:
  void insert(const Prefix& prefix, const Owner& owner) {
    auto* slot = &root(prefix.family());
    for (;;) {
      auto& node = *slot;
      if (node == nullptr) {
        node = std::make_unique<Node>(prefix, owner);
        return;
      }
      const auto common = common_bits(node->prefix, prefix);
      if (common == node->prefix.length() && common == prefix.length()) {
        node->owner = owner;
        return;
      }
      if (common == node->prefix.length()) {  // below this node
        slot = &node->child[bit_at(prefix, common)];
        continue;
      }
      if (common == prefix.length()) {  // above this node
        auto above = std::make_unique<Node>(prefix, owner);
        const auto side = bit_at(node->prefix, common);
        above->child[side] = std::move(node);
        node = std::move(above);
        return;
      }
      auto fork = std::make_unique<Node>(*Prefix::of(prefix.address(), common), std::nullopt);
      const auto side = bit_at(node->prefix, common);
      fork->child[side] = std::move(node);
      fork->child[side ^ 1U] = std::make_unique<Node>(prefix, owner);
      node = std::move(fork);
      return;
    }
  }

  // Removes the prefix if `owner` owns it; else does nothing.
  void remove(const Prefix& prefix, const Owner& owner) {
    std::vector<std::unique_ptr<Node>*> path;
    auto* slot = &root(prefix.family());
    while (*slot != nullptr) {
      auto& node = **slot;
      if (!node.prefix.contains(prefix)) return;
      path.push_back(slot);
      if (node.prefix.length() == prefix.length()) {
        if (node.owner != owner) return;
        node.owner.reset();
        collapse(path);
        return;
      }
      slot = &node.child[bit_at(prefix, node.prefix.length())];
    }
  }

  [[nodiscard]] std::optional<Owner> find(const IpAddress& address) const {
    std::optional<Owner> best;
    const auto* node = root(address.family()).get();
    while (node != nullptr && node->prefix.contains(address)) {
      if (node->owner) best = node->owner;
      if (node->prefix.length() == address.bits()) break;
      node = node->child[bit_at(address, node->prefix.length())].get();
    }
    return best;
  }

  // The owner of exactly this prefix.
  [[nodiscard]] std::optional<Owner> owner_of(const Prefix& prefix) const {
    const auto* node = root(prefix.family()).get();
    while (node != nullptr && node->prefix.contains(prefix)) {
      if (node->prefix.length() == prefix.length()) return node->owner;
      node = node->child[bit_at(prefix, node->prefix.length())].get();
    }
    return std::nullopt;
  }

  // Calls `visit` for all prefixes with their owners, in no particular order.
  template <typename Visit>
  void each(const Visit& visit) const {
    for (const auto* top : {v4_.get(), v6_.get()}) {
      std::vector<const Node*> left;
      if (top != nullptr) left.push_back(top);
      while (!left.empty()) {
        const auto* node = left.back();
        left.pop_back();
        if (node->owner) visit(node->prefix, *node->owner);
        for (const auto& child : node->child) {
          if (child != nullptr) left.push_back(child.get());
        }
      }
    }
  }

 private:
  struct Node {
    Node(const Prefix& p, std::optional<Owner> o) : prefix(p), owner(std::move(o)) {}
    Prefix prefix;
    std::optional<Owner> owner;
    std::unique_ptr<Node> child[2];
  };

  static unsigned bit_at(const IpAddress& address, unsigned index) {
    return (address.bytes()[index / 8] >> (7 - index % 8)) & 1U;
  }
  static unsigned bit_at(const Prefix& prefix, unsigned index) {
    return bit_at(prefix.address(), index);
  }
  static unsigned common_bits(const Prefix& a, const Prefix& b) {
    const auto most = std::min(a.length(), b.length());
    const auto x = a.address().bytes();
    const auto y = b.address().bytes();
    for (unsigned i = 0; i * 8 < most; ++i) {
      const auto differ = static_cast<std::uint8_t>(x[i] ^ y[i]);
      if (differ != 0)
        return std::min(most, i * 8 + static_cast<unsigned>(std::countl_zero(differ)));
    }
    return most;
  }

  // Removes nodes without an owner that have less than two children, from the leaf upwards.
  static void collapse(std::vector<std::unique_ptr<Node>*>& path) {
    for (; !path.empty(); path.pop_back()) {
      auto& node = *path.back();
      if (node->owner || (node->child[0] != nullptr && node->child[1] != nullptr)) return;
      auto only = std::move(node->child[node->child[0] != nullptr ? 0 : 1]);
      node = std::move(only);
    }
  }

  std::unique_ptr<Node>& root(Family family) { return family == Family::kV4 ? v4_ : v6_; }
  const std::unique_ptr<Node>& root(Family family) const {
    return family == Family::kV4 ? v4_ : v6_;
  }

  std::unique_ptr<Node> v4_;
  std::unique_ptr<Node> v6_;
};

}  // namespace cw::tunnel::engine
