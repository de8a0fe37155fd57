#include "gateway/peers/sightings.h"

#include <algorithm>
#include <string>

namespace cw::gateway {

SightingId sighting_id(const tunnel::Key& public_key) {
  const auto digest = tunnel::digest_of("causeway sighting", {&public_key}, "");
  SightingId id = 0;
  for (std::size_t n = 0; n < sizeof id; ++n) id = id << 8U | digest[n];
  return id;
}

bool Sightings::hear(const Reporter& reporter, SightingId id, const Endpoint& at, TimePoint now) {
  auto& words = words_[reporter];
  const auto known = words.find(id);
  if (known == words.end()) {
    if (words.size() >= kMaxOfReporter) return false;
    words.emplace(id, Word{at, now, now});
    return true;
  }
  auto& word = known->second;
  if (word.at != at) {
    if (now - word.changed < kChangeGap) return false;
    word = {at, now, now};
    return true;
  }
  word.told = now;
  return false;
}

bool Sightings::forget_old(TimePoint now) {
  std::size_t gone = 0;
  for (auto& [reporter, words] : words_) {
    gone += std::erase_if(words, [&](const auto& one) { return now - one.second.told > kLife; });
  }
  std::erase_if(words_, [](const auto& one) { return one.second.empty(); });
  return gone != 0;
}

std::vector<Endpoint> Sightings::of(SightingId id) const {
  std::vector<Endpoint> all;
  std::map<std::string, std::size_t> of_cluster;
  for (const auto& [reporter, at] : told_about(id)) {
    if (all.size() == kMaxUsed) break;
    auto& count = of_cluster[reporter.cluster];
    if (count == kMaxOfCluster || std::find(all.begin(), all.end(), at) != all.end()) continue;
    all.push_back(at);
    ++count;
  }
  return all;
}

std::map<Sightings::Reporter, Endpoint> Sightings::told_about(SightingId id) const {
  std::map<Reporter, Endpoint> all;
  for (const auto& [reporter, words] : words_) {
    if (const auto word = words.find(id); word != words.end()) {
      all.emplace(reporter, word->second.at);
    }
  }
  return all;
}

}  // namespace cw::gateway
