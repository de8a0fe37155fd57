#include "cli/cluster_api.h"

#include <fmt/format.h>

#include <optional>

#include "api/kube/answer.h"

namespace cw::cli {

namespace {

constexpr const char* kManager = "?fieldManager=causewayctl";
constexpr const char* kJson = "application/json";

}  // namespace

Result<std::unique_ptr<ClusterApi>> ClusterApi::open(const std::string& where) {
  auto access = api::kube::find_access(where);
  if (!access) return fail(std::move(access.error()));
  return std::unique_ptr<ClusterApi>(new ClusterApi(std::move(*access)));
}

Result<nlohmann::json> ClusterApi::call(api::kube::HttpRequest asked) {
  const auto what = fmt::format("{} {}", asked.method, asked.path);
  std::optional<Result<api::kube::HttpAnswer>> answer;
  const auto handle = client_.send(std::move(asked), [&](Result<api::kube::HttpAnswer> got) {
    answer = std::move(got);
    loop_.stop();
  });
  loop_.run();  // the request has its own timeout
  if (!answer) return fail(Errc::kUnavailable, what + ": no answer");
  if (!*answer) return fail(std::move(answer->error()).context(what));
  if ((*answer)->status < 200 || (*answer)->status > 299) {
    return fail(api::kube::error_of((*answer)->status, (*answer)->body, what));
  }
  if ((*answer)->body.empty()) return nlohmann::json::object();
  return api::kube::parse_json((*answer)->body, what);
}

Result<nlohmann::json> ClusterApi::get(const std::string& path) {
  return call({"GET", path, {}, {}});
}

Result<nlohmann::json> ClusterApi::post(const std::string& path, const nlohmann::json& body) {
  return call({"POST", path + kManager, kJson, body.dump()});
}

Result<nlohmann::json> ClusterApi::put(const std::string& path, const nlohmann::json& body) {
  return call({"PUT", path + kManager, kJson, body.dump()});
}

Result<nlohmann::json> ClusterApi::merge(const std::string& path, const nlohmann::json& body) {
  return call({"PATCH", path + kManager, "application/merge-patch+json", body.dump()});
}

Result<nlohmann::json> ClusterApi::apply(const std::string& path, const std::string& text) {
  return call({"PATCH", path + kManager + "&force=true", "application/apply-patch+yaml", text});
}

Result<> ClusterApi::remove(const std::string& path) {
  const auto done = call({"DELETE", path, {}, {}});
  if (!done && done.error().code != Errc::kNotFound) return fail(done.error());
  return {};
}

void ClusterApi::pause(Duration duration) {
  const auto timer = loop_.after(duration, [this] { loop_.stop(); });
  loop_.run();
}

}  // namespace cw::cli
