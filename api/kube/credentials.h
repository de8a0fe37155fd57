// The identity for requests, kept current. Files (a pod's projected token, the cluster CA) are read
// again every minute. An exec plugin runs again before its credential expires. After a 401 both
// happen at the next use.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "api/kube/http.h"
#include "api/kube/kubeconfig.h"

namespace cw::api::kube {

class Credentials {
 public:
  // The kubelet renews a projected token after 80 % of its lifetime, which is at least 10 minutes.
  // One small read per minute is early enough.
  static constexpr Duration kFileAge = std::chrono::minutes(1);
  static constexpr Duration kBeforeExpiry = std::chrono::minutes(1);

  Credentials(Loop& loop, Access access) : loop_(loop), access_(std::move(access)) {}
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  using Use = std::function<void(const Result<Identity>&)>;
  // Calls `use` at once if the identity is available, else when the exec plugin has answered.
  // kDenied: a file cannot be read. Destroying the handle cancels the call.
  [[nodiscard]] Handle with_identity(Use use);
  // Call after a 401: the next use reads the files and runs the plugin again.
  void refused();

 private:
  void read_files();
  void run_plugin();
  void on_credential(Result<ExecCredential> credential);
  [[nodiscard]] bool plugin_is_due() const;

  Loop& loop_;
  Access access_;
  std::optional<Result<Identity>> identity_;
  TimePoint read_at_{};
  std::optional<ExecCredential> from_plugin_;
  TimePoint plugin_due_ = TimePoint::max();
  Handle plugin_;
  std::vector<std::weak_ptr<Use>> waiting_;
};

}  // namespace cw::api::kube
