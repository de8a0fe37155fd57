// What every store does to an object on its way in: names checked, metadata stamped, spec and
// status told apart, label selectors matched. Pure; used by the directory and memory stores.
#pragma once

#include <map>
#include <string>

#include "api/store/store.h"
#include "base/random.h"

namespace cw::api {

// kInvalid unless the key fits the kind and holds only what a Kubernetes name may (so that it is
// also a safe file name): [a-z0-9.-], at most 253, no leading dot.
[[nodiscard]] Result<> check_key(Kind kind, const ObjectKey& key);

// `body`'s metadata.name/namespace as a key.
[[nodiscard]] ObjectKey key_of(const nlohmann::json& body);

// A new object: uid, creationTimestamp and generation 1 set, the status dropped, kind and
// apiVersion set.
[[nodiscard]] nlohmann::json stamped_new(Kind kind, nlohmann::json body, const std::string& uid,
                                         WallTime now);
// `next` over `stored`: status, uid, creationTimestamp kept; generation grows if anything but
// metadata changed.
[[nodiscard]] nlohmann::json merged_update(const nlohmann::json& stored, nlohmann::json next);
// Only `next`'s status over `stored`.
[[nodiscard]] nlohmann::json merged_status(const nlohmann::json& stored,
                                           const nlohmann::json& next);
// The same but for resourceVersion.
[[nodiscard]] bool same_content(const nlohmann::json& a, const nlohmann::json& b);

// The labels of any body, as far as they are text that Kubernetes allows: at most 64 of them.
[[nodiscard]] std::map<std::string, std::string> text_labels(const nlohmann::json& body);
// "a=b,c=d"; empty matches all.
[[nodiscard]] bool labels_match(const nlohmann::json& body, const std::string& selector);
[[nodiscard]] bool selected(const Selector& selector, const Object& object);

// A random UUID, version 4.
[[nodiscard]] std::string new_uid(Random& random);

}  // namespace cw::api
