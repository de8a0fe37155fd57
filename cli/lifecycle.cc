#include "cli/lifecycle.h"

#include <arpa/nameser.h>
#include <fmt/format.h>
#include <resolv.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/kube/url.h"
#include "api/types/codec.h"
#include "cli/cluster_api.h"
#include "cli/commands.h"
#include "cli/corefile.h"
#include "cli/keys.h"

namespace cw::cli {

namespace {

using api::Kind;
using nlohmann::json;
using std::chrono::seconds;

// Less than the hooks' activeDeadlineSeconds (280 s, charts/causeway/templates/hooks.yaml), so that
// the command can still report what it waited for.
constexpr auto kReadyPatience = std::chrono::minutes(4);
constexpr auto kReadyPoll = std::chrono::milliseconds(500);
constexpr int kConflicts = 10;

int told(const Result<>& result) {
  if (result) return kOk;
  fmt::print(stderr, "causewayctl: {}\n", result.error().text);
  return kFailed;
}

std::string config_map(const Release& release) {
  return fmt::format("/api/v1/namespaces/{}/configmaps/{}", release.dns_ns, release.dns_config);
}

std::string workload(const Release& release, std::string_view kind, std::string_view part) {
  return fmt::format("/apis/apps/v1/namespaces/{}/{}/{}-{}", release.ns, kind, release.name, part);
}

// The text at `path` in an object; empty if there is none.
std::string text_at(const json& object, const std::string& path) {
  const auto at = json::json_pointer(path);
  return object.contains(at) && object.at(at).is_string() ? object.at(at).get<std::string>() : "";
}

// Edits the Corefile, and retries if another program wrote it meanwhile. Without the ConfigMap
// there is nothing to do.
template <typename Edit>
Result<> edit_corefile(ClusterApi& cluster, const Release& release, const Edit& edit) {
  for (int attempt = 0; attempt < kConflicts; ++attempt) {
    auto map = cluster.get(config_map(release));
    if (!map) {
      if (map.error().code != Errc::kNotFound) return fail(std::move(map.error()));
      fmt::print("there is no ConfigMap {}/{}: no Corefile is changed\n", release.dns_ns,
                 release.dns_config);
      return {};
    }
    const auto before = text_at(*map, "/data/Corefile");
    const Result<std::string> after = edit(before);
    if (!after) return fail(after.error());
    if (*after == before) return {};
    (*map)["data"]["Corefile"] = *after;
    const auto stored = cluster.put(config_map(release), *map);
    if (stored) {
      fmt::print("Corefile of {}/{} changed\n", release.dns_ns, release.dns_config);
      return {};
    }
    if (stored.error().code != Errc::kConflict) return fail(stored.error());
  }
  return fail(Errc::kConflict, "another program keeps changing the Corefile; try again later");
}

Result<> stub(ClusterApi& cluster, const Release& release) {
  if (release.dns_service.empty()) return {};
  const auto service = cluster.get(
      fmt::format("/api/v1/namespaces/{}/services/{}", release.ns, release.dns_service));
  if (!service) return fail(service.error());
  const auto decoded = api::decode<api::Service>(*service);
  if (!decoded) return fail(decoded.error());
  const auto servers = api::addresses_of(decoded->spec.cluster_ips);
  if (servers.empty()) return fail(Errc::kNotFound, "the DNS Service has no address");
  auto done = edit_corefile(
      cluster, release, [&](const std::string& corefile) { return with_stub(corefile, servers); });
  // A foreign block for the zone must not make the release fail.
  if (!done && done.error().code == Errc::kExists) {
    fmt::print("{}\n", done.error().text);
    return {};
  }
  return done;
}

Result<> crds(ClusterApi& cluster, const Release& release) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(release.crds, error)) {
    if (entry.path().extension() != ".yaml") continue;
    std::ifstream file(entry.path());
    std::ostringstream text;
    text << file.rdbuf();
    // Files are named group_plural.yaml, CRDs plural.group.
    const auto stem = entry.path().stem().string();
    const auto cut = stem.find('_');
    if (!file || cut == std::string::npos) continue;
    const auto name = stem.substr(cut + 1) + "." + stem.substr(0, cut);
    const auto done = cluster.apply(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + name, text.str());
    if (!done) return fail(done.error());
    fmt::print("{} applied\n", name);
  }
  if (error) return fail(Errc::kNotFound, release.crds + ": " + error.message());
  return {};
}

// The number of the release's daemon pods, without those of hooks.
Result<std::size_t> daemons_left(ClusterApi& cluster, const Release& release) {
  const auto selector = api::kube::escaped(
      fmt::format("app.kubernetes.io/instance={},app.kubernetes.io/component in (gateway, "
                  "routeagent, discovery)",
                  release.name));
  const auto pods =
      cluster.get(fmt::format("/api/v1/namespaces/{}/pods?labelSelector={}", release.ns, selector));
  if (!pods) return fail(pods.error());
  return pods->value("items", json::array()).size();
}

template <typename Done>
Result<> wait_for(ClusterApi& cluster, std::string_view what, const Done& done) {
  const auto until = cluster.loop().now() + kReadyPatience;
  while (cluster.loop().now() < until) {
    const Result<bool> now = done();
    if (now && *now) return {};
    if (!now && now.error().code != Errc::kUnavailable) return fail(now.error());
    cluster.pause(kReadyPoll);
  }
  return fail(Errc::kUnavailable, fmt::format("no success after 4 min of waiting for {}", what));
}

