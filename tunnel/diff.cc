#include "tunnel/diff.h"

#include <algorithm>
#include <iterator>

namespace cw::tunnel {

namespace {

// `owned`: every prefix that some peer is wanted to have.
PeerChange change_of_peer(const Key& key, const PeerStatus* actual, const PeerSpec& want,
                          const Applied::Peer* before, const std::set<Prefix>& owned) {
  PeerChange change;
  change.key = key;
  if (actual == nullptr) {
    change.add = true;
    change.allowed_ips = want.allowed_ips;
    change.endpoint = want.endpoint;
    if (want.preshared_key) change.preshared_key = want.preshared_key;
    if (want.keepalive_seconds != 0) change.keepalive_seconds = want.keepalive_seconds;
    return change;
  }
  // A prefix that another peer gains moves by that alone, without a gap. Only a prefix that no peer
  // is wanted to have needs a replacement of the whole set: old devices cannot remove a single
  // prefix.
  const bool loses = std::any_of(
      actual->allowed_ips.begin(), actual->allowed_ips.end(), [&](const Prefix& prefix) {
        return want.allowed_ips.count(prefix) == 0 && owned.count(prefix) == 0;
      });
  if (loses) {
    change.replace_allowed_ips = true;
    change.allowed_ips = want.allowed_ips;
  } else {
    std::set_difference(want.allowed_ips.begin(), want.allowed_ips.end(),
                        actual->allowed_ips.begin(), actual->allowed_ips.end(),
                        std::inserter(change.allowed_ips, change.allowed_ips.end()));
  }
  const bool endpoint_is_news =
      before != nullptr ? want.endpoint != before->endpoint : !actual->endpoint.has_value();
  if (want.endpoint && endpoint_is_news) change.endpoint = want.endpoint;
  if (want.keepalive_seconds != actual->keepalive_seconds) {
    change.keepalive_seconds = want.keepalive_seconds;
  }
  const bool psk_is_news = before != nullptr
                               ? want.preshared_key != before->preshared_key ||
                                     want.preshared_key.has_value() != actual->has_preshared_key
                               : want.preshared_key.has_value() || actual->has_preshared_key;
  if (psk_is_news) change.preshared_key = want.preshared_key.value_or(Key());
  return change;
}

}  // namespace

DeviceChange change_of(const DeviceStatus& actual, const DeviceSpec& desired,
                       const Applied& applied) {
  DeviceChange plan;
  if (actual.public_key != desired.private_key.public_key()) plan.private_key = desired.private_key;
  if (actual.listen_port != desired.listen_port && desired.listen_port != 0) {
    plan.listen_port = desired.listen_port;
  }
  if (actual.fwmark != desired.fwmark) plan.fwmark = desired.fwmark;
  std::set<Prefix> owned;
  for (const auto& [key, want] : desired.peers) {
    owned.insert(want.allowed_ips.begin(), want.allowed_ips.end());
  }
  std::vector<PeerChange> losses;
  std::vector<PeerChange> gains;
  for (const auto& [key, status] : actual.peers) {
    if (desired.peers.count(key) == 0) {
      PeerChange gone;
      gone.key = key;
      gone.remove = true;
      plan.peers.push_back(std::move(gone));
    }
  }
  for (const auto& [key, want] : desired.peers) {
    const auto have = actual.peers.find(key);
    const auto before = applied.peers.find(key);
    auto change = change_of_peer(key, have == actual.peers.end() ? nullptr : &have->second, want,
                                 before == applied.peers.end() ? nullptr : &before->second, owned);
    if (change.empty()) continue;
    (change.replace_allowed_ips ? losses : gains).push_back(std::move(change));
  }
  std::move(gains.begin(), gains.end(), std::back_inserter(plan.peers));
  std::move(losses.begin(), losses.end(), std::back_inserter(plan.peers));
  return plan;
}

DeviceChange recreation_of(const DeviceSpec& spec, const Key& key) {
  DeviceChange change;
  PeerChange gone;
  gone.key = key;
  gone.remove = true;
  change.peers.push_back(std::move(gone));
  change.peers.push_back(change_of_peer(key, nullptr, spec.peers.at(key), nullptr, {}));
  return change;
}

Applied applied_of(const DeviceSpec& spec, const Applied& before) {
  Applied out;
  for (const auto& [key, peer] : spec.peers) {
    auto endpoint = peer.endpoint;
    if (!endpoint) {  // "keep the endpoint" does not forget the configured one
      if (const auto old = before.peers.find(key); old != before.peers.end()) {
        endpoint = old->second.endpoint;
      }
    }
    out.peers[key] = {endpoint, peer.preshared_key};
  }
  return out;
}

void forget_failed(Applied& applied, const DeviceChange& change) {
  for (const auto& peer : change.peers) {
    if (peer.endpoint) applied.peers[peer.key].endpoint.reset();
    if (peer.preshared_key) applied.peers[peer.key].preshared_key.reset();
  }
}

}  // namespace cw::tunnel
