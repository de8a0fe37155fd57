#include "api/kube/http.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/log.h"

namespace cw::api::kube {

namespace {

constexpr long kConnectTimeoutMs = 5'000;
// For a server that vanished: keep-alive after 15 s of silence, then 3 probes 5 s apart.
// Unacknowledged data ends the connection after 20 s.
constexpr int kKeepIdle = 15;
constexpr int kKeepInterval = 5;
constexpr int kKeepCount = 3;
constexpr unsigned kUserTimeoutMs = 20'000;
// Requests in flight; further ones wait. A server allows 100 to 1000 streams per connection. Beyond
// that libcurl would open more and more connections.
constexpr std::size_t kAtOnce = 64;

void tune_socket(curl_socket_t fd) {
  const int on = 1;
  (void)::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepIdle, sizeof(int));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepInterval, sizeof(int));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kKeepCount, sizeof(int));
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMs, sizeof(unsigned));
}

long local_port(curl_socket_t fd) {
  sockaddr_in6 at{};  // sin6_port is where sin_port is
  socklen_t size = sizeof(at);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) != 0) return 0;
  return ntohs(at.sin6_port);
}

struct Transfer {
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  curl_slist* connect_to = nullptr;
  HttpRequest request;
  Http::Done done;
  Http::Stream stream;
  bool streams = false;
  bool opened = false;
  bool running = false;  // added to libcurl
  bool too_large = false;
  bool asks = false;  // it only tests whether the server answers
  TimePoint begun{};
  TimePoint heard{};     // time of the last data; zero: data arrived in this turn
  std::string received;  // streams: bytes not yet passed to on_data
  char error[CURL_ERROR_SIZE] = {};

  ~Transfer() {
    if (easy != nullptr) curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
  }

  [[nodiscard]] int status() const {
    long code = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    return static_cast<int>(code);
  }
  // The local port is the only name that libcurl gives a transfer's connection. 0: none yet.
  [[nodiscard]] long connection() const {
    long port = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port);
    return port;
  }
  // A stream that HTTP/1.1 gave a connection of its own: nothing else can make that one speak.
  [[nodiscard]] bool alone() const {
    long version = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    return streams && (version == CURL_HTTP_VERSION_1_0 || version == CURL_HTTP_VERSION_1_1);
  }
};

Error transfer_error(CURLcode code, const Transfer& transfer) {
  const auto* detail = transfer.error[0] != '\0' ? transfer.error : curl_easy_strerror(code);
  const auto text = fmt::format("API server: {}", detail);
  if (transfer.too_large) return {Errc::kTooLarge, "API server: the answer is over the limit"};
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return {Errc::kDenied, text};
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {Errc::kInvalid, text};
    default:
      return {Errc::kUnavailable, text};
  }
}

}  // namespace

struct Http::State : std::enable_shared_from_this<Http::State> {
  State(Loop& l, HttpServer s) : loop(l), server(std::move(s)) { open_multi(); }

