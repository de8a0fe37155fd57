// Finds the identity of this gateway in the store: cluster id, private key and Node. An identity
// that was found once stays in use while the store says nothing, or something that cannot be used.
// In a directory store it also makes the Secrets that are missing, and writes back those that
// vanish. Loop thread only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/types/own_cluster.h"
#include "gateway/cluster_view.h"
#include "gateway/config.h"
#include "gateway/deps.h"
#include "gateway/secret_entry.h"
#include "tunnel/probe/forwarding_address.h"

namespace cw::gateway {

// How the other parties know this gateway.
struct Identity {
  Identity(GatewayId id, const tunnel::Key& key)
      : self(std::move(id)),
        private_key(key),
        public_key(key.public_key()),
        control_address(tunnel::control_address(public_key)),
        probe_address(tunnel::probe_address(public_key, Family::kV4)) {}

  GatewayId self;
  tunnel::Key private_key;
  tunnel::Key public_key;
  IpAddress control_address;
  IpAddress probe_address;
  friend bool operator==(const Identity&, const Identity&) = default;
};

class OwnIdentity {
 public:
  OwnIdentity(const Deps& deps, const Config& config, std::optional<tunnel::Key> file_key,
              ClusterView& view);

  // Reads the view again. Call it at each pass.
  void update();
  [[nodiscard]] const std::optional<Identity>& known() const { return known_; }
  // What is missing or wrong. Empty: nothing is.
  [[nodiscard]] std::vector<std::string> troubles() const;

 private:
  [[nodiscard]] Result<> read();
  [[nodiscard]] Result<tunnel::Key> read_key();
  void reconcile_overlay_key();

  const Deps& deps_;
  const Config& config_;
  std::optional<tunnel::Key> file_key_;
  ClusterView& view_;
  api::OwnCluster cluster_;
  SecretEntry private_key_;
  SecretEntry overlay_;
  std::string overlay_seen_;  // the overlay's key as last read
  std::string waiting_ = "starting";
  std::optional<Identity> known_;
};

}  // namespace cw::gateway
