#include "tunnel/probe/path_detector.h"

namespace cw::tunnel {

Duration forwarding_interval(std::size_t nodes, std::size_t paths) {
  constexpr auto kLeast = std::chrono::milliseconds(200);
  // 400 per second. Each takes about 50 us of the gateway's time: 2 % of a core.
  constexpr auto kEach = std::chrono::microseconds(2500);
  const auto share = kEach * static_cast<Duration::rep>(nodes * paths);
  return std::max<Duration>(kLeast, share);
}

Duration PathDetector::patience() const {
  constexpr Duration kMost = std::chrono::seconds(1);
  return std::min(kMost, std::max(config_.least_patience, round_trip_.patience()));
}

void PathDetector::miss(const Sent& sent, TimePoint now) {
  if (!sizes_.missed(sent.size, now)) return;
  ++missed_;
  in_a_row_ = 0;
  if (missed_ < config_.lost || verdict_ == PathVerdict::kSilent) return;
  if (verdict_ == PathVerdict::kForwards) fell_ = true;
  verdict_ = PathVerdict::kSilent;
  sizes_.stop();
}

void PathDetector::count_missed(TimePoint now) {
  counted_ = std::max(counted_, requests_.oldest());
  for (; counted_ < requests_.next(); ++counted_) {
    const auto& sent = requests_.at(counted_);
    if (sent.answered) continue;
    if (now - sent.at <= patience()) return;
    const bool first = missed_ == 0;
    miss(sent, now);
    if (first && missed_ > 0) suspect(now);
  }
}

bool PathDetector::on_reply(std::uint64_t sequence, TimePoint now) {
  const auto* sent = requests_.answer(sequence);
  if (sent == nullptr) return false;
  round_trip_.add(now - sent->at);
  if (sizes_.answered(sent->size, now)) suspect(now);
  missed_ = 0;
  burst_ = 0;
  target_ = sent->target;
  ++in_a_row_;
  if (in_a_row_ >= (fell_ ? config_.recover : 1)) verdict_ = PathVerdict::kForwards;
  if (pace() < config_.interval) suspect(now + pace());
  return true;
}

Duration PathDetector::pace() const {
  if (sizes_.searching()) return std::max(config_.hurry, patience() / 2);
  const bool coming_back = verdict_ != PathVerdict::kForwards && in_a_row_ > 0;
  const bool falling = missed_ > 0 && verdict_ != PathVerdict::kSilent;
  if (coming_back || falling || sizes_.suspicious()) return config_.hurry;
  return config_.interval;
}

PathDetector::Send PathDetector::make(TimePoint now, std::size_t targets) {
  sizes_.try_full(now);
  const auto sequence = requests_.next();
  if (missed_ == 0) return {sequence, target_ % targets, sizes_.next(sequence)};
  const auto burst = burst_++;
  return {sequence, (target_ + burst / 2) % targets,
          burst % 2 == 1 ? sizes_.small() : sizes_.regular()};
}

std::optional<PathDetector::Send> PathDetector::due(TimePoint now, std::size_t targets) {
  count_missed(now);
  if (targets == 0 || now < next_send_) return std::nullopt;
  const auto send = make(now, targets);
  requests_.add({now, send.target, send.size, false});
  next_send_ = now + pace();
  return send;
}

}  // namespace cw::tunnel
