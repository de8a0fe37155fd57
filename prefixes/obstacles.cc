#include "prefixes/obstacles.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace cw::prefixes {

namespace {

constexpr const char* kOvnGateway = "k8s.ovn.org/l3-gateway-config";
constexpr std::string_view kOurDevices[] = {"cw-vx", "cw-wg"};

std::string_view value_of(const api::ConfigMapObject& config, const char* key) {
  const auto found = config.data.find(key);
  return found == config.data.end() ? std::string_view() : std::string_view(found->second);
}
bool is(const api::ConfigMapObject& config, const char* key, std::string_view value) {
  return value_of(config, key) == value;
}

// Words with white space or commas between them.
std::vector<std::string_view> words_of(std::string_view text) {
  constexpr std::string_view kBetween = " \t\r\n,";
  std::vector<std::string_view> words;
  while (true) {
    const auto begin = text.find_first_not_of(kBetween);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const auto end = std::min(text.find_first_of(kBetween), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

// A pattern of Cilium's: a name, or the begin of one before `+`.
bool matches(std::string_view pattern, std::string_view device) {
  if (pattern.empty() || pattern.back() != '+') return pattern == device;
  pattern.remove_suffix(1);
  return device.substr(0, pattern.size()) == pattern;
}

// Whether Cilium attaches its programs to a device of ours.
bool takes_ours(const api::ConfigMapObject& config) {
  const auto patterns = words_of(value_of(config, "devices"));
  if (patterns.empty()) return true;
  return std::any_of(patterns.begin(), patterns.end(), [](const auto& pattern) {
    return std::any_of(std::begin(kOurDevices), std::end(kOurDevices),
                       [&](const auto& device) { return matches(pattern, device); });
  });
}

struct FamilyKeys {
  const char* masquerade;
  const char* exempt;
};
FamilyKeys keys_of(Family family) {
  return family == Family::kV4 ? FamilyKeys{"enable-ipv4-masquerade", "ipv4-native-routing-cidr"}
                               : FamilyKeys{"enable-ipv6-masquerade", "ipv6-native-routing-cidr"};
}

bool masquerades(const api::ConfigMapObject& config, Family family) {
  return !is(config, keys_of(family).masquerade, "false");
}

// The first remote prefix whose packets get another source; none: all keep theirs.
std::optional<Prefix> translated(const api::ConfigMapObject& config,
                                 std::span<const Prefix> remotes) {
  for (const auto& remote : remotes) {
    if (!masquerades(config, remote.family())) continue;
    const auto exempt = Prefix::parse(value_of(config, keys_of(remote.family()).exempt));
    if (!exempt || !exempt->contains(remote)) return remote;
  }
  return std::nullopt;
}

bool routes_in_bpf(const api::ConfigMapObject& config) {
  const bool replaces_proxy = is(config, "kube-proxy-replacement", "true") ||
                              is(config, "kube-proxy-replacement", "strict");
  const bool in_bpf = is(config, "enable-bpf-masquerade", "true") ||
                      (!masquerades(config, Family::kV4) && !masquerades(config, Family::kV6));
  return replaces_proxy && in_bpf && !is(config, "enable-host-legacy-routing", "true");
}

}  // namespace

std::vector<std::string> cilium_obstacles(const api::ConfigMapObject& config,
                                          std::span<const Prefix> remotes) {
  std::vector<std::string> all;
  if (remotes.empty()) return all;
  const bool in_bpf =
      is(config, "enable-bpf-masquerade", "true") && !is(config, "enable-ip-masq-agent", "true");
  if (const auto remote = translated(config, remotes); in_bpf && remote && takes_ours(config)) {
    all.push_back(fmt::format(
        "Cilium gives pods' packets to remote clusters another source: enable-bpf-masquerade is "
        "true in ConfigMap {}/{}, and its devices include {} and {}. Set Cilium's `devices` to the "
        "node's own devices, or `{}` to a range that contains {} and this cluster's pods",
        kCiliumConfigNamespace, kCiliumConfigName, kOurDevices[0], kOurDevices[1],
        keys_of(remote->family()).exempt, remote->to_string()));
  }
  if (routes_in_bpf(config)) {
    all.push_back(fmt::format(
        "Cilium's BPF host routing passes pods' packets by netfilter, so Causeway's rules there do "
        "not see them. Set enable-host-legacy-routing to true in ConfigMap {}/{} (Helm: "
        "bpf.hostLegacyRouting)",
        kCiliumConfigNamespace, kCiliumConfigName));
  }
  return all;
}

std::vector<std::string> ovn_obstacles(const api::Node& node) {
  const auto found = node.meta.annotations.find(kOvnGateway);
  if (found == node.meta.annotations.end()) return {};
  const auto config = nlohmann::json::parse(found->second, nullptr, false);
  if (!config.is_object() || !config.contains("default")) return {};
  const auto& network = config["default"];
  if (!network.is_object() || !network.contains("mode") || network["mode"] != "shared") return {};
  return {fmt::format(
      "OVN-Kubernetes runs in shared gateway mode on Node {} (annotation {}): pods' packets leave "
      "by an OVN router and meet no route of the host, so pods reach no remote cluster. Set local "
      "gateway mode (OpenShift: gatewayConfig.routingViaHost: true)",
      node.meta.key.name, kOvnGateway)};
}

}  // namespace cw::prefixes
