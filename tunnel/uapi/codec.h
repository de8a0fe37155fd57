// The text of the cross-platform WireGuard configuration protocol (wireguard.com/xplatform):
// requests and replies in both directions, as values. Accepts any bytes, within bounds: they give a
// value or an error.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "tunnel/diff.h"

namespace cw::tunnel::uapi {

inline constexpr std::size_t kMaxText = std::size_t{64} << 20U;  // of one request or reply

// One set request that makes `change`.
[[nodiscard]] std::string encode_set(const DeviceChange& change);
inline constexpr std::string_view kGet = "get=1\n\n";

// Parses a get reply without its final empty line. A non-zero errno becomes an error with the code
// of that errno.
[[nodiscard]] Result<DeviceStatus> decode_get(std::string_view text);
// Parses a set reply.
[[nodiscard]] Result<> decode_set_reply(std::string_view text);

// --- the server's side ---

struct AllowedIpEdit {
  Prefix prefix;
  bool remove = false;
};
struct PeerEdit {
  Key key;
  bool remove = false;
  bool update_only = false;
  bool replace_allowed_ips = false;
  std::optional<Key> preshared_key;  // zero: remove
  std::optional<Endpoint> endpoint;
  std::optional<std::uint16_t> keepalive_seconds;
  std::vector<AllowedIpEdit> allowed_ips;
};
struct SetRequest {
  std::optional<Key> private_key;  // zero: remove
  std::optional<std::uint16_t> listen_port;
  std::optional<std::uint32_t> fwmark;
  bool replace_peers = false;
  std::vector<PeerEdit> peers;
};
struct GetRequest {};
// Parses one request without its final empty line. A problem anywhere makes the whole request
// kInvalid.
[[nodiscard]] Result<std::variant<GetRequest, SetRequest>> decode_request(std::string_view text);
// A get reply with its errno line and final empty line. A private key of zero is left out.
[[nodiscard]] std::string encode_get(const Key& private_key, const DeviceStatus& status,
                                     const std::map<Key, Key>& preshared_keys);
// "errno=-22\n\n". `error` is 0 or a negative errno.
[[nodiscard]] std::string encode_errno(int error);

}  // namespace cw::tunnel::uapi
