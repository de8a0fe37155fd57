#include "gateway/own_identity.h"

#include <fmt/format.h>

#include "base/log.h"

namespace cw::gateway {

OwnIdentity::OwnIdentity(const Deps& deps, const Config& config,
                         std::optional<tunnel::Key> file_key, ClusterView& view)
    : deps_(deps),
      config_(config),
      file_key_(std::move(file_key)),
      view_(view),
      private_key_(deps.loop, deps.store, deps.random, {config.ns, key_secret(config.ordinal)},
                   std::string(kPrivateKeyEntry),
                   [this] {
                     // A Secret that vanished gets the same key again: peers know it.
                     return known_ ? known_->private_key.base64() : fresh_private_key(deps_.random);
                   }),
      overlay_(deps.loop, deps.store, deps.random, {config.ns, std::string(kOverlaySecret)},
               std::string(kOverlayEntry), [this] {
                 return overlay_seen_.empty() ? fresh_overlay_key(deps_.random) : overlay_seen_;
               }) {}

std::vector<std::string> OwnIdentity::troubles() const {
  std::vector<std::string> all;
  for (const auto& trouble : {waiting_, cluster_.trouble()}) {
    if (!trouble.empty()) all.push_back(trouble);
  }
  return all;
}

void OwnIdentity::update() {
  const auto done = read();
  auto waiting = done ? std::string() : done.error().text;
  if (waiting != waiting_ && !waiting.empty()) log_info(waiting);
  waiting_ = std::move(waiting);
}

Result<> OwnIdentity::read() {
  view_.read_preshared_keys();
  if (auto synced = view_.synced(); !synced) return synced;
  if (deps_.make_secrets) reconcile_overlay_key();
  const auto id = view_.cluster_id();
  if (!id) return fail(id.error());
  const auto renamed = cluster_.trouble();
  cluster_.take(*id);
  if (const auto now = cluster_.trouble(); now != renamed && !now.empty()) log_warn(now);
  const auto key = read_key();
  if (!key) return fail(key.error());
  if (view_.own_prefixes(config_.node).empty() &&
      view_.pods.nodes().find({"", config_.node}) == nullptr) {
    return fail(Errc::kNotFound, fmt::format("waiting for Node {}", config_.node));
  }
  if (!known_ || known_->private_key != *key) {
    known_.emplace(GatewayId{cluster_.id(), config_.ordinal}, *key);
  }
  return {};
}

Result<tunnel::Key> OwnIdentity::read_key() {
  if (file_key_) return *file_key_;
  const api::ObjectKey name{config_.ns, key_secret(config_.ordinal)};
  const auto secret = view_.private_key->find(name);
  if (deps_.make_secrets) private_key_.reconcile(secret);
  // Peers know the key of a running gateway, so it stays. private_key_ writes it back.
  const bool there = secret != nullptr && secret->data.count(std::string(kPrivateKeyEntry)) != 0;
  if (!there && known_) return known_->private_key;
  if (secret != nullptr) return key_from_secret(*secret, std::string(kPrivateKeyEntry));
  if (!deps_.make_secrets) return fail(Errc::kNotFound, missing_secret(config_.ns, name.name));
  return fail(Errc::kNotFound,
              fmt::format("waiting for Secret {}{}{}", name.to_string(),
                          private_key_.error().empty() ? "" : ": ", private_key_.error()));
}

void OwnIdentity::reconcile_overlay_key() {
  const auto secret = view_.overlay_key.find({config_.ns, std::string(kOverlaySecret)});
  if (secret != nullptr) {
    const auto entry = secret->data.find(std::string(kOverlayEntry));
    if (entry != secret->data.end() && entry->second.size() == kOverlayKeyBytes) {
      overlay_seen_ = entry->second;
    }
  }
  overlay_.reconcile(secret);
}

}  // namespace cw::gateway
