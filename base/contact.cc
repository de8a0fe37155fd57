#include "base/contact.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace cw {
namespace {

constexpr std::size_t kMaxLabel = 63;

bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_label(std::string_view label) {
  if (label.empty() || label.size() > kMaxLabel) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(),
                     [](char c) { return is_letter(c) || is_digit(c) || c == '-'; });
}

bool is_name(std::string_view name) {
  if (name.size() > kMaxDnsName) return false;
  std::size_t labels = 0;
  std::string_view last;
  for (auto rest = name; labels == 0 || !rest.empty(); ++labels) {
    const auto dot = rest.find('.');
    last = rest.substr(0, dot);
    if (!is_label(last)) return false;
    if (dot != std::string_view::npos && dot + 1 == rest.size()) return false;  // ends with a dot
    rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
  }
  return labels >= 2 && std::any_of(last.begin(), last.end(), is_letter);
}

std::uint16_t port_of(std::string_view text) {  // 0: none
  std::uint16_t port = 0;
  const auto* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && at == end ? port : std::uint16_t{0};
}

}  // namespace

Result<Contact> Contact::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (const auto endpoint = Endpoint::parse(text); endpoint && endpoint->port != 0) {
    return Contact(*endpoint);
  }
  Contact contact;
  if (colon != std::string_view::npos && colon <= kMaxDnsName) {
    contact.name_ = std::string(text.substr(0, colon));
    std::transform(contact.name_.begin(), contact.name_.end(), contact.name_.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    contact.endpoint_.port = port_of(text.substr(colon + 1));
    if (is_name(contact.name_) && contact.endpoint_.port != 0) return contact;
  }
  return fail(Errc::kInvalid,
              fmt::format("\"{}\" is not an endpoint; write 192.0.2.1:4500, [2001:db8::1]:4500 or "
                          "gw0.example.com:4500",
                          text.substr(0, 64)));
}

std::string Contact::to_string() const {
  return name_.empty() ? endpoint_.to_string() : fmt::format("{}:{}", name_, endpoint_.port);
}

}  // namespace cw
