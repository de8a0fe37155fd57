#include "base/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cw {

std::string_view errc_name(Errc code) {
  switch (code) {
    case Errc::kInvalid:
      return "invalid";
    case Errc::kNotFound:
      return "not found";
    case Errc::kExists:
      return "exists";
    case Errc::kConflict:
      return "conflict";
    case Errc::kExpired:
      return "expired";
    case Errc::kDenied:
      return "denied";
    case Errc::kUnavailable:
      return "unavailable";
    case Errc::kUnsupported:
      return "unsupported";
    case Errc::kTooLarge:
      return "too large";
    case Errc::kInternal:
      return "internal";
  }
  return "internal";
}

namespace {

Errc code_of_errno(int err) {
  switch (err) {
    case EINVAL:
      return Errc::kInvalid;
    case ENOENT:
    case ENODEV:
    case ESRCH:
      return Errc::kNotFound;
    case EEXIST:
      return Errc::kExists;
    case EPERM:
    case EACCES:
      return Errc::kDenied;
    case EAGAIN:
    case EBUSY:
    case ECONNREFUSED:
    case ETIMEDOUT:
    case ENOBUFS:
    case EINTR:
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTUNREACH:
      return Errc::kUnavailable;
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
      return Errc::kUnsupported;
    default:
      return Errc::kInternal;
  }
}

}  // namespace

Error errno_error(int err, std::string_view clause) {
  const char* name = strerrorname_np(err);
  return {code_of_errno(err), fmt::format("{}: {} ({})", clause, name != nullptr ? name : "errno",
                                          std::strerror(err))};  // NOLINT(concurrency-mt-unsafe)
}

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, condition);
  std::abort();
}

}  // namespace cw
