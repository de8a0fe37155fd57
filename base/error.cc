#include "base/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cw {

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
