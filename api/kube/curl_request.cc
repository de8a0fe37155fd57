#include "api/kube/curl_request.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>

namespace cw::api::kube {

namespace {

constexpr long kConnectTimeoutMs = 5'000;

curl_blob blob(const std::string& text) {
  return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
}

}  // namespace

CurlRequest::CurlRequest(const HttpServer& server, const HttpRequest& request,
                         const Identity& identity, bool streams, const Sink& sink)
    : easy_(curl_easy_init()) {
  static_assert(sizeof error_ >= CURL_ERROR_SIZE);
  static_assert(kOk == CURLE_OK && kTimedOut == CURLE_OPERATION_TIMEDOUT);
  CW_CHECK(easy_ != nullptr);
  set_url(server, request.path);
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "https,http");
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2TLS});
  curl_easy_setopt(easy_, CURLOPT_PIPEWAIT, 1L);  // wait for the shared connection
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  // "" means no proxy, whatever the environment says.
  curl_easy_setopt(easy_, CURLOPT_PROXY, server.proxy.c_str());
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, server.user_agent.c_str());
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, sink.on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, sink.self);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, sink.on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, sink.self);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_.data());
  if (!streams) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(request.timeout).count();
    curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(ms));
    curl_easy_setopt(easy_, CURLOPT_ACCEPT_ENCODING, "gzip");
  }
  set_tls(server, identity);
  set_headers(request, identity);
  set_method(request);
}

CurlRequest::~CurlRequest() {
  curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
  curl_slist_free_all(connect_to_);
}

int CurlRequest::status() const {
  long code = 0;
  (void)curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &code);
  return static_cast<int>(code);
}

long CurlRequest::connection() const {
  long port = 0;
  (void)curl_easy_getinfo(easy_, CURLINFO_LOCAL_PORT, &port);
  return port;
}

bool CurlRequest::alone() const {
  long version = 0;
  (void)curl_easy_getinfo(easy_, CURLINFO_HTTP_VERSION, &version);
  return version == CURL_HTTP_VERSION_1_0 || version == CURL_HTTP_VERSION_1_1;
}

Error CurlRequest::error(int code) const {
  const auto* detail =
      error_[0] != '\0' ? error_.data() : curl_easy_strerror(static_cast<CURLcode>(code));
  const auto text = fmt::format("API server: {}", detail);
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

// With a separate TLS server name: libcurl takes the name from the URL. So the URL gets that
// name, and CONNECT_TO directs the connection to the real host.
void CurlRequest::set_url(const HttpServer& server, const std::string& path) {
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
    connect_to_ = curl_slist_append(nullptr, fmt::format("::{}:{}", name, port).c_str());
    curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
    base.replace(host, end - host, server.tls_server_name + ":" + port);
  }
  curl_easy_setopt(easy_, CURLOPT_URL, (base + path).c_str());
}

void CurlRequest::set_headers(const HttpRequest& request, const Identity& identity) {
  const auto add = [&](const std::string& line) {
    headers_ = curl_slist_append(headers_, line.c_str());
  };
  add("Accept: application/json");
  add("Expect:");  // do not wait for "100 Continue" before a body
  if (!identity.authorization.empty()) add("Authorization: " + identity.authorization);
  if (!request.content_type.empty()) {
    add("Content-Type: " + request.content_type);
  }
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
}

void CurlRequest::set_method(const HttpRequest& request) const {
  if (request.method == "GET") return;
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (request.body.empty()) return;
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request.body.c_str());
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                   static_cast<curl_off_t>(request.body.size()));
  // Allocated per running request: 64 KiB by default, 16 KiB is libcurl's minimum.
  curl_easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, 16L << 10);
}

void CurlRequest::set_tls(const HttpServer& server, const Identity& identity) const {
  if (server.insecure) {
    curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  if (!identity.ca.empty()) {
    auto ca = blob(identity.ca);
    curl_easy_setopt(easy_, CURLOPT_CAINFO_BLOB, &ca);
  }
  if (!identity.client_certificate.empty()) {
    auto certificate = blob(identity.client_certificate);
    auto key = blob(identity.client_key);
    curl_easy_setopt(easy_, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(easy_, CURLOPT_SSLKEY_BLOB, &key);
  }
}

}  // namespace cw::api::kube
