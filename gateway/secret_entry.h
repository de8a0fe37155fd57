// Keeps one entry of one Secret present in a directory store: makes it when it is missing, never
// changes one that is there. Several gateways may do so for the same Secret at once: the store's
// versions decide, and the loser finds the other's entry. On an API server the chart's hook makes
// the Secrets, and no daemon has the right to. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/store/store.h"
#include "api/types/secret.h"
#include "base/backoff.h"

namespace cw::gateway {

class SecretEntry {
 public:
  using Make = std::function<std::string()>;  // the bytes of a fresh entry

  SecretEntry(Loop& loop, api::Store& store, Random& random, api::ObjectKey secret,
              std::string entry, Make make);
  SecretEntry(const SecretEntry&) = delete;
  SecretEntry& operator=(const SecretEntry&) = delete;

  // The Secret as the informer has it now (null: there is none). Call it after every change.
  void look(std::shared_ptr<const api::Secret> current);
  // Of the last failed write; empty: none.
  [[nodiscard]] const std::string& last_error() const { return last_error_; }

 private:
  void write();
  void written(const Result<api::Object>& result);

  Loop& loop_;
  api::Store& store_;
  Random& random_;
  api::ObjectKey secret_;
  std::string entry_;
  Make make_;
  std::shared_ptr<const api::Secret> current_;
  std::string last_error_;
  Backoff backoff_{std::chrono::milliseconds(200), std::chrono::seconds(30)};
  bool writing_ = false;
  Handle request_;
  Handle retry_;
};

}  // namespace cw::gateway
