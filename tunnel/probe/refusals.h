// Reports the datagrams that a probe socket refuses. Every datagram is counted. The log has one
// line per kind and address in ten minutes. Loop thread only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/loop.h"
#include "base/metrics.h"
#include "base/prefix.h"

namespace cw::tunnel {

enum class Refusal : std::uint8_t {
  kMalformed,     // no probe at all
  kVersion,       // a probe of another major version
  kUnknownAsker,  // a request of a party whose key is not known
  kWrongKey,      // the tag does not fit the datagram
};
inline constexpr std::array kRefusals = {Refusal::kMalformed, Refusal::kVersion,
                                         Refusal::kUnknownAsker, Refusal::kWrongKey};
[[nodiscard]] const char* to_string(Refusal refusal);  // "version", ...

class Refusals {
 public:
  static constexpr std::size_t kMost = 64;  // pairs of kind and address that are remembered
  static constexpr Duration kAgain = std::chrono::minutes(10);

  // `socket` names the socket in the metric causeway_probe_refused_total and in the log.
  Refusals(Loop& loop, Metrics& metrics, std::string socket);
  void add(Refusal refusal, const IpAddress& from, const std::string& words);

 private:
  Loop& loop_;
  std::string socket_;
  std::map<Refusal, Counter*> counters_;
  std::map<std::pair<Refusal, IpAddress>, TimePoint> told_;
};

}  // namespace cw::tunnel
