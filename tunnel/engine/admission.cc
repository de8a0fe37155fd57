#include "tunnel/engine/admission.h"

namespace cw::tunnel::engine {

namespace {

// From this many waiting handshakes on, and for a second after, strangers must show a cookie. Both
// numbers are those of Linux's WireGuard. Our queue has 1,024 places (device_state.h).
constexpr std::size_t kLoadThreshold = 512;
constexpr auto kLoadLasts = std::chrono::seconds(1);

}  // namespace

void Admission::set_key(const std::optional<Key>& our_public) {
  const std::lock_guard lock(mutex_);
  checker_.reset();
  if (our_public) checker_.emplace(*our_public);
}

Admission::Verdict Admission::judge(Bytes message, const Endpoint& source, TimePoint now,
                                    std::size_t queued, CookieReply& reply) {
  const std::lock_guard lock(mutex_);
  if (!checker_) return Verdict::kRefused;
  if (queued >= kLoadThreshold) loaded_at_ = now;
  const bool under_load = loaded_at_ && now - *loaded_at_ <= kLoadLasts;
  const auto macs = checker_->check(message, source, now, random_);
  if (macs == MacVerdict::kInvalid) return Verdict::kRefused;
  if (!under_load) return Verdict::kAdmitted;
  if (macs == MacVerdict::kValidWithCookie) {
    return limiter_.allow(source.address, now) ? Verdict::kAdmitted : Verdict::kRefused;
  }
  reply = checker_->reply(message, source, now, random_);
  return Verdict::kCookie;
}

}  // namespace cw::tunnel::engine
