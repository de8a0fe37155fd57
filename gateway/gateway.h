// The gateway once its identity is known: tunnels, probes and their answers, feed and TunnelGateway
// object. An event only says "look again"; a pass looks at everything. Probe results reach the
// tunnels at once, from memory. Loop thread only.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "gateway/feed/feed.h"
#include "gateway/foundation.h"
#include "gateway/own_endpoints.h"
#include "gateway/probes.h"
#include "gateway/sighting_talk.h"
#include "gateway/tunnels.h"

namespace cw::gateway {

class Gateway {
 public:
  Gateway(Foundation& base, const Identity& identity);

  [[nodiscard]] const Identity& identity() const { return identity_; }
  // Why it is not ready. Empty: it is ready.
  [[nodiscard]] std::vector<std::string> not_ready() const;
  // The local prefixes that nodes send through this gateway.
  [[nodiscard]] std::size_t carried() const;

  void reconcile();       // the pass
  void tick();            // every second
  void announce_drain();  // after Drain::start()
  void publish_metrics();

 private:
  void receive_views();
  void reconcile_feed();
  void publish_object(bool urgent);
  [[nodiscard]] PathInput path_input() const;
  [[nodiscard]] homing::Electorate electorate() const;
  [[nodiscard]] Roster roster(const Paired& paired);
  [[nodiscard]] OwnEndpoints endpoints() const;
  [[nodiscard]] OwnEndpoints last_endpoints() const;

  Foundation& base_;
  Identity identity_;
  Tunnels tunnels_;
  ClaimTable claims_;
  SightingTalk sightings_;
  Probes probes_;
  Feed feed_;
  std::string feed_trouble_;
};

}  // namespace cw::gateway
