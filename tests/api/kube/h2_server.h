// An HTTP/2 server over TLS on the loop, like an API server: many streams on one connection.
// lose() turns it into a load balancer that has lost its server and keeps the client's connection.
// TCP then acknowledges the bytes, and no answer comes.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/unique_fd.h"
#include "tests/api/kube/loopback_listener.h"

namespace cw::api::kube {

// An answer: the body, and whether the stream then stays open.
struct H2Answer {
  std::string body;
  bool stays_open = false;
};

class H2Server {
 public:
  using Answer = std::function<H2Answer(const std::string& path)>;
  // `at_once`: how many streams the server allows on a connection.
  H2Server(Loop& loop, Answer answer, std::uint32_t at_once = 100)
      : loop_(loop),
        answer_(std::move(answer)),
        at_once_(at_once),
        tls_(SSL_CTX_new(TLS_server_method())) {
    set_certificate();
    SSL_CTX_set_alpn_select_cb(
        tls_.get(),
        [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char*, unsigned,
           void*) {
          *out = reinterpret_cast<const unsigned char*>("h2");
          *size = 2;
          return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
    accept_ = loop.watch(listener_.fd.get(), FdEvent::kRead, [this] { accept(); });
  }

  [[nodiscard]] std::string url() const {
    return "https://127.0.0.1:" + std::to_string(listener_.port);
  }
  [[nodiscard]] std::size_t connections() const { return all_.size(); }
  // The paths that were requested on the n-th connection.
  [[nodiscard]] const std::vector<std::string>& paths(std::size_t n) const {
    return all_.at(n)->paths;
  }
  [[nodiscard]] bool client_closed(std::size_t n) const { return all_.at(n)->closed; }
  void lose(std::size_t n) { all_.at(n)->lost = true; }

 private:
  template <auto kFree>
  struct Free {
    void operator()(auto* one) const { kFree(one); }
  };
  struct Stream {
    std::string path;
    H2Answer answer;
    std::size_t sent = 0;
  };
  struct Connection {
    H2Server* server = nullptr;
    UniqueFd fd;
    Handle readable;
    std::unique_ptr<SSL, Free<SSL_free>> tls;
    std::unique_ptr<nghttp2_session, Free<nghttp2_session_del>> session;
    std::map<std::int32_t, Stream> streams;
    std::vector<std::string> paths;
    bool lost = false;
    bool closed = false;
  };

  void set_certificate() {
    const std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>> key(EVP_EC_gen("P-256"));
    const std::unique_ptr<X509, Free<X509_free>> certificate(X509_new());
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    EXPECT_GT(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);
    EXPECT_EQ(SSL_CTX_use_certificate(tls_.get(), certificate.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(tls_.get(), key.get()), 1);
  }

  void accept() {
    const int fd = ::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    auto& one = *all_.emplace_back(std::make_unique<Connection>());
    one.server = this;
    one.fd.reset(fd);
    one.tls.reset(SSL_new(tls_.get()));
    SSL_set_accept_state(one.tls.get());
    // Bytes pass through memory: a lost connection does not pass them on.
    SSL_set_bio(one.tls.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    open_session(one);
    one.readable = loop_.watch(fd, FdEvent::kRead, [this, &one] { read(one); });
  }

  void open_session(Connection& one) const {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &H2Server::on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &H2Server::on_frame);
    nghttp2_session* session = nullptr;
    nghttp2_session_server_new(&session, callbacks, &one);
    nghttp2_session_callbacks_del(callbacks);
    one.session.reset(session);
    const nghttp2_settings_entry limit{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, at_once_};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &limit, 1);
  }

  static int on_header(nghttp2_session* /*session*/, const nghttp2_frame* frame,
                       const std::uint8_t* name, std::size_t name_size, const std::uint8_t* value,
                       std::size_t value_size, std::uint8_t /*flags*/, void* self) {
    if (std::string_view(reinterpret_cast<const char*>(name), name_size) == ":path") {
      static_cast<Connection*>(self)->streams[frame->hd.stream_id].path.assign(
          reinterpret_cast<const char*>(value), value_size);
    }
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* self) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    auto& one = *static_cast<Connection*>(self);
    auto& stream = one.streams[frame->hd.stream_id];
    one.paths.push_back(stream.path);
    stream.answer = one.server->answer_(stream.path);
    std::string name = ":status";
    std::string value = "200";
    const nghttp2_nv status{reinterpret_cast<std::uint8_t*>(name.data()),
                            reinterpret_cast<std::uint8_t*>(value.data()), name.size(),
                            value.size(), NGHTTP2_NV_FLAG_NONE};
    nghttp2_data_provider body{};
    body.source.ptr = &stream;
    body.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t size,
                            std::uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
      auto& from = *static_cast<Stream*>(source->ptr);
      const auto length = from.answer.body.copy(reinterpret_cast<char*>(out), size, from.sent);
      from.sent += length;
      if (from.sent < from.answer.body.size()) return static_cast<ssize_t>(length);
      if (!from.answer.stays_open) *flags |= NGHTTP2_DATA_FLAG_EOF;
      return length == 0 && from.answer.stays_open ? ssize_t{NGHTTP2_ERR_DEFERRED}
                                                   : static_cast<ssize_t>(length);
    };
    return nghttp2_submit_response(session, frame->hd.stream_id, &status, 1, &body);
  }

  void read(Connection& one) {
    char bytes[16384];
    const auto length = ::recv(one.fd.get(), bytes, sizeof(bytes), 0);
    if (length <= 0) {
      one.closed = true;
      one.readable.reset();
      return;
    }
    if (one.lost) return;
    BIO_write(SSL_get_rbio(one.tls.get()), bytes, static_cast<int>(length));
    std::uint8_t plain[16384];
    for (;;) {
      const int size = SSL_read(one.tls.get(), plain, sizeof(plain));
      if (size <= 0) break;
      EXPECT_GE(nghttp2_session_mem_recv(one.session.get(), plain, static_cast<std::size_t>(size)),
                0);
    }
    if (SSL_is_init_finished(one.tls.get()) == 1) {
      const std::uint8_t* out = nullptr;
      for (ssize_t size = 0; (size = nghttp2_session_mem_send(one.session.get(), &out)) > 0;) {
        EXPECT_EQ(SSL_write(one.tls.get(), out, static_cast<int>(size)), size);
      }
    }
    for (int size = 0; (size = BIO_read(SSL_get_wbio(one.tls.get()), bytes, sizeof(bytes))) > 0;) {
      EXPECT_EQ(::send(one.fd.get(), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL), size);
    }
  }

  Loop& loop_;
  Answer answer_;
  std::uint32_t at_once_;
  std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>> tls_;
  LoopbackListener listener_;
  Handle accept_;
  std::vector<std::unique_ptr<Connection>> all_;
};

}  // namespace cw::api::kube
