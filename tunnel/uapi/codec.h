// The cross-platform WireGuard configuration protocol's text (wireguard.com/xplatform): requests
// and replies, both directions, as values. Total and bounded: any bytes give a value or kInvalid.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "tunnel/diff.h"

namespace cw::tunnel::uapi {

inline constexpr std::size_t kMaxText = std::size_t{64} << 20U;  // of one request or reply

// One set request for a device that has `change` to be made.
[[nodiscard]] std::string encode_set(const DeviceChange& change);
inline constexpr std::string_view kGet = "get=1\n\n";

// A get reply, without the final empty line. A non-zero errno is an error of its errno's code.
[[nodiscard]] Result<DeviceStatus> decode_get(std::string_view text);
// A set reply.
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
// One request without its final empty line. Whole or not at all: a mistake anywhere is kInvalid.
[[nodiscard]] Result<std::variant<GetRequest, SetRequest>> decode_request(std::string_view text);
// A get reply with its errno line and final empty line. The private key is omitted if zero.
[[nodiscard]] std::string encode_get(const Key& private_key, const DeviceStatus& status,
                                     const std::map<Key, Key>& preshared_keys);
// "errno=-22\n\n"; pass 0 or a negative errno.
[[nodiscard]] std::string encode_errno(int error);

}  // namespace cw::tunnel::uapi
