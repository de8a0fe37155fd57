#include "gateway/secret_entry.h"

#include "api/types/codec.h"
#include "base/log.h"

namespace cw::gateway {

SecretEntry::SecretEntry(Loop& loop, api::Store& store, Random& random, api::ObjectKey secret,
                         std::string entry, Make make)
    : loop_(loop),
      store_(store),
      random_(random),
      secret_(std::move(secret)),
      entry_(std::move(entry)),
      make_(std::move(make)) {}

void SecretEntry::look(std::shared_ptr<const api::Secret> current) {
  current_ = std::move(current);
  if (current_ != nullptr && current_->data.count(entry_) != 0) {
    retry_.reset();
    backoff_.reset();
    last_error_.clear();
    return;
  }
  if (!writing_ && !retry_.active()) write();
}

void SecretEntry::write() {
  api::Secret next;
  if (current_ != nullptr) next = *current_;
  next.meta.key = secret_;
  next.data[entry_] = make_();
  api::Object object{api::Kind::kSecret, secret_, next.meta.resource_version, api::encode(next)};
  writing_ = true;
  const auto done = [this](const Result<api::Object>& result) { written(result); };
  request_ = current_ == nullptr ? store_.create(std::move(object), done)
                                 : store_.update(std::move(object), done);
}

void SecretEntry::written(const Result<api::Object>& result) {
  writing_ = false;
  if (result) {
    log_info("secret entry written", {{"secret", secret_.to_string()}, {"entry", entry_}});
    last_error_.clear();
  } else {
    last_error_ = result.error().context("Secret " + secret_.to_string()).text;
    const auto code = result.error().code;
    if (code != Errc::kConflict && code != Errc::kExists) {
      log_warn("secret not written", {{"error", last_error_}});
    }
  }
  // The informer shows what was written, ours or another's; if it does not, write again.
  const Duration pause = result ? Duration(std::chrono::seconds(5)) : backoff_.next(random_);
  retry_ = loop_.after(pause, [this] {
    retry_.reset();
    look(current_);
  });
}

}  // namespace cw::gateway
