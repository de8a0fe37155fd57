// Errors as values. Result<T> holds a T or an Error. There is one code for each thing that a caller
// does differently. The text gains one clause of context per layer, outermost first: "peer east/0:
// set allowed IPs: netlink: EPERM". Our code throws nothing across a callback, a thread or a C
// library.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace cw {

enum class Errc {
  kInvalid,      // the input is wrong; the same input fails again
  kNotFound,     // the thing asked for is not there
  kExists,       // create found the object already there
  kConflict,     // stale resourceVersion: read the object, then retry
  kExpired,      // the watch's resourceVersion is too old: list again
  kDenied,       // no permission; retrying alone does not help
  kUnavailable,  // the other side is away or busy: retry with backoff
  kUnsupported,  // this kernel or peer cannot do it
  kTooLarge,     // over a size limit
  kInternal,     // anything else (errno in the text)
};

struct Error {
  Errc code = Errc::kInternal;
  std::string text;

  // The same error with one more clause in front.
  [[nodiscard]] Error context(std::string_view clause) && {
    return {code, std::string(clause) + ": " + std::move(text)};
  }
  [[nodiscard]] Error context(std::string_view clause) const& {
    return {code, std::string(clause) + ": " + text};
  }
};

template <typename T = void>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string text) {
  return tl::unexpected<Error>(Error{code, std::move(text)});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

// The code for the errno `err`, and the text "clause: NAME (description)".
[[nodiscard]] Error errno_error(int err, std::string_view clause);

}  // namespace cw

// For a broken invariant of ours: prints where it is and aborts. Never for input from outside.
#define CW_CHECK(cond)                                          \
  do {                                                          \
    if (!(cond)) ::cw::check_failed(#cond, __FILE__, __LINE__); \
  } while (false)

namespace cw {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}
