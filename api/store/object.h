// What a store does to an object on its way in: it checks names, stamps metadata, separates spec
// from status and matches label selectors. Pure. For the directory and memory stores.
#pragma once

#include <map>
#include <string>

#include "api/store/store.h"
#include "base/random.h"

namespace cw::api {

// kInvalid unless the key fits the kind and has only the characters of a Kubernetes name:
// [a-z0-9.-], at most 253, first and last alphanumeric. Such a name is also a safe file name.
[[nodiscard]] Result<> check_key(Kind kind, const ObjectKey& key);

// The key in `body`'s metadata.name and metadata.namespace.
[[nodiscard]] ObjectKey key_of(const nlohmann::json& body);

// `body` as a new object: uid, creationTimestamp, generation 1, kind and apiVersion set, status
// removed.
[[nodiscard]] nlohmann::json stamped_new(Kind kind, nlohmann::json body, const std::string& uid,
                                         WallTime now);
// `next` as an update of `stored`: status, uid and creationTimestamp are kept. The generation grows
// if anything outside of the metadata changed.
[[nodiscard]] nlohmann::json merged_update(const nlohmann::json& stored, nlohmann::json next);
// `stored` with `next`'s status.
[[nodiscard]] nlohmann::json merged_status(const nlohmann::json& stored,
                                           const nlohmann::json& next);
// True: equal except for resourceVersion.
[[nodiscard]] bool same_content(const nlohmann::json& a, const nlohmann::json& b);

// The labels of `body` with text values of at most 63 bytes; at most 64 of them. `body` may be
// anything.
[[nodiscard]] std::map<std::string, std::string> text_labels(const nlohmann::json& body);
// `selector`: "a=b,c=d". An empty one matches all.
[[nodiscard]] bool labels_match(const nlohmann::json& body, const std::string& selector);
[[nodiscard]] bool selected(const Selector& selector, const Object& object);

// A random UUID (version 4).
[[nodiscard]] std::string new_uid(Random& random);

}  // namespace cw::api
