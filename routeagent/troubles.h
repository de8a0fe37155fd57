// Faults that stop traffic although each part works: gateways that forward nothing, the device of a
// gateway that moved away, and a host without an address inside its pod prefix. Loop thread only.
#pragma once

#include "routeagent/deps.h"

namespace cw::routeagent {

// The sentence that processes on the host network reach no remote pod, with the remedy. `whole`:
// the prefixes are those of the cluster as a whole.
[[nodiscard]] std::string host_unserved(const std::string& prefixes, bool whole);

class Troubles {
 public:
  struct Hooks {
    std::function<void()> check_silence;  // for the next watch_silence()
    std::function<void()> check_stray;    // for the next watch_stray()
  };
  Troubles(const Deps& deps, Hooks hooks);

  void watch_silence(const homing::ChooseInput& input);
  // Sets Seen::stray_tunnel when the device of a moved gateway has been here for long enough.
  void watch_stray(Seen& seen, const tunnel::ProbeViews& views);
  void check_host(const Seen& seen);

  // The remote clusters to which no gateway has forwarded for some time.
  [[nodiscard]] const std::vector<homing::Silence>& silences() const { return silences_; }
  // host_unserved() for the pod prefixes without an address of the host; empty: there is none.
  [[nodiscard]] const std::string& hostless() const { return hostless_; }

 private:
  Loop& loop_;
  Hooks hooks_;
  Gauge& host_unserved_;
  std::map<ChoiceKey, TimePoint> silent_since_;
  std::vector<homing::Silence> silences_;
  Handle silence_timer_;
  std::optional<TimePoint> stray_since_;
  Handle stray_timer_;
  std::string hostless_;
};

}  // namespace cw::routeagent
