// Parses the API server's answers: objects, list pages, watch events, and the Status of an error.
// The input is untrusted: any bytes give a value or an error, and sizes are limited. Pure.
#pragma once

#include <string>
#include <string_view>

#include "api/store/store.h"

namespace cw::api::kube {

inline constexpr std::size_t kMaxAnswer = 64U << 20U;  // one list page or one object
inline constexpr std::size_t kMaxLine = 8U << 20U;     // one watch event; etcd's limit is 1.5 MiB
inline constexpr int kMaxDepth = 64;                   // of JSON nesting

// `what` begins the error's text. managedFields are dropped: they are half of an object's size, and
// Causeway does not read them. An update without them does not change them.
[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text, std::string_view what);

[[nodiscard]] Result<Object> parse_object(Kind kind, std::string_view text);

struct Page {
  List list;
  std::string continue_token;  // empty: this is the last page
};
[[nodiscard]] Result<Page> parse_page(Kind kind, std::string_view text);

// One line of a watch. An ERROR event becomes an error: kExpired for code 410.
[[nodiscard]] Result<WatchEvent> parse_event(Kind kind, std::string_view line);

// The error for an HTTP status that is no success, with the message of the body's metav1.Status if
// it has one. `what` is the request: "get Service a/b".
[[nodiscard]] Error error_of(int status, std::string_view body, std::string_view what);

}  // namespace cw::api::kube
