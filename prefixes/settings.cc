#include "prefixes/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace cw::prefixes {

namespace {

constexpr std::array<std::pair<Source, std::string_view>, 8> kNames = {{
    {Source::kConfigured, "configured"},
    {Source::kCalico, "calico"},
    {Source::kCilium, "cilium"},
    {Source::kOvn, "ovn"},
    {Source::kKubeRouter, "kube-router"},
    {Source::kAzure, "azure"},
    {Source::kNode, "node"},
    {Source::kCluster, "cluster"},
}};

std::string_view without_spaces(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

Result<> read_source(const std::string& text, Settings& settings) {
  if (text == "auto" || text.empty()) return {};
  settings.source = source_of(text);
  if (settings.source) return {};
  std::string names;
  for (const auto& [source, name] : kNames) names += fmt::format(", {}", name);
  return fail(Errc::kInvalid, fmt::format("\"{}\": want auto{}", text, names));
}

// "NAME: PREFIXES" or "LABEL=VALUE: PREFIXES".
Result<> read_node(std::string_view line, Settings& settings) {
  const auto colon = line.find(": ");
  const auto name = without_spaces(line.substr(0, colon));
  if (colon == std::string_view::npos || name.empty()) {
    return fail(Errc::kInvalid, fmt::format("\"{}\": want NODE: PREFIXES", line));
  }
  auto prefixes = parse_prefixes(line.substr(colon + 2));
  if (!prefixes) return fail(std::move(prefixes.error()).context(name));
  if (!settings.nodes.emplace(name, std::move(*prefixes)).second) {
    return fail(Errc::kInvalid, fmt::format("{} is listed twice", name));
  }
  return {};
}

Result<> read_nodes(std::string_view text, Settings& settings) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = without_spaces(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (auto good = read_node(line, settings); !good) return good;
  }
  return {};
}

Result<> read_entry(const std::string& key, const std::string& text, Settings& settings) {
  if (key == "source") return read_source(text, settings);
  if (key == "nodes") return read_nodes(text, settings);
  if (key != "ranges") return fail(Errc::kInvalid, "there is no such key");
  auto ranges = parse_prefixes(text);
  if (!ranges) return fail(std::move(ranges.error()));
  settings.ranges = std::move(*ranges);
  return {};
}

}  // namespace

std::string_view name_of(Source source) {
  return std::find_if(kNames.begin(), kNames.end(),
                      [&](const auto& pair) { return pair.first == source; })
      ->second;
}

std::optional<Source> source_of(std::string_view name) {
  const auto* found = std::find_if(kNames.begin(), kNames.end(),
                                   [&](const auto& pair) { return pair.second == name; });
  if (found == kNames.end()) return std::nullopt;
  return found->first;
}

const std::vector<Prefix>* Settings::of(const api::Node& node) const {
  if (const auto found = nodes.find(node.meta.key.name); found != nodes.end()) {
    return &found->second;
  }
  for (const auto& [label, value] : node.meta.labels) {
    const auto found = nodes.find(label + "=" + value);
    if (found != nodes.end()) return &found->second;
  }
  return nullptr;
}

Result<std::vector<Prefix>> parse_prefixes(std::string_view text) {
  constexpr std::string_view kBetween = " \t\r\n,";
  std::vector<Prefix> all;
  for (auto at = text.find_first_not_of(kBetween); at != std::string_view::npos;
       at = text.find_first_not_of(kBetween, at)) {
    const auto end = std::min(text.find_first_of(kBetween, at), text.size());
    auto prefix = Prefix::parse(text.substr(at, end - at));
    if (!prefix) return fail(std::move(prefix.error()));
    all.push_back(*prefix);
    at = end;
  }
  return all;
}

Result<Settings> parse_settings(const api::ConfigMapObject& object) {
  Settings settings;
  for (const auto& [key, text] : object.data) {
    if (auto good = read_entry(key, text, settings); !good) {
      return fail(
          std::move(good.error()).context(fmt::format("ConfigMap {}: {}", kSettingsName, key)));
    }
  }
  if (settings.source == Source::kConfigured && settings.nodes.empty()) {
    return fail(Errc::kInvalid,
                fmt::format("ConfigMap {}: source: \"configured\" needs `nodes`", kSettingsName));
  }
  return settings;
}

}  // namespace cw::prefixes
