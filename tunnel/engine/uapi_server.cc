#include "tunnel/engine/uapi_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <list>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/thread_role.h"
#include "tunnel/engine/device_state.h"

namespace cw::tunnel::engine {

namespace {

constexpr auto kClientTime = seconds(30);  // the longest time without progress

int errno_of(const Error& error) {
  switch (error.code) {
    case Errc::kInvalid:
      return EINVAL;
    case Errc::kExists:
      return EADDRINUSE;
    case Errc::kDenied:
      return EPERM;
    case Errc::kTooLarge:
      return E2BIG;
    default:
      return EIO;
  }
}

struct Client {
  UniqueFd fd;
  std::string in;
  std::string out;
  TimePoint progress;
  bool ended = false;  // the client closed its sending side
};

sockaddr_un name_of(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(static_cast<char*>(name.sun_path), path.data(), path.size());
  return name;
}

bool answers(const sockaddr_un& name) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
}

Result<UniqueFd> listen_at(const std::string& folder, const std::string& path) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(errno_error(errno, folder));
  }
  if (path.size() >= sizeof sockaddr_un{}.sun_path) {
    return fail(Errc::kInvalid, fmt::format("{}: path too long for a socket", path));
  }
  const auto name = name_of(path);
  if (answers(name)) {
    return fail(Errc::kExists, fmt::format("{}: another program listens there", path));
  }
  (void)::unlink(path.c_str());  // the socket of a dead process
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno_error(errno, "socket"));
  // fchmod() comes before the bind, so that other users can never connect.
  if (::fchmod(fd.get(), 0600) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(fd.get(), 16) != 0) {
    return fail(errno_error(errno, path));
  }
  return fd;
}

}  // namespace

std::string uapi_answer(Device& device, std::string_view request) {
  const auto decoded = uapi::decode_request(request);
  if (!decoded) {
    log_debug("uapi request refused", {{"error", decoded.error().text}});
    return uapi::encode_errno(-errno_of(decoded.error()));
  }
  if (const auto* set = std::get_if<uapi::SetRequest>(&*decoded)) {
    const auto done = device.set(*set);
    if (!done) log_warn("uapi request failed", {{"error", done.error().text}});
    return uapi::encode_errno(done ? 0 : -errno_of(done.error()));
  }
  const auto now = device.settings();
  return uapi::encode_get(now.private_key, now.status, now.preshared_keys);
}

struct UapiServer::State {
  State(std::string socket_path, UniqueFd socket, Device& served)
      : path(std::move(socket_path)), listener(std::move(socket)), device(served) {
    thread = std::thread([this] {
      name_thread("cw-uapi");
      give_way();
      run();
    });
  }
  ~State() {
    stop = true;
    wake.set();
    thread.join();
    (void)::unlink(path.c_str());
  }

  void run();
  void accept_one();
  bool serve(Client& client, short events);  // false: remove the client
  bool answer(Client& client);
  static bool flush(Client& client);

  const std::string path;
  UniqueFd listener;
  Device& device;
  Signal wake;
  std::atomic<bool> stop{false};
  std::list<Client> clients;
  std::thread thread;
};

void UapiServer::State::run() {
  std::vector<pollfd> waiting;
  bool refused = false;  // out of descriptors: wait a second and do not spin
  while (!stop) {
    waiting.assign(1, {wake.fd(), POLLIN, 0});
    const bool room = clients.size() < kMaxClients && !refused;
    waiting.push_back({room ? listener.get() : -1, POLLIN, 0});
    for (const auto& client : clients) {
      const auto events = client.out.empty() ? POLLIN : POLLOUT;
      waiting.push_back({client.fd.get(), static_cast<short>(events), 0});
    }
    // Wakes every second while there are clients, to remove those without progress.
    const int wait = clients.empty() && !refused ? -1 : 1000;
    (void)::poll(waiting.data(), waiting.size(), wait);
    refused = false;
    std::size_t i = 2;
    const auto now = boot_now();
    for (auto it = clients.begin(); it != clients.end(); ++i) {
      const bool stays = waiting[i].revents == 0 ? now - it->progress < kClientTime
                                                 : serve(*it, waiting[i].revents);
      it = stays ? std::next(it) : clients.erase(it);
    }
    if (waiting[1].revents != 0) {
      const auto before = clients.size();
      accept_one();
      refused = clients.size() == before && (errno == EMFILE || errno == ENFILE);
    }
  }
}

void UapiServer::State::accept_one() {
  errno = 0;
  UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd) clients.push_back({std::move(fd), {}, {}, boot_now(), false});
}

bool UapiServer::State::serve(Client& client, short events) {
  client.progress = boot_now();
  if (!client.out.empty()) return flush(client) && (!client.ended || !client.out.empty());
  if ((events & (POLLIN | POLLHUP)) == 0) return false;
  char buffer[65536];
  const auto n = ::recv(client.fd.get(), buffer, sizeof buffer, 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) {
    // `wg` tests whether a socket is alive by connecting and closing. A request may end in this
    // way, too.
    client.ended = true;
    if (client.in.empty()) return false;
    if (client.in.back() != '\n') client.in += '\n';
    client.in += '\n';
  } else {
    client.in.append(buffer, static_cast<std::size_t>(n));
  }
  return answer(client) && (!client.ended || !client.out.empty());
}

// Answers every complete request.
bool UapiServer::State::answer(Client& client) {
  for (;;) {
    const auto end = client.in.find("\n\n");
    if (end == std::string::npos) break;
    client.out += uapi_answer(device, std::string_view(client.in).substr(0, end + 1));
    client.in.erase(0, end + 2);
  }
  if (client.in.size() > uapi::kMaxText) return false;
  return flush(client);
}

bool UapiServer::State::flush(Client& client) {
  while (!client.out.empty()) {
    const auto n = ::send(client.fd.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    client.out.erase(0, static_cast<std::size_t>(n));
  }
  return true;
}

UapiServer::UapiServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
UapiServer::~UapiServer() = default;

Result<std::unique_ptr<UapiServer>> UapiServer::listen(const std::string& folder, Device& device) {
  const auto path = fmt::format("{}/{}.sock", folder, device.interface());
  auto listener = listen_at(folder, path);
  if (!listener) return fail(std::move(listener.error()).context("uapi socket"));
  return std::unique_ptr<UapiServer>(
      new UapiServer(std::make_unique<State>(path, std::move(*listener), device)));
}

}  // namespace cw::tunnel::engine
