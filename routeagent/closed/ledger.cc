#include "routeagent/closed/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/never_a_peers.h"
#include "base/prefix_set.h"

namespace cw::routeagent {

namespace {

using nlohmann::json;

constexpr int kVersion = 1;

// Whether they are the two halves of a prefix that is one bit shorter. Never of a /0.
bool are_halves(const Prefix& low, const Prefix& high) {
  if (low.length() <= 1 || low.length() != high.length()) return false;
  const auto whole = Prefix::of(low.address(), low.length() - 1);
  return whole && whole->address() == low.address() && whole->contains(high);
}

// False: the set is full, and the prefix is left out.
bool add(std::set<Prefix>& to, const Prefix& prefix) {
  if (to.size() < kMostPrefixes) to.insert(prefix);
  return to.size() < kMostPrefixes || to.count(prefix) != 0;
}

void sort_out(ClosedCluster& cluster, std::span<const OwnPrefixes> own) {
  std::set<Prefix> all;
  all.merge(cluster.closed);
  all.merge(cluster.open);
  cluster.closed.clear();
  cluster.open.clear();
  for (const auto& prefix : all) {
    (never_a_peers(prefix, own) ? cluster.open : cluster.closed).insert(prefix);
  }
}

json texts(const std::set<Prefix>& prefixes) {
  json list = json::array();
  for (const auto& prefix : prefixes) list.push_back(prefix.to_string());
  return list;
}

Result<> read_prefixes(const json& cluster, const char* name, std::set<Prefix>& to,
                       std::size_t& beyond) {
  const auto at = cluster.find(name);
  if (at == cluster.end()) return {};
  if (!at->is_array()) return fail(Errc::kInvalid, fmt::format("{} is not a list", name));
  for (const auto& item : *at) {
    if (!item.is_string()) return fail(Errc::kInvalid, fmt::format("{}: want strings", name));
    const auto prefix = Prefix::parse(item.get_ref<const std::string&>());
    if (!prefix) return fail(prefix.error().context(name));
    if (!add(to, *prefix)) ++beyond;
  }
  return {};
}

}  // namespace

std::set<std::string> cluster_ids(const Ledger& ledger) {
  std::set<std::string> ids;
  for (const auto& [id, cluster] : ledger) ids.insert(id);
  return ids;
}

Ledger learned(Ledger ledger, std::span<const PeerPrefixes> peers,
               std::span<const OwnPrefixes> own) {
  for (const auto& peer : peers) {
    if (peer.unpaired) ledger.erase(peer.cluster);
  }
  for (const auto& peer : peers) {
    if (!peer.unpaired) ledger[peer.cluster].beyond = 0;
  }
  for (const auto& peer : peers) {
    if (peer.unpaired) continue;
    auto& cluster = ledger[peer.cluster];
    for (const auto& prefix : peer.allowed) (void)add(cluster.closed, prefix);  // counted below
    sort_out(cluster, own);
    // A closed allowed prefix closes the claims inside it.
    const PrefixSet allowed(peer.allowed);
    const PrefixSet closed(std::vector<Prefix>(cluster.closed.begin(), cluster.closed.end()));
    for (const auto& prefix : peer.allowed) {
      if (cluster.open.count(prefix) == 0 && !closed.covering(prefix)) ++cluster.beyond;
    }
    for (const auto& prefix : peer.claimed) {
      if (!allowed.covering(prefix) || closed.covering(prefix)) continue;
      if (!add(cluster.closed, prefix)) ++cluster.beyond;
    }
  }
  for (auto& [id, cluster] : ledger) sort_out(cluster, own);
  std::erase_if(ledger, [](const auto& entry) {
    return entry.second.closed.empty() && entry.second.open.empty();
  });
  return ledger;
}

std::vector<std::string> left_open(const Ledger& ledger, std::span<const OwnPrefixes> own) {
  std::vector<std::string> sentences;
  for (const auto& [id, cluster] : ledger) {
    for (const auto& prefix : cluster.open) {
      const auto why = never_a_peers(prefix, own);
      if (!why) continue;
      sentences.push_back(
          fmt::format("cluster {}: {} {}: its traffic may leave in the clear; take it out of the "
                      "ClusterPeer's allowedCidrs",
                      id, prefix.to_string(), *why));
    }
    if (cluster.beyond == 0) continue;
    sentences.push_back(
        fmt::format("cluster {}: {} prefixes beyond the first {} are not held back: their traffic "
                    "may leave in the clear; allow fewer and wider prefixes in the ClusterPeer",
                    id, cluster.beyond, kMostPrefixes));
  }
  return sentences;
}

std::vector<Prefix> closed_prefixes(const Ledger& ledger) {
  std::vector<Prefix> all;
  for (const auto& [id, cluster] : ledger) {
    all.insert(all.end(), cluster.closed.begin(), cluster.closed.end());
  }
  const PrefixSet set(all);
  std::vector<Prefix> merged;
  for (auto prefix : set.outermost()) {
    while (!merged.empty() && are_halves(merged.back(), prefix)) {
      prefix = *Prefix::of(prefix.address(), prefix.length() - 1);
      merged.pop_back();
    }
    merged.push_back(prefix);
  }
  return merged;
}

std::string ledger_text(const Ledger& ledger) {
  json clusters = json::object();
  for (const auto& [id, cluster] : ledger) {
    clusters[id] = {{"closed", texts(cluster.closed)}, {"open", texts(cluster.open)}};
    if (cluster.beyond != 0) clusters[id]["beyond"] = cluster.beyond;
  }
  return json{{"version", kVersion}, {"clusters", clusters}}.dump(-1, ' ', true,
                                                                  json::error_handler_t::replace) +
         "\n";
}

Result<Ledger> parse_ledger(std::string_view text) {
  if (text.size() > kMostLedgerBytes) return fail(Errc::kTooLarge, "over 16 MiB");
  const auto body = json::parse(text, nullptr, false);
  if (!body.is_object()) return fail(Errc::kInvalid, "not a JSON object");
  const auto version = body.find("version");
  if (version == body.end() || *version != kVersion) {
    return fail(Errc::kInvalid, fmt::format("version: want {}", kVersion));
  }
  const auto clusters = body.find("clusters");
  if (clusters == body.end() || !clusters->is_object()) {
    return fail(Errc::kInvalid, "clusters: want an object");
  }
  Ledger ledger;
  for (const auto& [id, cluster] : clusters->items()) {
    if (id.empty() || !cluster.is_object()) {
      return fail(Errc::kInvalid, "clusters: want an object for each cluster id");
    }
    auto& entry = ledger[id];
    std::size_t cut = 0;  // a file that was edited by hand may have too many
    auto good = read_prefixes(cluster, "closed", entry.closed, cut);
    if (good) good = read_prefixes(cluster, "open", entry.open, cut);
    if (!good) return fail(good.error().context("cluster " + id));
    if (const auto beyond = cluster.find("beyond"); beyond != cluster.end()) {
      if (!beyond->is_number_unsigned()) {
        return fail(Errc::kInvalid, fmt::format("cluster {}: beyond: want a number", id));
      }
      entry.beyond = beyond->get<std::size_t>();
    }
    entry.beyond += cut;
    for (const auto& prefix : entry.closed) {
      if (never_a_peers(prefix)) entry.open.insert(prefix);
    }
    for (const auto& prefix : entry.open) entry.closed.erase(prefix);
  }
  return ledger;
}

}  // namespace cw::routeagent
