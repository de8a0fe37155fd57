#include "gateway/secret_entry.h"

#include "base/log.h"

namespace cw::gateway {

SecretEntry::SecretEntry(Loop& loop, api::Store& store, Random& random, api::ObjectKey secret,
                         std::string entry, Make make)
    : secret_(std::move(secret)),
      entry_(std::move(entry)),
      make_(std::move(make)),
      keeper_(
          loop, store, random,
          {[this](const auto&) { return step(); }, [this](const auto&) { return current_; },
           [this](const auto&, auto, const auto& result) {
             if (!result) return;
             log_info("secret entry written", {{"secret", secret_.to_string()}, {"entry", entry_}});
           }}) {}

void SecretEntry::reconcile(std::shared_ptr<const api::Secret> current) {
  current_ = std::move(current);
  keeper_.look({api::Kind::kSecret, secret_});
}

api::Step SecretEntry::step() const {
  if (current_ != nullptr && current_->data.count(entry_) != 0) return {};
  auto next = current_ == nullptr ? api::Secret() : *current_;
  next.meta.key = secret_;
  next.data[entry_] = make_();
  return api::write_step(current_ == nullptr ? api::Verb::kCreate : api::Verb::kUpdate, next);
}

}  // namespace cw::gateway
