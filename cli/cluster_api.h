// Requests to an API server for one command. Every call waits for its answer. For resources that
// the store does not have: workloads, ConfigMaps, CRDs.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "api/kube/client.h"
#include "base/event_loop.h"

namespace cw::cli {

class ClusterApi {
 public:
  // `where`: as in api::kube::find_access().
  [[nodiscard]] static Result<std::unique_ptr<ClusterApi>> open(const std::string& where);

  // All calls return the answer's JSON, and an empty object for an empty body. Errors are those of
  // the store.
  [[nodiscard]] Result<nlohmann::json> get(const std::string& path);
  [[nodiscard]] Result<nlohmann::json> post(const std::string& path, const nlohmann::json& body);
  [[nodiscard]] Result<nlohmann::json> put(const std::string& path, const nlohmann::json& body);
  // Applies a JSON merge patch.
  [[nodiscard]] Result<nlohmann::json> merge(const std::string& path, const nlohmann::json& body);
  // Server-side apply of a YAML or JSON text. It takes over all fields that the text names.
  [[nodiscard]] Result<nlohmann::json> apply(const std::string& path, const std::string& text);
  // An object that does not exist is no error.
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
