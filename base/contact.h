// A place where a gateway can be called: an address or a DNS name, with a UDP port.
// "192.0.2.1:4500",
// "[2001:db8::1]:4500" or "gw0.example.com:4500". A plain, ordered value. A name is only looked up
// by gateway/peers/name_lookups.h.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/prefix.h"

namespace cw {

// The longest DNS name (RFC 1035, section 2.3.4), and the longest text of a Contact.
inline constexpr std::size_t kMaxDnsName = 253;
inline constexpr std::size_t kMaxContact = kMaxDnsName + 6;

class Contact {
 public:
  Contact() = default;  // 0.0.0.0:0
  // Implicit: every endpoint is a contact.
  Contact(const Endpoint& endpoint) : endpoint_(endpoint) {}

  // A name has at least two labels of letters, digits and hyphens, and its last label has a letter.
  // So a mistyped address is an error and no name. Letters become lower case. kInvalid: neither an
  // address nor a name with a port from 1 to 65535.
  [[nodiscard]] static Result<Contact> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  // Null: it is a name.
  [[nodiscard]] const Endpoint* endpoint() const { return name_.empty() ? &endpoint_ : nullptr; }
  [[nodiscard]] const std::string& name() const { return name_; }  // empty: it is an address
  [[nodiscard]] std::uint16_t port() const { return endpoint_.port; }

  friend auto operator<=>(const Contact&, const Contact&) = default;

 private:
  std::string name_;
  Endpoint endpoint_;  // of a name: the port alone
};

}  // namespace cw
