// Reads the fields of one message from outside. Each check returns a usable value and records the
// first problem. So a parser reads like the message that it parses.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/prefix.h"

namespace cw::gateway {

// The value of a `bytes` field.
[[nodiscard]] inline std::span<const std::uint8_t> octets(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

class MessageFields {
 public:
  explicit MessageFields(std::string_view message) : message_(message) {}

  [[nodiscard]] bool good() const { return !error_.has_value(); }
  [[nodiscard]] const Error& error() const { return *error_; }  // only if not good()

  void wrong(std::string_view field, std::string_view what);      // kInvalid
  void too_large(std::string_view field, std::string_view what);  // kTooLarge

  void count(std::string_view field, int count, std::size_t most);
  [[nodiscard]] std::string text(std::string_view field, const std::string& value,
                                 std::size_t most);
  [[nodiscard]] std::string label(std::string_view field, const std::string& value);
  // A DNS subdomain, as Nodes' names are.
  [[nodiscard]] std::string node_name(std::string_view field, const std::string& value);
  [[nodiscard]] std::string one_of(std::string_view field, const std::string& value,
                                   std::initializer_list<std::string_view> allowed);
  [[nodiscard]] std::uint16_t port(std::string_view field, std::uint32_t value);  // 1..65535
  // Refuses host bits beyond the length.
  [[nodiscard]] Prefix prefix(std::string_view field, const std::string& address,
                              std::uint32_t length);
  // Refuses unspecified, loopback, link-local and multicast addresses.
  [[nodiscard]] IpAddress unicast(std::string_view field, const std::string& bytes);

  // In the form that Kubernetes takes. A key or an appProtocol is a name of at most 63 characters,
  // or a DNS subdomain, "/" and such a name. A label's value is empty or such a name.
  [[nodiscard]] std::string qualified_name(std::string_view field, const std::string& key);
  [[nodiscard]] std::string label_value(std::string_view field, const std::string& key,
                                        const std::string& value);

  template <typename T>
  [[nodiscard]] T parsed(std::string_view field, Result<T> value) {
    if (value) return std::move(*value);
    wrong(field, value.error().text);
    return T{};
  }

 private:
  void record(Errc code, std::string_view field, std::string_view what);

  std::string message_;
  std::optional<Error> error_;
};

}  // namespace cw::gateway
