// Addresses that a node of a Calico cluster has borrowed from another node's block. Calico lends
// single addresses when it has no block left, unless its IPAM has `strictAffinity: true`. No
// BlockAffinity says so, only the IPAMBlocks. Each is announced as a prefix of the node that has
// it: the longer prefix wins over the block. Pure.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "api/types/cni_kinds.h"
#include "base/prefix.h"

namespace cw::prefixes {

template <typename T>
using Items = std::map<api::ObjectKey, std::shared_ptr<const T>>;  // Informer<T>::items()

using Borrowed = std::map<IpAddress, std::string>;  // the node that has the address

// More are not announced at all: each is a route on every gateway and an allowed IP on every
// remote one, and they come and go with pods.
inline constexpr std::size_t kMostBorrowed = 1024;

template <typename Block>
void append_borrowed(Borrowed& into, const Items<Block>& blocks) {
  for (const auto& [key, block] : blocks) {
    for (const auto& [address, node] : block->borrowed) into.emplace(address, node);
  }
}

// What the administrator should know about them, with the remedy.
[[nodiscard]] std::string borrowed_note(const Borrowed& borrowed);

}  // namespace cw::prefixes
