#include "api/store/store_contact.h"

#include "base/log.h"

namespace cw::api {

bool StoreContact::came_back() {
  if (available_) return false;
  available_ = true;
  if (!last_error_.empty()) log_info("store is back", {{"kind", kind_}});
  last_error_.clear();
  return true;
}

bool StoreContact::answered() {
  backoff_.reset();
  return came_back();
}

bool StoreContact::opened(TimePoint now) {
  opened_ = now;
  return came_back();
}

void StoreContact::ended(TimePoint now) {
  if (opened_ && now - *opened_ >= kStood) backoff_.reset();
}

bool StoreContact::failed(const Error& error) {
  const bool changed = available_ || last_error_.empty();
  if (available_ || last_error_ != error.text) {
    log_warn("store is away", {{"kind", kind_}, {"error", error.text}});
  }
  available_ = false;
  last_error_ = error.text;
  return changed;
}

}  // namespace cw::api
