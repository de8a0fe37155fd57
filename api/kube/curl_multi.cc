#include "api/kube/curl_multi.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "base/error.h"

namespace cw::api::kube {

namespace {

// For a server that vanished: keep-alive after 15 s of silence, then 3 probes 5 s apart.
// Unacknowledged data ends the connection after 20 s.
constexpr int kKeepIdle = 15;
constexpr int kKeepInterval = 5;
constexpr int kKeepCount = 3;
constexpr unsigned kUserTimeoutMs = 20'000;

void tune_socket(int fd) {
  const int on = 1;
  (void)::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepIdle, sizeof(int));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepInterval, sizeof(int));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kKeepCount, sizeof(int));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof(unsigned));
}

long local_port(int fd) {
  sockaddr_in6 at{};  // sin6_port is where sin_port is
  socklen_t size = sizeof(at);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) != 0) return 0;
  return ntohs(at.sin6_port);
}

// libcurl calls these with CurlMulti::opened_.
int on_open(void* opened, curl_socket_t fd, curlsocktype /*purpose*/) {
  static_cast<std::set<int>*>(opened)->insert(fd);
  tune_socket(fd);
  return CURL_SOCKOPT_OK;
}

int on_close(void* opened, curl_socket_t fd) {
  static_cast<std::set<int>*>(opened)->erase(fd);
  return ::close(fd);
}

}  // namespace

CurlMulti::CurlMulti(Loop& loop, std::function<void()> on_turn)
    : loop_(loop), on_turn_(std::move(on_turn)) {
  static const auto kOnce = curl_global_init(CURL_GLOBAL_DEFAULT);
  CW_CHECK(kOnce == CURLE_OK);
  open();
}

CurlMulti::~CurlMulti() { curl_multi_cleanup(multi_); }

void CurlMulti::open() {
  multi_ = curl_multi_init();
  CW_CHECK(multi_ != nullptr);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  curl_multi_setopt(multi_, CURLMOPT_MAX_CONCURRENT_STREAMS, 250L);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlMulti::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlMulti::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
}

// libcurl tells which events it waits for on a socket. This may destroy the loop's handle while the
// handle's own callback runs, so those callbacks capture what they need by value.
int CurlMulti::on_socket(void* /*easy*/, int fd, int what, void* self, void* /*socket*/) {
  auto& multi = *static_cast<CurlMulti*>(self);
  if (what == CURL_POLL_REMOVE) {
    multi.watched_.erase(fd);
    return 0;
  }
  auto& watched = multi.watched_[fd];
  const bool reads = what == CURL_POLL_IN || what == CURL_POLL_INOUT;
  const bool writes = what == CURL_POLL_OUT || what == CURL_POLL_INOUT;
  if (!reads) watched.read.reset();
  if (!writes) watched.write.reset();
  if (reads && !watched.read.active()) {
    watched.read =
        multi.loop_.watch(fd, FdEvent::kRead, [&multi, fd] { multi.act(fd, CURL_CSELECT_IN); });
  }
  if (writes && !watched.write.active()) {
    watched.write =
        multi.loop_.watch(fd, FdEvent::kWrite, [&multi, fd] { multi.act(fd, CURL_CSELECT_OUT); });
  }
  return 0;
}

int CurlMulti::on_timer(void* /*multi*/, long ms, void* self) {
  auto& multi = *static_cast<CurlMulti*>(self);
  multi.timer_.reset();
  if (ms >= 0) {
    multi.timer_ = multi.loop_.after(std::chrono::milliseconds(ms),
                                     [&multi] { multi.act(CURL_SOCKET_TIMEOUT, 0); });
  }
  return 0;
}

void CurlMulti::act(int fd, int what) {
  int running = 0;
  inside_ = true;
  (void)curl_multi_socket_action(multi_, fd, what, &running);
  inside_ = false;
  const auto turn = on_turn_;  // it may destroy this object
  turn();
}

void CurlMulti::add(void* easy) {
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &on_open);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, &opened_);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &on_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, &opened_);
  CW_CHECK(curl_multi_add_handle(multi_, easy) == CURLM_OK);
}

void CurlMulti::remove(void* easy) {
  CW_CHECK(!inside_);
  curl_multi_remove_handle(multi_, easy);
}

std::optional<CurlMulti::Ended> CurlMulti::next_ended() {
  int left = 0;
  while (const auto* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg == CURLMSG_DONE) return Ended{message->easy_handle, message->data.result};
  }
  return std::nullopt;
}

void CurlMulti::shut_down(long port) const {
  for (const auto fd : opened_) {
    if (local_port(fd) == port) (void)::shutdown(fd, SHUT_RDWR);
  }
}

void CurlMulti::close_all() {
  curl_multi_cleanup(multi_);
  watched_.clear();
  timer_.reset();
  open();
}

}  // namespace cw::api::kube
