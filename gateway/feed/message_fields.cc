#include "gateway/feed/message_fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/types/meta.h"

namespace cw::gateway {
namespace {

bool alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Letters and digits at both ends, and "-", "_" and "." between them.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 && alphanumeric(text.front()) &&
         alphanumeric(text.back()) && std::all_of(text.begin(), text.end(), [](char c) {
           return alphanumeric(c) || c == '-' || c == '_' || c == '.';
         });
}

bool is_subdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  for (std::size_t at = 0; at <= text.size();) {
    const auto dot = std::min(text.find('.', at), text.size());
    if (!api::is_dns_label(std::string(text.substr(at, dot - at)))) return false;
    at = dot + 1;
  }
  return true;
}

// For messages: short, and without control characters that a terminal would act on.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 80));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < 0x20 || c == 0x7F; }, '?');
  return out;
}

}  // namespace

void MessageFields::record(Errc code, std::string_view field, std::string_view what) {
  if (good()) error_ = Error{code, fmt::format("{}: {}: {}", message_, field, what)};
}

void MessageFields::wrong(std::string_view field, std::string_view what) {
  record(Errc::kInvalid, field, what);
}

void MessageFields::too_large(std::string_view field, std::string_view what) {
  record(Errc::kTooLarge, field, what);
}

void MessageFields::count(std::string_view field, int count, std::size_t most) {
  if (count < 0 || static_cast<std::size_t>(count) > most) {
    too_large(field, fmt::format("{} of them, at most {} are accepted", count, most));
  }
}

std::string MessageFields::text(std::string_view field, const std::string& value,
                                std::size_t most) {
  if (value.size() > most) {
    too_large(field, fmt::format("{} bytes, at most {} are accepted", value.size(), most));
    return {};
  }
  // Such text goes into logs, conditions and labels.
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::any_of(value.begin(), value.end(), control)) {
    wrong(field, "has control characters");
    return {};
  }
  return value;
}

std::string MessageFields::node_name(std::string_view field, const std::string& value) {
  if (is_subdomain(value)) return value;
  wrong(field, fmt::format("{} is no name of a Node", shown(value)));
  return {};
}

std::string MessageFields::label(std::string_view field, const std::string& value) {
  if (api::is_dns_label(value)) return value;
  wrong(field, "is not a DNS label");
  return {};
}

std::string MessageFields::one_of(std::string_view field, const std::string& value,
                                  std::initializer_list<std::string_view> allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return value;
  wrong(field, "has an unknown value");
  return {};
}

std::string MessageFields::qualified_name(std::string_view field, const std::string& key) {
  const std::string_view text(key);
  const auto slash = text.find('/');
  const bool good = slash == std::string_view::npos
                        ? is_name(text)
                        : is_subdomain(text.substr(0, slash)) && is_name(text.substr(slash + 1));
  if (good) return key;
  wrong(field, fmt::format("\"{}\" is not a qualified name", shown(key)));
  return {};
}

std::string MessageFields::label_value(std::string_view field, const std::string& key,
                                       const std::string& value) {
  if (value.empty() || is_name(value)) return value;
  wrong(field,
        fmt::format("the value \"{}\" of \"{}\" is not a label value", shown(value), shown(key)));
  return {};
}

std::uint16_t MessageFields::port(std::string_view field, std::uint32_t value) {
  if (value >= 1 && value <= 65535) return static_cast<std::uint16_t>(value);
  wrong(field, fmt::format("{} is not a port", value));
  return 0;
}

Prefix MessageFields::prefix(std::string_view field, const std::string& address,
                             std::uint32_t length) {
  const auto host = parsed(field, IpAddress::from_bytes(octets(address)));
  if (!good()) return {};
  const auto prefix = parsed(field, Prefix::of(host, length));
  if (prefix.address() != host) wrong(field, "has host bits set");
  return prefix;
}

IpAddress MessageFields::unicast(std::string_view field, const std::string& bytes) {
  auto address = parsed(field, IpAddress::from_bytes(octets(bytes)));
  if (!good()) return {};
  if (address.is_unspecified() || address.is_loopback() || address.is_link_local() ||
      address.is_multicast()) {
    wrong(field, address.to_string() + " cannot be an endpoint");
  }
  return address;
}

}  // namespace cw::gateway
