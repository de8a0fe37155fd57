#include "api/kube/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "api/kube/curl_multi.h"
#include "api/kube/curl_request.h"
#include "base/log.h"

namespace cw::api::kube {

namespace {

// Requests in flight; further ones wait. A server allows 100 to 1000 streams per connection. Beyond
// that libcurl would open more and more connections.
constexpr std::size_t kAtOnce = 64;

struct Transfer {
  std::optional<CurlRequest> curl;  // from its start on
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

  // A stream that HTTP/1.1 gave a connection of its own: nothing else can make that one speak.
  [[nodiscard]] bool alone() const { return streams && curl->alone(); }
  [[nodiscard]] Error error(int code) const {
    if (too_large) return {Errc::kTooLarge, "API server: the answer is over the limit"};
    return curl->error(code);
  }

  static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const auto length = size * count;
    transfer.heard = {};  // zero; on_turn() sets the time
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
};

}  // namespace

struct Http::State : std::enable_shared_from_this<Http::State> {
  State(Loop& l, HttpServer s) : loop(l), server(std::move(s)), multi(l, [this] { on_turn(); }) {}
  ~State() {
    for (auto& [easy, transfer] : transfers) {
      if (transfer->running) multi.remove(easy);
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Loop& loop;
  HttpServer server;
  CurlMulti multi;
  std::map<void*, std::shared_ptr<Transfer>> transfers;  // by easy handle
  std::deque<std::weak_ptr<Transfer>> waiting;
  std::size_t at_once = 0;  // of running transfers that are no streams
  Handle watchdog;
  TimePoint heard{};                   // the last data on any connection
  std::map<long, TimePoint> heard_on;  // on each connection with a request that waits
  Identity last_identity;              // of the last request
  Handle asking;                       // the request that tests the server
  std::string silence;

  // After each turn of libcurl: sets the time of the transfers that received data.
  void record_heard() {
    for (auto& [easy, transfer] : transfers) {
      if (transfer->heard != TimePoint{}) continue;
      transfer->heard = heard = loop.now();
      heard_on[transfer->curl->connection()] = heard;
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
      const auto connection = transfer->running ? transfer->curl->connection() : 0;
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
      if (transfer->running && transfer->curl->connection() == connection) {
        on_it.push_back(transfer);
      }
    }
    multi.shut_down(connection);
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
      if (transfer->running) multi.remove(transfer->curl->easy());
    }
    multi.close_all();
    heard_on.clear();
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

  void on_turn() {
    const auto keep = shared_from_this();  // a callback may destroy the Http
    record_heard();
    pump();
  }

  // Passes on what arrived. Never called from within libcurl.
  void pump() {
    std::vector<std::shared_ptr<Transfer>> streams;
    for (const auto& [easy, transfer] : transfers) {
      if (transfer->streams && transfer->curl->status() == 200) streams.push_back(transfer);
    }
    for (const auto& transfer : streams) hand_on(*transfer);
    std::vector<std::pair<std::shared_ptr<Transfer>, int>> ended;
    while (const auto one = multi.next_ended()) {
      const auto found = transfers.find(one->easy);
      if (found != transfers.end()) ended.emplace_back(found->second, one->result);
    }
    for (const auto& [transfer, result] : ended) finish(transfer, result);
  }

  // Compares the transfer itself, because libcurl may reuse the address of a freed handle.
  [[nodiscard]] bool active(const Transfer& transfer) const {
    const auto found = transfers.find(transfer.curl->easy());
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

  void finish(const std::shared_ptr<Transfer>& transfer, int result) {
    if (!active(*transfer)) return;  // an earlier callback cancelled it
    const int status = transfer->curl->status();
    if (transfer->streams && status == 200) {
      hand_on(*transfer);
      if (!active(*transfer)) return;
    }
    const auto connection = transfer->curl->connection();
    remove(*transfer);
    const auto done = transfer->streams ? transfer->stream.done : transfer->done;
    if (result == CurlRequest::kTimedOut && !transfer->asks && connection != 0 &&
        heard_on[connection] <= transfer->begun) {
      close_one(connection);  // else the next request is put on it, and times out as well
    }
    if (result != CurlRequest::kOk) {
      done(Result<HttpAnswer>(fail(transfer->error(result))));
    } else {
      done(HttpAnswer{status, std::move(transfer->received)});
    }
  }

  void cancel(const Transfer& transfer) {
    CW_CHECK(!multi.inside());
    if (active(transfer)) remove(transfer);
  }

  // The caller must hold a shared_ptr of `transfer`.
  void remove(const Transfer& transfer) {
    if (transfer.running) {
      multi.remove(transfer.curl->easy());
      if (!transfer.streams) --at_once;
    }
    transfers.erase(transfer.curl->easy());
    while (at_once < kAtOnce && !waiting.empty()) {
      const auto next = waiting.front().lock();
      waiting.pop_front();
      if (next != nullptr && active(*next)) run(*next);
    }
  }

  void run(Transfer& transfer) {
    transfer.running = true;
    if (!transfer.streams) ++at_once;
    multi.add(transfer.curl->easy());
  }

  Handle start(const std::shared_ptr<Transfer>& transfer, const Identity& who) {
    transfer->curl.emplace(
        server, transfer->request, who, transfer->streams,
        CurlRequest::Sink{&Transfer::on_body, &Transfer::on_header, transfer.get()});
    if (!transfer->asks) last_identity = who;
    // The silence is measured from now, because nothing was awaited before.
    if (transfers.empty()) heard = loop.now();
    transfer->begun = transfer->heard = loop.now();
    transfers.emplace(transfer->curl->easy(), transfer);
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

Http::Http(Loop& loop, HttpServer server)
    : state_(std::make_shared<State>(loop, std::move(server))) {}

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