Result<> stop_daemons(ClusterApi& cluster, const Release& release) {
  const json none{{"spec", {{"replicas", 0}}}};
  const json nowhere{
      {"spec", {{"template", {{"spec", {{"nodeSelector", {{"causeway.dev/nowhere", "true"}}}}}}}}}};
  const std::array<std::pair<std::string, const json*>, 3> patches{
      std::pair{workload(release, "statefulsets", "gateway"), &none},
      {workload(release, "deployments", "discovery"), &none},
      {workload(release, "daemonsets", "routeagent"), &nowhere}};
  for (const auto& [path, patch] : patches) {
    const auto done = cluster.merge(path, *patch);
    if (!done && done.error().code != Errc::kNotFound) return fail(done.error());
  }
  return wait_for(cluster, "the daemons' pods to end", [&]() -> Result<bool> {
    const auto left = daemons_left(cluster, release);
    if (!left) return fail(left.error());
    return *left == 0;
  });
}

// Removes all objects of a kind for which `ours` returns true.
template <typename Ours>
Result<> remove_all(ClusterApi& cluster, Kind kind, const Ours& ours) {
  const auto found = cluster.get(api::kube::collection_path(kind, ""));
  if (!found) {
    if (found.error().code == Errc::kNotFound) return {};  // the kind does not exist
    return fail(found.error());
  }
  for (const auto& item : found->value("items", json::array())) {
    if (!ours(item)) continue;
    const api::ObjectKey key{text_at(item, "/metadata/namespace"), text_at(item, "/metadata/name")};
    if (auto gone = cluster.remove(api::kube::object_path(kind, key)); !gone) return gone;
  }
  return {};
}

// Removes the Services and EndpointSlices that discovery derived from imports (vip: clusterip).
Result<> remove_derived(ClusterApi& cluster) {
  const auto derived = [](const json& object) {
    return text_at(object, "/metadata/labels/endpointslice.kubernetes.io~1managed-by") ==
               "discovery.causeway.dev" &&
           text_at(object, "/metadata/name").rfind("cw-", 0) == 0;
  };
  for (const auto kind : {Kind::kEndpointSlice, Kind::kService}) {
    if (auto gone = remove_all(cluster, kind, derived); !gone) return gone;
  }
  return {};
}

// Removes all objects that the daemons wrote. ClusterPeers and ServiceExports belong to the user
// and stay, with their CRDs.
Result<> remove_objects(ClusterApi& cluster, const Release& release) {
  const auto all = [](const json&) { return true; };
  for (const auto kind :
       {Kind::kServiceImport, Kind::kRemoteExport, Kind::kRouteAgent, Kind::kTunnelGateway}) {
    if (auto gone = remove_all(cluster, kind, all); !gone) return gone;
  }
  if (auto gone = remove_derived(cluster); !gone) return gone;
  for (const auto& secret : key_secrets(release.gateways)) {
    auto gone = cluster.remove(api::kube::object_path(Kind::kSecret, {release.ns, secret.name}));
    if (!gone) return gone;
  }
  for (const auto name : api::kLeases) {
    auto gone =
        cluster.remove(api::kube::object_path(Kind::kLease, {release.ns, std::string(name)}));
    if (!gone) return gone;
  }
  return {};
}

Result<> stop(ClusterApi& cluster, const Release& release) {
  const auto without = [](const std::string& text) {
    return Result<std::string>(without_stub(text));
  };
  if (auto done = edit_corefile(cluster, release, without); !done) return done;
  if (auto done = stop_daemons(cluster, release); !done) return done;
  return remove_objects(cluster, release);
}

Result<> cleaned(ClusterApi& cluster, const Release& release) {
  return wait_for(cluster, "the cleanup of every node", [&]() -> Result<bool> {
    const auto set = cluster.get(workload(release, "daemonsets", "cleanup"));
    if (!set) return fail(set.error());
    const auto status = set->value("status", json::object());
    const auto generation = set->at("metadata").value("generation", 0);
    return status.value("observedGeneration", -1) >= generation &&
           status.value("numberReady", -1) == status.value("desiredNumberScheduled", -2);
  });
}

// helm test: the pod's own resolver must send clusterset.local to Causeway. After a change of the
// Corefile, the kubelet and CoreDNS need up to two minutes to see it.
Result<> check() {
  EventLoop loop;
  const auto until = loop.now() + seconds(150);
  std::array<unsigned char, 1024> answer{};
  while (::res_query("dns-version.clusterset.local", ns_c_in, ns_t_txt, answer.data(),
                     static_cast<int>(answer.size())) < 0) {
    if (loop.now() >= until) {
      return fail(
          Errc::kUnavailable,
          "dns-version.clusterset.local does not resolve: check the stub in the cluster's DNS");
    }
    const auto timer = loop.after(seconds(2), [&] { loop.stop(); });
    loop.run();
  }
  fmt::print("clusterset.local resolves\n");
  return {};
}

int idle() {
  EventLoop loop;
  const auto on_term = loop.on_signal(SIGTERM, [&] { loop.stop(); });
  const auto on_int = loop.on_signal(SIGINT, [&] { loop.stop(); });
  loop.run();
  return kOk;
}

}  // namespace

int lifecycle(const std::string& step, const Release& release) {
  if (step == "idle") return idle();
  if (step == "check") return told(check());
  auto cluster = ClusterApi::open("");
  if (!cluster) return told(fail(cluster.error()));
  if (step == "keys") return told(make_keys(**cluster, release.ns, release.gateways));
  if (step == "crds") return told(crds(**cluster, release));
  if (step == "stub") return told(stub(**cluster, release));
  if (step == "derived") return told(remove_derived(**cluster));
  if (step == "stop") return told(stop(**cluster, release));
  if (step == "cleaned") return told(cleaned(**cluster, release));
  fmt::print(stderr, "causewayctl: lifecycle: no step \"{}\"\n", step);
  return kUsageError;
}

}  // namespace cw::cli
