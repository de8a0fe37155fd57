// Keeps one entry of one Secret present in a directory store: creates it when it is missing, and
// never changes an existing one. Several gateways may do this for the same Secret at once: the
// store's versions decide, and the gateway that lost finds the entry of the other. On an API server
// the chart's hook creates the Secrets, and no daemon has the right to. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/store/object_keeper.h"
#include "api/types/secret.h"

namespace cw::gateway {

class SecretEntry {
 public:
  using Make = std::function<std::string()>;  // the bytes of a fresh entry

  SecretEntry(Loop& loop, api::Store& store, Random& random, api::ObjectKey secret,
              std::string entry, Make make);

  // The Secret as the informer has it now (null: there is none). Call it after every change.
  void reconcile(std::shared_ptr<const api::Secret> current);
  // Why the entry could not be written. Empty: no write failed.
  [[nodiscard]] std::string error() const { return keeper_.error(); }

 private:
  [[nodiscard]] api::Step step() const;

  api::ObjectKey secret_;
  std::string entry_;
  Make make_;
  std::shared_ptr<const api::Secret> current_;
  api::ObjectKeeper keeper_;
};

}  // namespace cw::gateway
