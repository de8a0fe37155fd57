#include "tunnel/probe/detector.h"

#include <algorithm>
#include <cmath>

namespace cw::tunnel {

const char* to_string(LinkState state) {
  switch (state) {
    case LinkState::kConnecting:
      return "connecting";
    case LinkState::kUp:
      return "up";
    case LinkState::kDegraded:
      return "degraded";
    case LinkState::kDown:
      break;
  }
  return "down";
}

Duration shared_interval(Duration configured, std::size_t askers) {
  constexpr std::size_t kStep = 10;  // ms; of the interval
  const auto steps = (askers * 1000 + kMostAsked * kStep - 1) / (kMostAsked * kStep);
  const Duration fair = std::chrono::milliseconds(steps * kStep);
  return std::max(configured, std::min(fair, kSlowest));
}

std::uint64_t Detector::next_sequence(TimePoint now) { return requests_.add({now, false}); }

Duration Detector::pace(TimePoint now) const {
  if (last_reply_) {
    // Requests hurry while replies are late. Those of a link that is down hurry only until three
    // times `lost` intervals after the last reply.
    const auto waited = now - *last_reply_;
    const bool gone = waited > config_.interval * 3 * config_.lost;
    if (waited > config_.interval + config_.interval / 2 && (up_ || !gone)) {
      return config_.interval / config_.hurry;
    }
  }
  // Much is lost: a faster window shows the extent sooner.
  return up_ && counted(now).missing > Requests::kSize / 8 ? config_.interval / 2
                                                           : config_.interval;
}

unsigned Detector::convincing() const {
  // The loss of the 16 requests before the misses. A fall is called when the misses have a
  // probability below 1 in 100,000 at that loss.
  constexpr std::uint64_t kBefore = 16;
  constexpr double kByChance = 1e-5;
  unsigned missing = 0;
  const auto oldest = requests_.oldest();
  for (auto i = oldest_unanswered_; i-- > oldest && oldest_unanswered_ - i <= kBefore;) {
    if (!requests_.at(i).answered) ++missing;
  }
  // An upper bound of the loss: about two standard deviations, and never zero.
  const double loss = std::min(1.0, (missing + 2 * std::sqrt(missing) + 1) / (kBefore + 2));
  // More than regular requests in that time, so that hurried requests must go unanswered, too.
  const unsigned least = config_.lost * config_.hurry / 2;
  unsigned enough = 0;
  for (double chance = 1; chance > kByChance && enough < 2 * least; chance *= loss) ++enough;
  return std::max(least, enough);
}

bool Detector::silent(TimePoint now) const {
  if (!last_reply_ || now - *last_reply_ < config_.interval * config_.lost ||
      requests_.next() - oldest_unanswered_ < convincing()) {
    return false;
  }
  // After a pause of this process no request was under way. The first reply needs its round trip
  // and a little more than the usual one: otherwise it would count as missing while it is just
  // being read.
  const auto oldest = std::max(oldest_unanswered_, requests_.oldest());
  const auto usual = round_trip_.time();
  return now - requests_.at(oldest).at >= usual + usual / 4 + 2 * round_trip_.jitter();
}

bool Detector::on_reply(std::uint64_t sequence, TimePoint now) {
  if (!requests_.open(sequence)) return false;
  (void)state(now);  // counts a fall even if no caller asked meanwhile
  if (silent(now)) in_a_row_ = 0;
  const auto sample = now - requests_.answer(sequence)->at;
  if (!round_trip_.known() || sequence >= sampled_from_) round_trip_.add(sample);
  last_reply_ = now;
  oldest_unanswered_ = std::max(oldest_unanswered_, sequence + 1);
  ++in_a_row_;
  if (in_a_row_ >= (ever_up_ ? config_.recover : 1)) up_ = ever_up_ = true;
  return true;
}

LinkState Detector::state(TimePoint now) {
  if (up_ && silent(now)) {
    up_ = false;
    in_a_row_ = 0;
  }
  if (!up_) return ever_up_ ? LinkState::kDown : LinkState::kConnecting;
  // The limit is that of a whole window, even if the window is not full yet. So the first losses of
  // a link decide nothing.
  const auto limit = (degraded_ ? config_.fine_loss : config_.degraded_loss) * Requests::kSize;
  degraded_ = counted(now).missing > limit;
  return degraded_ ? LinkState::kDegraded : LinkState::kUp;
}

bool Detector::usable(TimePoint now) {
  const auto s = state(now);
  return s == LinkState::kUp || s == LinkState::kDegraded;
}

Detector::Counted Detector::counted(TimePoint now) const {
  // Leaves out requests whose reply may still be under way.
  const auto grace = std::max(config_.interval, round_trip_.patience());
  Counted counted;
  for (auto i = requests_.oldest(); i < requests_.next(); ++i) {
    const auto& sent = requests_.at(i);
    if (!sent.answered && now - sent.at < grace) continue;
    ++counted.asked;
    if (!sent.answered) ++counted.missing;
  }
  return counted;
}

double Detector::loss(TimePoint now) const {
  const auto [asked, missing] = counted(now);
  return asked == 0 ? 0 : static_cast<double>(missing) / asked;
}

}  // namespace cw::tunnel
