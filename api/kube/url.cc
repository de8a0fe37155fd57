#include "api/kube/url.h"

#include <fmt/format.h>

namespace cw::api::kube {

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string collection_path(Kind kind, const std::string& ns) {
  const auto& about = info(kind);
  // The core group is under /api, all other groups are under /apis.
  const auto* root = about.api_version.find('/') == std::string_view::npos ? "/api" : "/apis";
  if (ns.empty() || !about.namespaced) {
    return fmt::format("{}/{}/{}", root, about.api_version, about.plural);
  }
  return fmt::format("{}/{}/namespaces/{}/{}", root, about.api_version, escaped(ns), about.plural);
}

std::string object_path(Kind kind, const ObjectKey& key) {
  return collection_path(kind, key.ns) + "/" + escaped(key.name);
}

namespace {

// The selectors of a query. Ends with "&" unless it is empty.
std::string selection(const Selector& selector) {
  std::string out;
  if (!selector.label_selector.empty()) {
    out += "labelSelector=" + escaped(selector.label_selector) + "&";
  }
  if (!selector.name.empty()) {
    out += "fieldSelector=" + escaped("metadata.name=" + selector.name) + "&";
  }
  return out;
}

}  // namespace

std::string list_url(const Selector& selector, const ListQuery& query) {
  auto out = collection_path(selector.kind, selector.ns) + "?" + selection(selector);
  if (query.limit != 0) out += fmt::format("limit={}&", query.limit);
  if (!query.continue_token.empty()) out += "continue=" + escaped(query.continue_token) + "&";
  out.pop_back();  // the last "&", or the "?" alone
  return out;
}

std::string watch_url(const Selector& selector, const std::string& resource_version,
                      unsigned seconds) {
  return fmt::format("{}?{}watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}",
                     collection_path(selector.kind, selector.ns), selection(selector),
                     escaped(resource_version), seconds);
}

}  // namespace cw::api::kube
