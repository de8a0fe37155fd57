#include "tunnel/uapi/client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"
#include "tunnel/uapi/codec.h"

namespace cw::tunnel::uapi {

namespace {

using Clock = std::chrono::steady_clock;

Result<> wait_for(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return fail(Errc::kUnavailable, "no answer in time");
    pollfd p{fd, events, 0};
    const int n = ::poll(&p, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (n > 0) return {};
    if (n < 0 && errno != EINTR) return fail(errno_error(errno, "poll"));
  }
}

Result<std::string> talk(int fd, std::string_view request, Clock::time_point deadline) {
  while (!request.empty()) {
    if (auto ok = wait_for(fd, POLLOUT, deadline); !ok) return fail(ok.error());
    const auto n = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return fail(errno_error(errno, "send"));
    request.remove_prefix(static_cast<std::size_t>(n));
  }
  std::string reply;
  char buffer[65536];
  for (;;) {
    if (auto ok = wait_for(fd, POLLIN, deadline); !ok) return fail(ok.error());
    const auto n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return fail(errno_error(errno, "receive"));
    if (n == 0) return fail(Errc::kUnavailable, "closed before the reply's end");
    reply.append(buffer, static_cast<std::size_t>(n));
    if (reply.ends_with("\n\n")) return reply;
    if (reply.size() > kMaxText) return fail(Errc::kTooLarge, "reply too large");
  }
}

}  // namespace

Result<std::string> exchange(const std::string& socket_path, std::string_view request,
                             std::chrono::milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) {
    return fail(Errc::kInvalid, fmt::format("{}: path too long for a socket", socket_path));
  }
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno_error(errno, "socket"));
  // The backlog of a program that hangs runs full, and connect() then waits.
  const auto ms = timeout.count();
  const timeval limit{ms / 1000, ms % 1000 * 1000};
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int err = errno;
    auto error = errno_error(err, socket_path);
    if (err == ECONNREFUSED || err == ENOENT) error.code = Errc::kNotFound;
    if (err == EAGAIN) error.code = Errc::kUnavailable;
    return fail(std::move(error));
  }
  auto reply = talk(fd.get(), request, Clock::now() + timeout);
  if (!reply) return fail(std::move(reply.error()).context(socket_path));
  return reply;
}

}  // namespace cw::tunnel::uapi
