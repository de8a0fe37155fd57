// One request as libcurl knows it: an easy handle with its options. libcurl's handles are `void*`
// here, so that this header needs none of its headers.
#pragma once

#include <array>
#include <string>

#include "api/kube/http.h"

struct curl_slist;

namespace cw::api::kube {

class CurlRequest {
 public:
  // Where the answer goes. libcurl calls these.
  struct Sink {
    std::size_t (*on_body)(char* bytes, std::size_t size, std::size_t count, void* self);
    std::size_t (*on_header)(char* bytes, std::size_t size, std::size_t count, void* self);
    void* self;
  };
  static constexpr int kOk = 0;         // CURLE_OK
  static constexpr int kTimedOut = 28;  // CURLE_OPERATION_TIMEDOUT
  // `streams`: without a time limit, and not compressed.
  CurlRequest(const HttpServer& server, const HttpRequest& request, const Identity& identity,
              bool streams, const Sink& sink);
  ~CurlRequest();
  CurlRequest(const CurlRequest&) = delete;
  CurlRequest& operator=(const CurlRequest&) = delete;

  [[nodiscard]] void* easy() const { return easy_; }
  [[nodiscard]] int status() const;  // of HTTP; 0: none yet
  // The local port is the only name that libcurl gives a request's connection. 0: none yet.
  [[nodiscard]] long connection() const;
  // HTTP/1.1: the request has its connection for itself.
  [[nodiscard]] bool alone() const;
  // The error for a CURLcode that is not CURLE_OK.
  [[nodiscard]] Error error(int code) const;

 private:
  void set_url(const HttpServer& server, const std::string& path);
  void set_tls(const HttpServer& server, const Identity& identity) const;
  void set_headers(const HttpRequest& request, const Identity& identity);
  void set_method(const HttpRequest& request) const;

  void* easy_;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  std::array<char, 256> error_{};  // CURL_ERROR_SIZE
};

}  // namespace cw::api::kube
