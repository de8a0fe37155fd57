// Paths and query strings of objects and collections in the Kubernetes API. Pure.
#pragma once

#include <string>
#include <string_view>

#include "api/store/store.h"

namespace cw::api::kube {

// Encodes all characters except the unreserved ones as %XX (RFC 3986).
[[nodiscard]] std::string escaped(std::string_view text);

// "/api/v1/namespaces/a/services", "/apis/causeway.dev/v1alpha1/tunnelgateways". An empty `ns`
// means all namespaces.
[[nodiscard]] std::string collection_path(Kind kind, const std::string& ns);
// The path of one object. `key` must have passed check_key().
[[nodiscard]] std::string object_path(Kind kind, const ObjectKey& key);

struct ListQuery {
  std::size_t limit = 0;         // objects per page; 0: all in one answer
  std::string continue_token{};  // from the previous page
};
[[nodiscard]] std::string list_url(const Selector& selector, const ListQuery& query);

// A watch of the changes after `resource_version`. The server ends it after `seconds`.
[[nodiscard]] std::string watch_url(const Selector& selector, const std::string& resource_version,
                                    unsigned seconds);

}  // namespace cw::api::kube
