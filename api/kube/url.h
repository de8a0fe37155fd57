// Where an object or a collection is in the API: paths and query strings. Pure.
#pragma once

#include <string>
#include <string_view>

#include "api/store/store.h"

namespace cw::api::kube {

// RFC 3986: all but unreserved characters as %XX.
[[nodiscard]] std::string escaped(std::string_view text);

// "/api/v1/namespaces/a/services", "/apis/causeway.dev/v1alpha1/gateways": a namespace's, or (ns
// empty) all.
[[nodiscard]] std::string collection_path(Kind kind, const std::string& ns);
// The object's own path; `key` has passed check_key().
[[nodiscard]] std::string object_path(Kind kind, const ObjectKey& key);

struct ListQuery {
  std::size_t limit = 0;         // 0: all in one answer
  std::string continue_token{};  // of the page before
};
[[nodiscard]] std::string list_url(const Selector& selector, const ListQuery& query);

// A watch after `resource_version` that the server ends after `seconds`.
[[nodiscard]] std::string watch_url(const Selector& selector, const std::string& resource_version,
                                    unsigned seconds);

}  // namespace cw::api::kube
