#include "tunnel/probe/refusals.h"

#include "base/log.h"

namespace cw::tunnel {

const char* to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::kMalformed:
      return "malformed";
    case Refusal::kVersion:
      return "version";
    case Refusal::kUnknownAsker:
      return "unknown_asker";
    case Refusal::kWrongKey:
      return "wrong_key";
  }
  return "?";
}

Refusals::Refusals(Loop& loop, Metrics& metrics, std::string socket)
    : loop_(loop), socket_(std::move(socket)) {
  for (const auto refusal : kRefusals) {
    counters_[refusal] =
        &metrics.counter("causeway_probe_refused_total", "Probe datagrams that were refused.",
                         {{"socket", socket_}, {"reason", to_string(refusal)}});
  }
}

void Refusals::add(Refusal refusal, const IpAddress& from, const std::string& words) {
  counters_.at(refusal)->add();
  const auto now = loop_.now();
  const std::pair key(refusal, from);
  if (const auto told = told_.find(key); told != told_.end() && now - told->second < kAgain) return;
  if (told_.size() >= kMost) {
    std::erase_if(told_, [&](const auto& one) { return now - one.second >= kAgain; });
    if (told_.size() >= kMost) return;  // the metric counts it
  }
  told_[key] = now;
  log_warn("probe refused", {{"socket", socket_},
                             {"reason", to_string(refusal)},
                             {"from", from.to_string()},
                             {"what", words}});
}

}  // namespace cw::tunnel
