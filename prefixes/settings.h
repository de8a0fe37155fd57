// What the administrator says about pod prefixes: the ConfigMap causeway-prefixes in Causeway's
// namespace. All daemons and causewayctl read it, so they agree, and a change needs no restart.
// Pure.
//   data:
//     source: auto     # or one of calico, cilium, ovn, kube-router, azure, node, cluster,
//     configured ranges: "10.240.0.0/13 fd00:10::/48"   # of the cluster as a whole nodes: | # per
//     node, or per label for the nodes that have it
//       worker-1: 10.244.1.0/24 fd00:10:1::/64
//       example.com/rack=7: 10.244.7.0/24
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/cni_kinds.h"
#include "api/types/node.h"
#include "base/error.h"
#include "base/prefix.h"

namespace cw::prefixes {

enum class Source { kConfigured, kCalico, kCilium, kOvn, kKubeRouter, kAzure, kNode, kCluster };

inline constexpr std::string_view kSettingsName = "causeway-prefixes";

[[nodiscard]] std::string_view name_of(Source source);  // "kube-router"
[[nodiscard]] std::optional<Source> source_of(std::string_view name);

struct Settings {
  std::optional<Source> source;  // none: found by itself
  std::vector<Prefix> ranges;
  // By Node name, or by "label=value". A Node name wins over a label.
  std::map<std::string, std::vector<Prefix>> nodes;
  friend bool operator==(const Settings&, const Settings&) = default;

  // Null: the settings do not say it.
  [[nodiscard]] const std::vector<Prefix>* of(const api::Node& node) const;
};

// kInvalid: the text names the key and what is wrong with it.
[[nodiscard]] Result<Settings> parse_settings(const api::ConfigMapObject& object);

// Prefixes with white space or commas between them.
[[nodiscard]] Result<std::vector<Prefix>> parse_prefixes(std::string_view text);

}  // namespace cw::prefixes
