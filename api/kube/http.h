// HTTP requests of one API server on the loop: libcurl's multi interface, all requests over one
// HTTP/2 connection where the server offers it, kept alive. Loop thread only; a callback never runs
// inside a call, and a dropped Handle calls nobody.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/loop.h"

namespace cw::api::kube {

// Who we are and whom we trust, as of now: PEM texts and header values.
struct Identity {
  std::string ca;  // empty: the system's
  std::string client_certificate;
  std::string client_key;
  std::string authorization;  // "Bearer ..."; empty: none
};

struct HttpServer {
  std::string url;              // "https://host:port", maybe with a path
  std::string tls_server_name;  // empty: the url's host
  std::string proxy;            // empty: none
  std::string user_agent;
  bool insecure = false;
  // A load balancer that lost its server keeps the client's connection open, and TCP acknowledges:
  // only an answer from the server proves that it is alive. Nothing came for `quiet` though
  // something is awaited: one small request asks. No answer to it within `answer`: the connections
  // are closed.
  Duration quiet = std::chrono::seconds(20);
  Duration answer = std::chrono::seconds(15);
  // A stream that gives nothing for so long ends: a watch has a bookmark every minute.
  Duration stream_quiet = std::chrono::seconds(150);
};

struct HttpRequest {
  std::string method = "GET";
  std::string path;  // with query, after the server's url
  std::string content_type;
  std::string body;
  Duration timeout = std::chrono::seconds(30);
  std::size_t limit = 64U << 20U;  // of the answer's body; unused for streams
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

class Http {
 public:
  // kUnavailable: no connection, broken off, timed out. kDenied: the server's certificate is not
  // trusted. kTooLarge: over the limit.
  using Done = std::function<void(Result<HttpAnswer>)>;
  struct Stream {
    std::function<void()> on_open;                  // the status is 200
    std::function<void(std::string_view)> on_data;  // only of a 200
    // The end; of a 200 (also a clean end after data) with an empty body.
    Done done;
  };

  Http(Loop& loop, HttpServer server);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  [[nodiscard]] Handle send(HttpRequest request, const Identity& identity, Done done);
  // Without a limit in time; a server that vanishes or falls silent is noticed within 40 s.
  [[nodiscard]] Handle stream(HttpRequest request, const Identity& identity, Stream stream);

  [[nodiscard]] std::size_t in_flight() const;
  // Set when connections were closed because nothing came back, until something does.
  [[nodiscard]] const std::string& silence() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace cw::api::kube
