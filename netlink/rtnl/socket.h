// One netlink socket on libnl: builds a message, sends it, waits for its acknowledgement or
// collects a dump. A dump that the kernel marks as interrupted is repeated. Private to rtnl/.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct nl_msg;
struct nl_sock;
struct nlmsghdr;
struct nlattr;

namespace cw::netlink {

// A message under construction. Attributes are appended. nest() closes the attribute after `fill`.
class Message {
 public:
  // `header` is the family's fixed part (ifinfomsg, rtmsg, ...).
  template <typename Header>
  Message(int type, int flags, const Header& header)
      : Message(type, flags, &header, sizeof header) {}
  Message(Message&&) = default;
  Message& operator=(Message&&) = default;

  void put(int attribute, std::span<const std::uint8_t> bytes);
  void put(int attribute, const std::string& text);  // with its final NUL
  void put_u8(int attribute, std::uint8_t value);
  void put_u16(int attribute, std::uint16_t value);
  void put_u32(int attribute, std::uint32_t value);
  void nest(int attribute, const std::function<void(Message&)>& fill);
  [[nodiscard]] nl_msg* raw() const { return message_.get(); }

 private:
  struct Free {
    void operator()(nl_msg* message) const;
  };
  Message(int type, int flags, const void* header, std::size_t size);
  std::unique_ptr<nl_msg, Free> message_;
};

// The attributes of a received message by type; absent ones are empty.
class Attributes {
 public:
  Attributes(const nlmsghdr* message, std::size_t header_size);
  explicit Attributes(std::span<const std::uint8_t> nested);
  [[nodiscard]] bool has(int type) const { return find(type) != nullptr; }
  [[nodiscard]] std::span<const std::uint8_t> bytes(int type) const;
  [[nodiscard]] std::string text(int type) const;  // up to the first NUL
  [[nodiscard]] std::uint8_t u8(int type) const;
  [[nodiscard]] std::uint16_t u16(int type) const;
  [[nodiscard]] std::uint32_t u32(int type) const;

 private:
  [[nodiscard]] const nlattr* find(int type) const;
  std::vector<const nlattr*> all_;
};

class Socket {
 public:
  using Each = std::function<void(const nlmsghdr*)>;

  [[nodiscard]] static Result<Socket> open(int protocol);
  Socket(Socket&&) = default;
  Socket& operator=(Socket&&) = default;

  // Sends and waits for the acknowledgement. The error has the kernel's own text, if there is one.
  [[nodiscard]] Result<> request(const Message& message, std::string_view what);
  // Sends with NLM_F_DUMP. `each` sees a consistent dump: it is called only after the dump has
  // ended well.
  [[nodiscard]] Result<> dump(const Message& message, const Each& each, std::string_view what);

 private:
  struct Free {
    void operator()(nl_sock* socket) const;
  };
  explicit Socket(nl_sock* socket) : socket_(socket) {}
  std::unique_ptr<nl_sock, Free> socket_;
};

}  // namespace cw::netlink
