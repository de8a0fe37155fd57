#include "gateway/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace cw::gateway {
namespace {

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto from = text.find_first_not_of(kSpace);
  if (from == std::string_view::npos) return {};
  return std::string(text.substr(from, text.find_last_not_of(kSpace) - from + 1));
}

}  // namespace

std::string missing_secret(const std::string& ns, const std::string& name) {
  return fmt::format(
      "Secret {}/{} is missing. `helm upgrade` makes it, and so does `causewayctl lifecycle keys "
      "--namespace {} --gateways NUMBER`",
      ns, name, ns);
}

Result<tunnel::Key> key_from_file(const std::string& path) {
  std::ifstream file(path);
  std::array<char, 256> text{};
  if (file) file.read(text.data(), text.size());
  if (!file.eof() || file.bad()) {
    return fail(Errc::kInvalid, fmt::format("privateKeyFile {}: not a readable key file", path));
  }
  const auto size = static_cast<std::size_t>(file.gcount());
  auto key = tunnel::Key::from_base64(trimmed({text.data(), size}));
  text.fill(0);
  if (!key || key->is_zero()) {
    return fail(Errc::kInvalid, fmt::format("privateKeyFile {}: not a base64 WireGuard key", path));
  }
  return key;
}

Result<tunnel::Key> key_from_secret(const api::Secret& secret, const std::string& entry) {
  const auto found = secret.data.find(entry);
  if (found == secret.data.end()) {
    return fail(Errc::kNotFound,
                fmt::format("Secret {} has no entry {}", secret.meta.key.to_string(), entry));
  }
  auto key = tunnel::Key::from_base64(trimmed(found->second));
  if (!key || key->is_zero()) {
    return fail(Errc::kInvalid, fmt::format("Secret {}: entry {} is not a base64 WireGuard key",
                                            secret.meta.key.to_string(), entry));
  }
  return key;
}

std::string fresh_private_key(Random& random) {
  return tunnel::Key::generate_private(random).base64();
}

std::string fresh_overlay_key(Random& random) {
  std::array<std::byte, 32> bytes{};
  random.fill(bytes);
  std::string key(bytes.size(), '\0');
  std::transform(bytes.begin(), bytes.end(), key.begin(),
                 [](std::byte byte) { return static_cast<char>(byte); });
  return key;
}

}  // namespace cw::gateway
