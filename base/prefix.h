// IP addresses, prefixes and transport endpoints of both families: plain, ordered values. Parsing
// is strict: no host bits beyond a prefix's length, no leading zeros, no zone ids.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

struct sockaddr;
struct sockaddr_storage;

namespace cw {

enum class Family : std::uint8_t { kV4, kV6 };

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text);
  [[nodiscard]] static IpAddress v4(std::array<std::uint8_t, 4> bytes);
  [[nodiscard]] static IpAddress v6(std::array<std::uint8_t, 16> bytes);
  // `bytes`: 4 or 16, in network order. kInvalid: another size.
  [[nodiscard]] static Result<IpAddress> from_bytes(std::span<const std::uint8_t> bytes);

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] bool is_v4() const { return family_ == Family::kV4; }
  [[nodiscard]] bool is_v6() const { return family_ == Family::kV6; }
  [[nodiscard]] unsigned bits() const { return is_v4() ? 32 : 128; }
  // 4 or 16 bytes, in network order.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const {
    return {bytes_.data(), is_v4() ? std::size_t{4} : std::size_t{16}};
  }
  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] bool is_link_local() const;  // 169.254/16, fe80::/10
  [[nodiscard]] bool is_multicast() const;
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  Family family_ = Family::kV4;
  std::array<std::uint8_t, 16> bytes_{};
};

class Prefix {
 public:
  Prefix() = default;  // 0.0.0.0/0
  // "10.8.0.0/16", "fd00::/64". An address without a length becomes its /32 or /128. kInvalid:
  // anything else.
  [[nodiscard]] static Result<Prefix> parse(std::string_view text);
  // Clears the host bits. kInvalid: `length` exceeds the family's.
  [[nodiscard]] static Result<Prefix> of(const IpAddress& address, unsigned length);
  [[nodiscard]] static Prefix host(const IpAddress& address);

  [[nodiscard]] const IpAddress& address() const { return address_; }
  [[nodiscard]] unsigned length() const { return length_; }
  [[nodiscard]] Family family() const { return address_.family(); }
  [[nodiscard]] bool is_v4() const { return address_.is_v4(); }
  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] bool contains(const Prefix& other) const;  // equal prefixes contain each other
  [[nodiscard]] bool overlaps(const Prefix& other) const;
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Prefix&, const Prefix&) = default;

 private:
  IpAddress address_;
  std::uint8_t length_ = 0;
};

// A UDP or TCP endpoint: "192.0.2.1:4500" or "[2001:db8::1]:4500".
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
  // From a sockaddr_in or sockaddr_in6 of `size` bytes. A v4-mapped IPv6 address becomes IPv4.
  [[nodiscard]] static Result<Endpoint> from_sockaddr(const sockaddr* address, std::size_t size);
  // Fills `storage` and returns the size to pass to the kernel. `scope` is for link-local IPv6.
  std::size_t to_sockaddr(sockaddr_storage& storage, std::uint32_t scope = 0) const;
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

}  // namespace cw
