// The identity to make requests with, kept current: files (a pod's projected token, the cluster CA)
// are read again every minute, an exec plugin runs again before what it gave expires, and both at
// once after the server has said 401.
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
  // The kubelet renews a projected token when 80 % of its life (at least 10 minutes) is over: once
  // a minute is early enough and costs one small read.
  static constexpr Duration kFileAge = std::chrono::minutes(1);
  static constexpr Duration kBeforeExpiry = std::chrono::minutes(1);

  Credentials(Loop& loop, Access access) : loop_(loop), access_(std::move(access)) {}
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  using Use = std::function<void(const Result<Identity>&)>;
  // Calls `use` now if the identity is at hand (kDenied: a file cannot be read), else once it is.
  // Dropping the handle calls nobody.
  [[nodiscard]] Handle with_identity(Use use);
  // The server refused it: the next use reads and runs everything again.
  void refused();

 private:
  void read_files();
  void run_plugin();
  void take(Result<ExecCredential> credential);
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
