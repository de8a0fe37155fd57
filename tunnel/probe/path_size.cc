#include "tunnel/probe/path_size.h"

namespace cw::tunnel {

std::size_t PathSize::next(std::uint64_t sequence) const {
  const bool even = sequence % 2 == 0;
  if (search_) return even ? search_->size : config_.small;
  return suspicious() && !even ? config_.small : regular();
}

void PathSize::try_full(TimePoint now) {
  if (!floor_ || search_ || now < raise_at_) return;
  search_ = Search{*floor_, config_.full, config_.full, 0, true};
}

bool PathSize::missed(std::size_t size, TimePoint now) {
  if (search_ && size == search_->size) {
    if (++search_->tries >= kTries) {
      search_->high = size;
      step(now);
    }
    return false;
  }
  if (size == regular()) {
    ++full_missed_;
    return small_answered_ == 0;  // the size may be at fault: small ones judge the path
  }
  if (size != config_.small) return false;  // from a search, at a size that is no longer tried
  full_missed_ = small_answered_ = 0;       // loss at every size
  return true;
}

// The next size of a search, or its end.
void PathSize::step(TimePoint now) {
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

bool PathSize::answered(std::size_t size, TimePoint now) {
  if (search_ && size == search_->size) {
    search_->low = size;
    step(now);
    return true;
  }
  if (size >= regular()) {
    full_missed_ = small_answered_ = 0;
  } else if (size == config_.small && full_missed_ > 0) {
    ++small_answered_;
    if (!search_ && full_missed_ >= kNarrow && small_answered_ >= kTries &&
        regular() > config_.least) {
      search_ = Search{config_.least, regular(), 0, 0, false};
      step(now);
    }
  }
  return false;
}

}  // namespace cw::tunnel
