#include "gateway/peers/name_book.h"

#include <algorithm>

namespace cw::gateway {

void NameBook::set_wanted(const std::map<NameOf, bool>& wanted) {
  std::erase_if(names_, [&](const auto& one) { return wanted.count(one.first) == 0; });
  std::map<std::string, TimePoint> served;
  for (const auto& [name, failing] : wanted) {
    auto& entry = names_[name];
    // A gateway that stopped working: its name may lead elsewhere now.
    if (failing && !entry.failing) {
      entry.pause = kFirstPause;
      entry.next = {};
    }
    entry.failing = failing;
    served[name.cluster] = served_[name.cluster];
  }
  served_ = std::move(served);
}

std::optional<NameOf> NameBook::due(TimePoint now) const {
  const NameOf* best = nullptr;
  const auto rank = [&](const NameOf& name) {
    return std::pair(served_.at(name.cluster), names_.at(name).next);
  };
  for (const auto& [name, entry] : names_) {
    if (entry.next > now) continue;
    if (best == nullptr || rank(name) < rank(*best)) best = &name;
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

bool NameBook::record(const NameOf& name, const Result<std::vector<IpAddress>>& found,
                      TimePoint now) {
  const auto at = names_.find(name);
  if (at == names_.end()) return false;
  served_[name.cluster] = now;
  auto& entry = at->second;
  entry.next = now + (entry.failing ? entry.pause : kCalmPause);
  entry.pause = entry.failing ? std::min(2 * entry.pause, kLongestPause) : kFirstPause;
  auto trouble = found ? std::string() : found.error().text;
  if (found && found->empty()) trouble = "has no address";
  bool changed = trouble != entry.trouble;
  entry.trouble = std::move(trouble);
  if (!found || found->empty()) return changed;
  auto addresses = alternating(*found);
  // Name servers turn the order of equal addresses around with each answer. Only another set is
  // news.
  if (std::is_permutation(addresses.begin(), addresses.end(), entry.addresses.begin(),
                          entry.addresses.end())) {
    return changed;
  }
  entry.addresses = std::move(addresses);
  return true;
}

const std::vector<IpAddress>& NameBook::addresses(const NameOf& name) const {
  static const std::vector<IpAddress> kNone;
  const auto at = names_.find(name);
  return at == names_.end() ? kNone : at->second.addresses;
}

std::string NameBook::trouble(const NameOf& name) const {
  const auto at = names_.find(name);
  return at == names_.end() ? std::string() : at->second.trouble;
}

std::vector<IpAddress> alternating(const std::vector<IpAddress>& found) {
  std::vector<IpAddress> first;
  std::vector<IpAddress> second;
  for (const auto& address : found) {
    auto& list = address.family() == found.front().family() ? first : second;
    if (std::find(list.begin(), list.end(), address) == list.end()) list.push_back(address);
  }
  std::vector<IpAddress> all;
  for (std::size_t n = 0; n < std::max(first.size(), second.size()); ++n) {
    if (n < first.size()) all.push_back(first[n]);
    if (n < second.size()) all.push_back(second[n]);
  }
  all.resize(std::min(all.size(), kMaxNameAddresses));
  return all;
}

}  // namespace cw::gateway
