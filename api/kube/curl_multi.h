// libcurl's multi interface on the loop: its connections, their sockets and its timer. libcurl's
// handles are `void*` here, so that this header needs none of its headers. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>

#include "base/loop.h"

namespace cw::api::kube {

class CurlMulti {
 public:
  // `on_turn`: libcurl did something. It may destroy this object.
  CurlMulti(Loop& loop, std::function<void()> on_turn);
  ~CurlMulti();  // no request may be in it
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;

  // Adds a request (an easy handle). libcurl only asks for a timer here. No callback runs yet.
  void add(void* easy);
  void remove(void* easy);
  // True inside of libcurl, where no request may be removed.
  [[nodiscard]] bool inside() const { return inside_; }
  // The next request that has ended, and its CURLcode. Nothing: no more.
  struct Ended {
    void* easy = nullptr;
    int result = 0;
  };
  [[nodiscard]] std::optional<Ended> next_ended();
  // Shuts the connection with this local port down.
  void shut_down(long local_port) const;
  // Closes all connections. No request may be in it.
  void close_all();

 private:
  struct Watched {
    Handle read;
    Handle write;
  };
  void open();
  void act(int fd, int what);
  // libcurl calls these.
  static int on_socket(void* easy, int fd, int what, void* self, void* socket);
  static int on_timer(void* multi, long ms, void* self);

  Loop& loop_;
  std::function<void()> on_turn_;
  void* multi_ = nullptr;
  std::map<int, Watched> watched_;
  std::set<int> opened_;
  Handle timer_;
  bool inside_ = false;
};

}  // namespace cw::api::kube
