// What the API server says, read: objects, list pages, watch events, and the Status that comes with
// an error. Total and size-limited: these are outside bytes. Pure.
#pragma once

#include <string>
#include <string_view>

#include "api/store/store.h"

namespace cw::api::kube {

inline constexpr std::size_t kMaxAnswer = 64U << 20U;  // one page of a list, one object
inline constexpr std::size_t kMaxLine = 8U << 20U;     // one watch event; etcd's limit is 1.5 MiB
inline constexpr int kMaxDepth = 64;                   // of JSON nesting

// `what` leads the error's text. managedFields are left out: they are half of an object's size and
// nothing here reads them (an update without them leaves them as they are).
[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text, std::string_view what);

[[nodiscard]] Result<Object> parse_object(Kind kind, std::string_view text);

struct Page {
  List list;
  std::string continue_token;  // empty: the last page
};
[[nodiscard]] Result<Page> parse_page(Kind kind, std::string_view text);

// One line of a watch. An ERROR event is an error: kExpired for 410.
[[nodiscard]] Result<WatchEvent> parse_event(Kind kind, std::string_view line);

// An HTTP status that is no success, with the body's metav1.Status if there is one. `what` is the
// request: "get Service a/b".
[[nodiscard]] Error error_of(int status, std::string_view body, std::string_view what);

}  // namespace cw::api::kube
