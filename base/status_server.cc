#include "base/status_server.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace cw {

struct StatusServer::State {
  evhttp* http = nullptr;
  Metrics* metrics = nullptr;
  Readiness readiness;
};

namespace {

void reply(evhttp_request* request, int code, const std::string& body, const char* type) {
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
  auto* buffer = evhttp_request_get_output_buffer(request);
  evbuffer_add(buffer, body.data(), body.size());
  evhttp_send_reply(request, code, nullptr, nullptr);
}

}  // namespace

Result<std::unique_ptr<StatusServer>> StatusServer::listen(EventLoop& loop, const Endpoint& at,
                                                           Metrics& metrics, Readiness readiness) {
  auto state = std::make_unique<State>();
  state->metrics = &metrics;
  state->readiness = std::move(readiness);
  state->http = evhttp_new(loop.raw());
  CW_CHECK(state->http != nullptr);
  evhttp_set_max_headers_size(state->http, 8192);
  evhttp_set_max_body_size(state->http, 1024);
  evhttp_set_timeout(state->http, 10);
  evhttp_set_allowed_methods(state->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
  evhttp_set_cb(
      state->http, "/metrics",
      [](evhttp_request* request, void* self) {
        reply(request, 200, static_cast<State*>(self)->metrics->text(),
              "text/plain; version=0.0.4");
      },
      state.get());
  evhttp_set_cb(
      state->http, "/healthz",
      [](evhttp_request* request, void*) { reply(request, 200, "ok\n", "text/plain"); }, nullptr);
  evhttp_set_cb(
      state->http, "/readyz",
      [](evhttp_request* request, void* self) {
        const auto reasons = static_cast<State*>(self)->readiness();
        std::string body = reasons.empty() ? "ok\n" : "";
        for (const auto& reason : reasons) body += reason + "\n";
        reply(request, reasons.empty() ? 200 : 503, body, "text/plain");
      },
      state.get());
  if (evhttp_bind_socket(state->http, at.address.to_string().c_str(), at.port) != 0) {
    const auto err = errno;
    evhttp_free(state->http);
    return fail(errno_error(err, fmt::format("status endpoint {}", at.to_string())));
  }
  return std::unique_ptr<StatusServer>(new StatusServer(std::move(state)));
}

StatusServer::StatusServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
StatusServer::~StatusServer() { evhttp_free(state_->http); }

}  // namespace cw
