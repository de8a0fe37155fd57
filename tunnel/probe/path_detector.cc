#include "tunnel/probe/path_detector.h"

#include <algorithm>

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
  return std::min(kMost, std::max(config_.least_patience, rtt_ * 2 + jitter_ * 4));
}

void PathDetector::miss(const Sent& sent, TimePoint now) {
  if (search_ && sent.size == search_->size) {
    if (++search_->tries >= kTries) {
      search_->high = sent.size;
      step(now);
    }
    return;  // a size that does not pass says nothing about the path
  }
  if (sent.size == regular()) {
    ++full_missed_;
    if (small_answered_ > 0) return;  // the size may be at fault: small ones judge the path
  } else if (sent.size == config_.small) {
    full_missed_ = small_answered_ = 0;  // loss at every size
  } else {
    return;  // from a search, at a size that is no longer tried
  }
  ++missed_;
  in_a_row_ = 0;
  if (missed_ < config_.lost || verdict_ == PathVerdict::kSilent) return;
  if (verdict_ == PathVerdict::kForwards) fell_ = true;
  verdict_ = PathVerdict::kSilent;
  search_.reset();
}

void PathDetector::count_missed(TimePoint now) {
  counted_ = std::max(counted_, next_ > kWindow ? next_ - kWindow : 0);
  for (; counted_ < next_; ++counted_) {
    const auto& sent = sent_[counted_ % kWindow];
    if (sent.answered) continue;
    if (now - sent.at <= patience()) return;
    const bool first = missed_ == 0;
    miss(sent, now);
    if (first && missed_ > 0) suspect(now);
  }
}

// The next size of a search, or its end.
void PathDetector::step(TimePoint now) {
  auto& search = *search_;
  search.tries = 0;
  if (search.raising || search.high - search.low <= config_.exact) {
    floor_ = search.low >= config_.full ? std::nullopt : std::optional(search.low);
    raise_at_ = now + config_.raise;
    search_.reset();
    full_missed_ = small_answered_ = 0;
    return;
  }
  search.size = (search.low + search.high) / 2;
}

void PathDetector::weigh_size(const Sent& sent, TimePoint now) {
  if (search_ && sent.size == search_->size) {
    search_->low = sent.size;
    step(now);
    suspect(now);
    return;
  }
  if (sent.size >= regular()) {
    full_missed_ = small_answered_ = 0;
  } else if (sent.size == config_.small && full_missed_ > 0) {
    ++small_answered_;
    if (!search_ && full_missed_ >= kNarrow && small_answered_ >= kTries &&
        regular() > config_.least) {
      search_ = Search{config_.least, regular(), 0, 0, false};
      step(now);
    }
  }
}

bool PathDetector::on_reply(std::uint64_t sequence, TimePoint now) {
  if (sequence >= next_ || next_ - sequence > kWindow) return false;
  auto& sent = sent_[sequence % kWindow];
  if (sent.answered) return false;
  sent.answered = true;
  const auto sample = now - sent.at;
  if (rtt_ == Duration::zero()) {
    rtt_ = sample;
  } else {
    jitter_ += ((sample > rtt_ ? sample - rtt_ : rtt_ - sample) - jitter_) / 16;
    rtt_ += (sample - rtt_) / 8;
  }
  weigh_size(sent, now);
  missed_ = 0;
  burst_ = 0;
  target_ = sent.target;
  ++in_a_row_;
  if (in_a_row_ >= (fell_ ? config_.recover : 1)) verdict_ = PathVerdict::kForwards;
  if (pace() < config_.interval) suspect(now + pace());
  return true;
}

Duration PathDetector::pace() const {
  if (search_) return std::max(config_.hurry, patience() / 2);
  const bool coming_back = verdict_ != PathVerdict::kForwards && in_a_row_ > 0;
  const bool falling = missed_ > 0 && verdict_ != PathVerdict::kSilent;
  if (coming_back || falling || suspicious()) return config_.hurry;
  return config_.interval;
}

PathDetector::Send PathDetector::make(TimePoint now, std::size_t targets) {
  Send send{next_, target_ % targets, regular()};
  if (floor_ && !search_ && now >= raise_at_) {
    search_ = Search{*floor_, config_.full, config_.full, 0, true};
  }
  if (missed_ > 0) {
    send.target = (target_ + burst_ / 2) % targets;
    if (burst_ % 2 == 1) send.size = config_.small;
    ++burst_;
  } else if (search_) {
    // Small ones in between show whether the path falls silent meanwhile.
    send.size = next_ % 2 == 0 ? search_->size : config_.small;
  } else if (suspicious() && next_ % 2 == 1) {
    send.size = config_.small;
  }
  return send;
}

std::optional<PathDetector::Send> PathDetector::due(TimePoint now, std::size_t targets) {
  count_missed(now);
  if (targets == 0 || now < next_send_) return std::nullopt;
  const auto send = make(now, targets);
  sent_[next_ % kWindow] = {now, send.target, send.size, false};
  ++next_;
  next_send_ = now + pace();
  return send;
}

}  // namespace cw::tunnel
