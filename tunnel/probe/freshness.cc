#include "tunnel/probe/freshness.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace cw::tunnel {

namespace {

std::uint64_t challenge_of(const FreshnessSecret& secret, const Probe& request,
                           std::uint64_t sessions) {
  std::array<std::uint8_t, 32> input{};
  std::copy(request.asker.begin(), request.asker.end(), input.begin());
  std::memcpy(&input[16], &request.session, sizeof request.session);
  std::memcpy(&input[24], &sessions, sizeof sessions);
  std::array<std::uint8_t, crypto_generichash_BYTES_MIN> digest{};
  CW_CHECK(crypto_generichash(digest.data(), digest.size(), input.data(), input.size(),
                              secret.data(), secret.size()) == 0);
  std::uint64_t challenge = 0;
  std::memcpy(&challenge, digest.data(), sizeof challenge);
  return challenge == 0 ? 1 : challenge;
}

}  // namespace

Freshness::Verdict Freshness::take(const FreshnessSecret& secret, const Probe& request) {
  if (known_ && request.session == session_) {
    const bool newer = request.sequence > highest_;
    highest_ = std::max(highest_, request.sequence);
    return {newer, 0};
  }
  const auto challenge = challenge_of(secret, request, sessions_);
  if (request.challenge != challenge) return {false, challenge};
  known_ = true;
  session_ = request.session;
  highest_ = request.sequence;
  ++sessions_;
  return {true, 0};
}

}  // namespace cw::tunnel
