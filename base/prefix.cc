#include "base/prefix.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "base/number.h"

namespace cw {

namespace {

// A decimal number without sign or leading zeros, at most `max`.
Result<unsigned> decimal(std::string_view text, unsigned max) {
  const auto value = number_of<unsigned>(text);
  const bool zeros = text.size() > 1 && text.front() == '0';
  if (!value || zeros || *value > max) {
    return fail(Errc::kInvalid, fmt::format("\"{}\": want a number from 0 to {}", text, max));
  }
  return *value;
}

bool bits_equal(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b, unsigned bits) {
  const std::size_t whole = bits / 8;
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), b.begin())) {
    return false;
  }
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFFU << (8 - rest));
  return ((a[whole] ^ b[whole]) & mask) == 0;
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text.substr(0, INET6_ADDRSTRLEN));
  if (copy.size() == text.size() && !copy.empty()) {
    std::array<std::uint8_t, 16> bytes{};
    if (copy.find(':') == std::string::npos) {
      std::array<std::uint8_t, 4> four{};
      if (inet_pton(AF_INET, copy.c_str(), four.data()) == 1) return v4(four);
    } else if (inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1) {
      return v6(bytes);
    }
  }
  return fail(Errc::kInvalid, fmt::format("\"{}\" is not an IP address", text.substr(0, 64)));
}

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> bytes) {
  IpAddress address;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

IpAddress IpAddress::v6(std::array<std::uint8_t, 16> bytes) {
  IpAddress address;
  address.family_ = Family::kV6;
  address.bytes_ = bytes;
  return address;
}

Result<IpAddress> IpAddress::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) {
    return fail(Errc::kInvalid, fmt::format("an address of {} bytes, want 4 or 16", bytes.size()));
  }
  IpAddress address;
  address.family_ = bytes.size() == 4 ? Family::kV4 : Family::kV6;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

bool IpAddress::is_unspecified() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t b) { return b == 0; });
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[0] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t b) { return b == 0; }) &&
         bytes_[15] == 1;
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0U) == 0x80U;
}

bool IpAddress::is_multicast() const {
  return is_v4() ? (bytes_[0] & 0xf0U) == 0xe0U : bytes_[0] == 0xff;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text.data(), text.size());
  return text.data();
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  auto address = IpAddress::parse(text.substr(0, slash));
  if (!address)
    return fail(Errc::kInvalid, fmt::format("\"{}\" is not a CIDR", text.substr(0, 64)));
  if (slash == std::string_view::npos) return host(*address);
  const auto length = decimal(text.substr(slash + 1), address->bits());
  if (!length) return fail(Error(length.error()).context("prefix length"));
  auto prefix = of(*address, *length);
  if (prefix && prefix->address_ != *address) {
    return fail(Errc::kInvalid,
                fmt::format("\"{}\" has bits set beyond its length; the network is {}", text,
                            prefix->to_string()));
  }
  return prefix;
}

Result<Prefix> Prefix::of(const IpAddress& address, unsigned length) {
  if (length > address.bits()) {
    return fail(Errc::kInvalid,
                fmt::format("prefix length {} is beyond {}", length, address.bits()));
  }
  std::array<std::uint8_t, 16> bytes{};
  const auto from = address.bytes();
  std::copy(from.begin(), from.end(), bytes.begin());
  for (unsigned bit = length; bit < address.bits(); ++bit) {
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] & ~(0x80U >> (bit % 8)));
  }
  Prefix prefix;
  prefix.address_ = *IpAddress::from_bytes({bytes.data(), from.size()});
  prefix.length_ = static_cast<std::uint8_t>(length);
  return prefix;
}

Prefix Prefix::host(const IpAddress& address) {
  Prefix prefix;
  prefix.address_ = address;
  prefix.length_ = static_cast<std::uint8_t>(address.bits());
  return prefix;
}

bool Prefix::contains(const IpAddress& address) const {
  return address.family() == family() && bits_equal(address_.bytes(), address.bytes(), length_);
}

bool Prefix::contains(const Prefix& other) const {
  return other.length_ >= length_ && contains(other.address_);
}

bool Prefix::overlaps(const Prefix& other) const {
  return contains(other) || other.contains(*this);
}

std::string Prefix::to_string() const {
  return fmt::format("{}/{}", address_.to_string(), length_);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::kInvalid,
                fmt::format("\"{}\" is not an endpoint; write 192.0.2.1:4500 or [2001:db8::1]:4500 "
                            "(names are not looked up)",
                            text.substr(0, 64)));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad();
  auto host = text.substr(0, colon);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  const auto port = decimal(text.substr(colon + 1), 65535);
  // Brackets are accepted around either family, so that a file may say [${POD_IP}]:9801.
  if (!address || !port || (address->is_v6() && !bracketed)) return bad();
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

Result<Endpoint> Endpoint::from_sockaddr(const sockaddr* address, std::size_t size) {
  if (address != nullptr && size >= sizeof(sockaddr_in) && address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    return Endpoint{IpAddress::v4(bytes), ntohs(in.sin_port)};
  }
  if (address != nullptr && size >= sizeof(sockaddr_in6) && address->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
      return Endpoint{IpAddress::v4({bytes[12], bytes[13], bytes[14], bytes[15]}),
                      ntohs(in.sin6_port)};
    }
    return Endpoint{IpAddress::v6(bytes), ntohs(in.sin6_port)};
  }
  return fail(Errc::kInvalid, "not an IPv4 or IPv6 socket address");
}

std::size_t Endpoint::to_sockaddr(sockaddr_storage& storage, std::uint32_t scope) const {
  std::memset(&storage, 0, sizeof storage);
  if (address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.bytes().data(), 4);
    std::memcpy(&storage, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  in.sin6_scope_id = scope;
  std::memcpy(&in.sin6_addr, address.bytes().data(), 16);
  std::memcpy(&storage, &in, sizeof in);
  return sizeof in;
}

std::string Endpoint::to_string() const {
  return fmt::format(fmt::runtime(address.is_v4() ? "{}:{}" : "[{}]:{}"), address.to_string(),
                     port);
}

}  // namespace cw
