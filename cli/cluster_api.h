// Plain requests to an API server for one command: every call waits for its answer. For what the
// resource store does not know: workloads, ConfigMaps, CRDs.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "api/kube/client.h"
#include "base/event_loop.h"

namespace cw::cli {

class ClusterApi {
 public:
  // As api::kube::find_access().
  [[nodiscard]] static Result<std::unique_ptr<ClusterApi>> open(const std::string& where);

  // The answer's JSON; an empty object for an empty body. Errors as the store's.
  [[nodiscard]] Result<nlohmann::json> get(const std::string& path);
  [[nodiscard]] Result<nlohmann::json> post(const std::string& path, const nlohmann::json& body);
  [[nodiscard]] Result<nlohmann::json> put(const std::string& path, const nlohmann::json& body);
  // A JSON merge patch.
  [[nodiscard]] Result<nlohmann::json> merge(const std::string& path, const nlohmann::json& body);
  // Server-side apply of a YAML or JSON text, taking over every field it names.
  [[nodiscard]] Result<nlohmann::json> apply(const std::string& path, const std::string& text);
  // Absent already is fine.
  [[nodiscard]] Result<> remove(const std::string& path);
  void pause(Duration duration);
  [[nodiscard]] EventLoop& loop() { return loop_; }

 private:
  explicit ClusterApi(api::kube::Access access)
      : client_(loop_, std::move(access), "causewayctl") {}
  [[nodiscard]] Result<nlohmann::json> call(api::kube::HttpRequest request);

  EventLoop loop_;
  api::kube::Client client_;
};

}  // namespace cw::cli