  void open_multi() {
    multi = curl_multi_init();
    CW_CHECK(multi != nullptr);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, 250L);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &State::on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &State::on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
  }
  ~State() {
    for (auto& [easy, transfer] : transfers) {
      if (transfer->running) curl_multi_remove_handle(multi, easy);
    }
    transfers.clear();
    curl_multi_cleanup(multi);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Loop& loop;
  HttpServer server;
  CURLM* multi = nullptr;
  std::map<CURL*, std::shared_ptr<Transfer>> transfers;
  std::deque<std::weak_ptr<Transfer>> waiting;
  std::size_t at_once = 0;  // of running transfers that are no streams
  struct Watched {
    Handle read;
    Handle write;
  };
  std::map<curl_socket_t, Watched> sockets;
  Handle timer;
  Handle pump_soon;
  Handle watchdog;
  TimePoint heard{};                   // the last data on any connection
  std::map<long, TimePoint> heard_on;  // on each connection with a request that waits
  std::set<curl_socket_t> opened;
  Identity last_identity;  // of the last request
  Handle asking;           // the request that tests the server
  std::string silence;
  bool inside = false;  // inside libcurl: no transfer may be removed now

  // libcurl tells which events it waits for on a socket. This may destroy the loop's handle while
  // the handle's own callback runs, so those callbacks capture what they need by value.
  static int on_socket(CURL* /*easy*/, curl_socket_t fd, int what, void* self, void* /*socket*/) {
    auto& state = *static_cast<State*>(self);
    if (what == CURL_POLL_REMOVE) {
      state.sockets.erase(fd);
      return 0;
    }
    auto& watched = state.sockets[fd];
    const bool reads = what == CURL_POLL_IN || what == CURL_POLL_INOUT;
    const bool writes = what == CURL_POLL_OUT || what == CURL_POLL_INOUT;
    if (!reads) watched.read.reset();
    if (!writes) watched.write.reset();
    if (reads && !watched.read.active()) {
      watched.read =
          state.loop.watch(fd, FdEvent::kRead, [&state, fd] { state.act(fd, CURL_CSELECT_IN); });
    }
    if (writes && !watched.write.active()) {
      watched.write =
          state.loop.watch(fd, FdEvent::kWrite, [&state, fd] { state.act(fd, CURL_CSELECT_OUT); });
    }
    return 0;
  }

  static int on_timer(CURLM* /*multi*/, long ms, void* self) {
    auto& state = *static_cast<State*>(self);
    state.timer.reset();
    if (ms >= 0) {
      state.timer = state.loop.after(std::chrono::milliseconds(ms),
                                     [&state] { state.act(CURL_SOCKET_TIMEOUT, 0); });
    }
    return 0;
  }

  static int on_open(void* self, curl_socket_t fd, curlsocktype /*purpose*/) {
    static_cast<State*>(self)->opened.insert(fd);
    tune_socket(fd);
    return CURL_SOCKOPT_OK;
  }

  static int on_close(void* self, curl_socket_t fd) {
    static_cast<State*>(self)->opened.erase(fd);
    return ::close(fd);
  }

  static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const auto length = size * count;
    transfer.heard = {};  // zero; act() sets the time
    if (transfer.received.size() + length > transfer.request.limit) {
      transfer.too_large = true;
      return 0;  // makes libcurl end the transfer
    }
    transfer.received.append(bytes, length);
    return length;
  }

  static std::size_t on_header(char* /*bytes*/, std::size_t size, std::size_t count, void* self) {
    static_cast<Transfer*>(self)->heard = {};
    return size * count;
  }

  // After each turn of libcurl: sets the time of the transfers that received data.
  void note_heard() {
    for (auto& [easy, transfer] : transfers) {
      if (transfer->heard != TimePoint{}) continue;
      transfer->heard = heard = loop.now();
      heard_on[transfer->connection()] = heard;
      silence.clear();
    }
  }

  // Runs four times per `quiet` while a transfer exists.
  void watch() {
    const auto keep = shared_from_this();  // a callback may destroy the Http
    if (transfers.empty()) return watchdog.reset();
    const auto now = loop.now();
    std::vector<std::shared_ptr<Transfer>> silent;
    for (const auto& [easy, transfer] : transfers) {
      if (transfer->streams && now - transfer->heard >= server.patience.stream) {
        silent.push_back(transfer);
      }
    }
    for (const auto& transfer : silent) give_up(transfer, "no data on the stream for too long");
    bool quiet = now - heard >= server.patience.quiet;
    for (const auto& [connection, since] : silent_since()) {
      if (now - since >= server.patience.quiet) quiet = true;
      if (now - since >= server.patience.quiet + server.patience.answer) close_one(connection);
    }
    if (quiet && !asking.active() && !transfers.empty()) ask();
  }

  // Each connection with a request that waits, and since when no data came. The time before the
  // first of these requests does not count.
  std::map<long, TimePoint> silent_since() {
    std::map<long, TimePoint> since;
    for (const auto& [easy, transfer] : transfers) {
      const auto connection = transfer->running ? transfer->connection() : 0;
      if (connection == 0 || transfer->alone()) continue;
      auto& first = since.try_emplace(connection, transfer->begun).first->second;
      first = std::min(first, transfer->begun);
    }
    std::erase_if(heard_on, [&](const auto& one) { return !since.contains(one.first); });
    for (const auto& [connection, at] : heard_on) {
      since[connection] = std::max(since[connection], at);
    }
    return since;
  }

  // Closes one connection of several. libcurl chooses the connection of the small request, so a
  // live connection that is merely quiet is closed here, too. Its streams go on over another one.
  void close_one(long connection) {
    log_warn("connection to the API server closed: no data came", {{"server", server.url}});
    std::vector<std::shared_ptr<Transfer>> on_it;
    for (const auto& [easy, transfer] : transfers) {
      if (transfer->running && transfer->connection() == connection) on_it.push_back(transfer);
    }
    for (const auto fd : opened) {
      if (local_port(fd) == connection) (void)::shutdown(fd, SHUT_RDWR);
    }
    heard_on.erase(connection);
    for (const auto& transfer : on_it) give_up(transfer, "nothing comes back on the connection");
  }

  void ask() {
    auto transfer = std::make_shared<Transfer>();
    transfer->request.path = "/version";
    transfer->request.timeout = server.patience.answer;
    transfer->asks = true;
    transfer->done = [this](const Result<HttpAnswer>& answer) {
      asking.reset();
      if (!answer && loop.now() - heard >= server.patience.quiet) close_all();
    };
    asking = start(transfer, last_identity);
  }

  // Nothing came back on any connection: close all of them. Later requests open new ones.
  void close_all() {
    log_warn("API server does not respond; its connections were closed", {{"server", server.url}});
    silence =
        "the API server does not respond; its connections were closed, and new ones are opened";
    std::vector<std::shared_ptr<Transfer>> all;
    for (const auto& [easy, transfer] : transfers) all.push_back(transfer);
    for (const auto& transfer : all) {
      if (transfer->running) curl_multi_remove_handle(multi, transfer->easy);
    }
    curl_multi_cleanup(multi);
    sockets.clear();
    heard_on.clear();
    timer.reset();
    open_multi();
    // Waiting transfers are not ended. They begin once the others have ended.
    std::erase_if(all, [](const auto& transfer) { return !transfer->running; });
    for (const auto& transfer : all) transfer->running = false;
    at_once = 0;
    heard = loop.now();
    for (const auto& transfer : all) give_up(transfer, "no response on the connection");
  }

  void give_up(const std::shared_ptr<Transfer>& transfer, std::string_view why) {
    if (!active(*transfer)) return;
    remove(*transfer);
    const auto done = transfer->streams ? transfer->stream.done : transfer->done;
    done(Result<HttpAnswer>(fail(Errc::kUnavailable, fmt::format("API server: {}", why))));
  }

  void act(curl_socket_t fd, int what) {
    const auto keep = shared_from_this();  // a callback may destroy the Http
    int running = 0;
    inside = true;
    (void)curl_multi_socket_action(multi, fd, what, &running);
    inside = false;
    note_heard();
    pump();
  }

  // Passes on what arrived. Never called from within libcurl.
  void pump() {
    std::vector<std::shared_ptr<Transfer>> streams;
    for (const auto& [easy, transfer] : transfers) {
      if (transfer->streams && transfer->status() == 200) streams.push_back(transfer);
    }
    for (const auto& transfer : streams) hand_on(*transfer);
    int left = 0;
    std::vector<std::pair<std::shared_ptr<Transfer>, CURLcode>> ended;
    while (const auto* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const auto found = transfers.find(message->easy_handle);
      const auto result = message->data.result;
      if (found == transfers.end()) continue;
      ended.emplace_back(found->second, result);
    }
    for (const auto& [transfer, result] : ended) finish(transfer, result);
  }

  // Compares the transfer itself, because libcurl may reuse the address of a freed handle.
  [[nodiscard]] bool active(const Transfer& transfer) const {
    const auto found = transfers.find(transfer.easy);
    return found != transfers.end() && found->second.get() == &transfer;
  }

  void hand_on(Transfer& transfer) {
    if (!active(transfer)) return;
    if (!transfer.opened) {
      transfer.opened = true;
      if (transfer.stream.on_open) transfer.stream.on_open();
      if (!active(transfer)) return;
    }
    if (transfer.received.empty()) return;
    const auto bytes = std::exchange(transfer.received, std::string());
    transfer.stream.on_data(bytes);
  }

  void finish(const std::shared_ptr<Transfer>& transfer, CURLcode result) {
    if (!active(*transfer)) return;  // an earlier callback cancelled it
    const int status = transfer->status();
    if (transfer->streams && status == 200) {
      hand_on(*transfer);
      if (!active(*transfer)) return;
    }
    const auto connection = transfer->connection();
    remove(*transfer);
    const auto done = transfer->streams ? transfer->stream.done : transfer->done;
    if (result == CURLE_OPERATION_TIMEDOUT && !transfer->asks && connection != 0 &&
        heard_on[connection] <= transfer->begun) {
      close_one(connection);  // else the next request is put on it, and times out as well
    }
    if (result != CURLE_OK) {
      done(Result<HttpAnswer>(fail(transfer_error(result, *transfer))));
    } else {
      done(HttpAnswer{status, std::move(transfer->received)});
    }
  }

  void cancel(const Transfer& transfer) {
    CW_CHECK(!inside);
    if (active(transfer)) remove(transfer);
  }

  // The caller must hold a shared_ptr of `transfer`.
  void remove(const Transfer& transfer) {
    if (transfer.running) {
      curl_multi_remove_handle(multi, transfer.easy);
      if (!transfer.streams) --at_once;
    }
    transfers.erase(transfer.easy);
    while (at_once < kAtOnce && !waiting.empty()) {
      const auto next = waiting.front().lock();
      waiting.pop_front();
      if (next != nullptr && active(*next)) run(*next);
    }
  }

  // libcurl only asks for a timer here. No callback runs yet.
  void run(Transfer& transfer) {
    transfer.running = true;
    if (!transfer.streams) ++at_once;
    CW_CHECK(curl_multi_add_handle(multi, transfer.easy) == CURLM_OK);
  }

  static curl_blob blob(const std::string& text) {
    return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
  }

  void set_tls(CURL* easy, const Identity& identity) const {
    if (server.insecure) {
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
    if (!identity.ca.empty()) {
      auto ca = blob(identity.ca);
      curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
    }
    if (!identity.client_certificate.empty()) {
      auto certificate = blob(identity.client_certificate);
      auto key = blob(identity.client_key);
      curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate);
      curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
    }
  }

  // With a separate TLS server name: libcurl takes the name from the URL. So the URL gets that
  // name, and CONNECT_TO directs the connection to the real host.
  void set_url(Transfer& transfer) const {
    auto base = server.url;
    const auto host = base.find("://") + 3;
    const auto end = std::min(base.find('/', host), base.size());
    const auto colon = base.rfind(':', end);
    if (!server.tls_server_name.empty()) {
      const auto bracket = base.rfind(']', end);
      const bool has_port = colon != std::string::npos && colon > host &&
                            (bracket == std::string::npos || colon > bracket);
      const auto port = has_port ? base.substr(colon + 1, end - colon - 1) : std::string("443");
      const auto name = base.substr(host, (has_port ? colon : end) - host);
      transfer.connect_to = curl_slist_append(nullptr, fmt::format("::{}:{}", name, port).c_str());
      curl_easy_setopt(transfer.easy, CURLOPT_CONNECT_TO, transfer.connect_to);
      base.replace(host, end - host, server.tls_server_name + ":" + port);
    }
    curl_easy_setopt(transfer.easy, CURLOPT_URL, (base + transfer.request.path).c_str());
  }

  void set_headers(Transfer& transfer, const Identity& identity) {
    const auto add = [&](const std::string& line) {
      transfer.headers = curl_slist_append(transfer.headers, line.c_str());
    };
    add("Accept: application/json");
    add("Expect:");  // do not wait for "100 Continue" before a body
    if (!identity.authorization.empty()) add("Authorization: " + identity.authorization);
    if (!transfer.request.content_type.empty()) {
      add("Content-Type: " + transfer.request.content_type);
    }
    curl_easy_setopt(transfer.easy, CURLOPT_HTTPHEADER, transfer.headers);
  }

  void set_method(Transfer& transfer) {
    auto* easy = transfer.easy;
    const auto& request = transfer.request;
    if (request.method == "GET") return;
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    if (request.body.empty()) return;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.c_str());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    // Allocated per running request: 64 KiB by default, 16 KiB is libcurl's minimum.
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16L << 10);
  }

  Handle start(const std::shared_ptr<Transfer>& transfer, const Identity& who) {
    auto* easy = curl_easy_init();
    CW_CHECK(easy != nullptr);
    transfer->easy = easy;
    set_url(*transfer);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2TLS});
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);  // wait for the shared connection
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &State::on_open);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, this);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &State::on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
    // "" means no proxy, whatever the environment says.
    curl_easy_setopt(easy, CURLOPT_PROXY, server.proxy.c_str());
    curl_easy_setopt(easy, CURLOPT_USERAGENT, server.user_agent.c_str());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &State::on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    if (!transfer->streams) {
      const auto ms =
          std::chrono::duration_cast<std::chrono::milliseconds>(transfer->request.timeout).count();
      curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(ms));
      curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    }
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &State::on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer.get());
    if (!transfer->asks) last_identity = who;
    set_tls(easy, who);
    set_headers(*transfer, who);
    set_method(*transfer);
    // The silence is measured from now, because nothing was awaited before.
    if (transfers.empty()) heard = loop.now();
    transfer->begun = transfer->heard = loop.now();
    transfers.emplace(easy, transfer);
    if (!watchdog.active()) watchdog = loop.every(server.patience.quiet / 4, [this] { watch(); });
    if (transfer->streams || transfer->asks || at_once < kAtOnce) {
      run(*transfer);
    } else {
      waiting.push_back(transfer);
    }
    return Handle([weak = weak_from_this(), gone = std::weak_ptr<Transfer>(transfer)] {
      const auto state = weak.lock();
      const auto still = gone.lock();
      if (state != nullptr && still != nullptr) state->cancel(*still);
    });
  }
};

Http::Http(Loop& loop, HttpServer server) {
  static const auto kOnce = curl_global_init(CURL_GLOBAL_DEFAULT);
  CW_CHECK(kOnce == CURLE_OK);
  state_ = std::make_shared<State>(loop, std::move(server));
}

Http::~Http() = default;

Handle Http::send(HttpRequest request, const Identity& identity, Done done) {
  auto transfer = std::make_shared<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  return state_->start(transfer, identity);
}

Handle Http::stream(HttpRequest request, const Identity& identity, Stream stream) {
  auto transfer = std::make_shared<Transfer>();
  transfer->request = std::move(request);
  transfer->stream = std::move(stream);
  transfer->streams = true;
  return state_->start(transfer, identity);
}

const std::string& Http::silence() const { return state_->silence; }

}  // namespace cw::api::kube
