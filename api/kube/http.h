// HTTP requests to one API server, on the loop: libcurl's multi interface. All requests share one
// kept-alive HTTP/2 connection if the server offers HTTP/2. Loop thread only. No callback runs
// inside a call, and none runs after its Handle was destroyed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/loop.h"

namespace cw::api::kube {

// The client's credentials and the CA it trusts, as PEM texts and header values.
struct Identity {
  std::string ca;  // empty: the system's
  std::string client_certificate;
  std::string client_key;
  std::string authorization;  // "Bearer ..."; empty: none
};

// How long a server may be silent.
struct Patience {
  // A load balancer that lost its server may keep the client's connection open and acknowledge its
  // data. Only an answer proves that the server is alive. If requests wait and no data came for
  // `quiet`, one small request is sent. If it has no answer within `answer`, all connections are
  // closed. An HTTP/2 connection that is silent for `quiet` and `answer` beside others is closed
  // alone.
  Duration quiet = std::chrono::seconds(20);
  Duration answer = std::chrono::seconds(15);
  // A stream without data for this long ends. A watch has a bookmark about every minute.
  Duration stream = std::chrono::seconds(150);
};

struct HttpServer {
  std::string url;              // "https://host:port", optionally with a path
  std::string tls_server_name;  // empty: the url's host
  std::string proxy;            // empty: none
  std::string user_agent;
  bool insecure = false;
  Patience patience;
};

struct HttpRequest {
  std::string method = "GET";
  std::string path;  // includes the query; follows the server's url
  std::string content_type;
  std::string body;
  Duration timeout = std::chrono::seconds(30);
  std::size_t limit = 64U << 20U;  // bytes of the answer's body; not for streams
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

class Http {
 public:
  // kUnavailable: no connection, connection lost, or timeout. kDenied: the server's certificate is
  // not trusted. kTooLarge: the body exceeds the limit.
  using Done = std::function<void(Result<HttpAnswer>)>;
  struct Stream {
    std::function<void()> on_open;                  // the status is 200
    std::function<void(std::string_view)> on_data;  // only for status 200
    // Called at the end. After status 200 the body is empty, also when the server ended the stream.
    Done done;
  };

  Http(Loop& loop, HttpServer server);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  [[nodiscard]] Handle send(HttpRequest request, const Identity& identity, Done done);
  // Without a time limit. A server whose host vanishes or that stops answering is noticed within
  // about 40 s; over HTTP/2 also where other connections to the same server live.
  [[nodiscard]] Handle stream(HttpRequest request, const Identity& identity, Stream stream);

  // A sentence while connections were closed because nothing came back. Empty once data arrives
  // again.
  [[nodiscard]] const std::string& silence() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace cw::api::kube
