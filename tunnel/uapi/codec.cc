#include "tunnel/uapi/codec.h"

#include <fmt/format.h>

#include <limits>

#include "base/number.h"

namespace cw::tunnel::uapi {

namespace {

struct Line {
  std::string_view key;
  std::string_view value;
};

// Takes the next "key=value\n" from `text`.
Result<Line> next_line(std::string_view& text) {
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  const auto equals = line.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return fail(Errc::kInvalid, fmt::format("uapi: \"{}\" is not key=value", line.substr(0, 80)));
  }
  return Line{line.substr(0, equals), line.substr(equals + 1)};
}

template <typename T>
Result<T> number(const Line& line) {
  if (const auto value = number_of<T>(line.value)) return *value;
  return fail(Errc::kInvalid, fmt::format("uapi: {}: \"{}\" is not a number it takes", line.key,
                                          line.value.substr(0, 80)));
}

Result<> flag(const Line& line, bool& value) {
  if (line.value != "true")
    return fail(Errc::kInvalid, fmt::format("uapi: {}: want true", line.key));
  value = true;
  return {};
}

// Stores `parsed` in `out`; an error gets the line's key as context.
template <typename T, typename Parsed>
Result<> put(const Line& line, T& out, Parsed parsed) {
  if (!parsed) return fail(std::move(parsed.error()).context(fmt::format("uapi: {}", line.key)));
  out = std::move(*parsed);
  return {};
}

}  // namespace

std::string encode_set(const DeviceChange& change) {
  std::string out = "set=1\n";
  if (change.private_key) out += fmt::format("private_key={}\n", change.private_key->hex());
  if (change.listen_port) out += fmt::format("listen_port={}\n", *change.listen_port);
  if (change.fwmark) out += fmt::format("fwmark={}\n", *change.fwmark);
  for (const auto& peer : change.peers) {
    out += fmt::format("public_key={}\n", peer.key.hex());
    if (peer.remove) {
      out += "remove=true\n";
      continue;
    }
    // A peer that was removed meanwhile must not return half-configured.
    if (!peer.add) out += "update_only=true\n";
    if (peer.preshared_key) out += fmt::format("preshared_key={}\n", peer.preshared_key->hex());
    if (peer.endpoint) out += fmt::format("endpoint={}\n", peer.endpoint->to_string());
    if (peer.keepalive_seconds) {
      out += fmt::format("persistent_keepalive_interval={}\n", *peer.keepalive_seconds);
    }
    if (peer.replace_allowed_ips) out += "replace_allowed_ips=true\n";
    for (const auto& prefix : peer.allowed_ips)
      out += fmt::format("allowed_ip={}\n", prefix.to_string());
  }
  return out + "\n";
}

namespace {

Result<> take_peer_status(const Line& line, PeerStatus& peer, std::int64_t& sec,
                          std::int64_t& nsec) {
  if (line.key == "endpoint") {
    // An endpoint with a zone id or a name cannot be parsed and counts as unknown.
    if (auto endpoint = Endpoint::parse(line.value)) peer.endpoint = *endpoint;
  } else if (line.key == "last_handshake_time_sec") {
    return put(line, sec, number<std::int64_t>(line));
  } else if (line.key == "last_handshake_time_nsec") {
    return put(line, nsec, number<std::int64_t>(line));
  } else if (line.key == "rx_bytes") {
    return put(line, peer.rx_bytes, number<std::uint64_t>(line));
  } else if (line.key == "tx_bytes") {
    return put(line, peer.tx_bytes, number<std::uint64_t>(line));
  } else if (line.key == "persistent_keepalive_interval") {
    return put(line, peer.keepalive_seconds, number<std::uint16_t>(line));
  } else if (line.key == "preshared_key") {
    Key key;
    if (auto ok = put(line, key, Key::from_hex(line.value)); !ok) return ok;
    peer.has_preshared_key = !key.is_zero();
  } else if (line.key == "allowed_ip") {
    Prefix prefix;
    if (auto ok = put(line, prefix, Prefix::parse(line.value)); !ok) return ok;
    peer.allowed_ips.insert(prefix);
  }
  return {};  // unknown keys are extensions of other implementations
}

Result<> take_device_status(const Line& line, DeviceStatus& status) {
  if (line.key == "private_key") {
    Key key;
    if (auto ok = put(line, key, Key::from_hex(line.value)); !ok) return ok;
    if (!key.is_zero()) status.public_key = key.public_key();
  } else if (line.key == "listen_port") {
    return put(line, status.listen_port, number<std::uint16_t>(line));
  } else if (line.key == "fwmark") {
    return put(line, status.fwmark, number<std::uint32_t>(line));
  }
  return {};
}

Result<> errno_result(const Line& line) {
  const auto code = number<int>(line);
  if (!code) return fail(code.error());
  if (*code == 0) return {};
  if (*code == std::numeric_limits<int>::min()) return fail(Errc::kInternal, "uapi: errno");
  return fail(errno_error(*code < 0 ? -*code : *code, "uapi"));
}

}  // namespace

Result<DeviceStatus> decode_get(std::string_view text) {
  if (text.size() > kMaxText) return fail(Errc::kTooLarge, "uapi: reply too large");
  DeviceStatus status;
  PeerStatus* peer = nullptr;
  std::int64_t sec = 0;
  std::int64_t nsec = 0;
  bool ended = false;
  const auto close_peer = [&] {
    // A time after the year 2200 is no handshake, and would overflow nanoseconds.
    const bool sane = sec > 0 && sec < 7'258'118'400 && nsec >= 0 && nsec < 1'000'000'000;
    if (peer != nullptr && sane) {
      peer->last_handshake = WallTime(std::chrono::seconds(sec) + std::chrono::nanoseconds(nsec));
    }
    sec = nsec = 0;
  };
  while (!text.empty() && text.front() != '\n') {
    const auto line = next_line(text);
    if (!line) return fail(line.error());
    if (line->key == "errno") {
      if (auto ok = errno_result(*line); !ok) return fail(ok.error());
      ended = true;
    } else if (line->key == "public_key") {
      close_peer();
      Key key;
      if (auto ok = put(*line, key, Key::from_hex(line->value)); !ok) return fail(ok.error());
      peer = &status.peers[key];
    } else {
      auto ok = peer != nullptr ? take_peer_status(*line, *peer, sec, nsec)
                                : take_device_status(*line, status);
      if (!ok) return fail(ok.error());
    }
  }
  close_peer();
  if (!ended) return fail(Errc::kInvalid, "uapi: the reply has no errno line");
  return status;
}

Result<> decode_set_reply(std::string_view text) {
  const auto line = next_line(text);
  if (!line) return fail(line.error());
  if (line->key != "errno") return fail(Errc::kInvalid, "uapi: want an errno line");
  return errno_result(*line);
}

namespace {

Result<> take_peer_edit(const Line& line, PeerEdit& peer) {
  if (line.key == "remove") return flag(line, peer.remove);
  if (line.key == "update_only") return flag(line, peer.update_only);
  if (line.key == "replace_allowed_ips") {
    peer.allowed_ips.clear();
    return flag(line, peer.replace_allowed_ips);
  }
  if (line.key == "preshared_key") return put(line, peer.preshared_key, Key::from_hex(line.value));
  if (line.key == "endpoint") return put(line, peer.endpoint, Endpoint::parse(line.value));
  if (line.key == "persistent_keepalive_interval") {
    return put(line, peer.keepalive_seconds, number<std::uint16_t>(line));
  }
  if (line.key == "protocol_version" && line.value == "1") return {};
  if (line.key == "allowed_ip") {
    AllowedIpEdit edit;
    auto text = line.value;
    if (!text.empty() && text.front() == '-') {
      edit.remove = true;
      text.remove_prefix(1);
    }
    // wg sends host bits as the user wrote them; only the network counts.
    const auto slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    unsigned length = address ? address->bits() : 0;
    if (slash != std::string_view::npos) {
      const auto given = number<unsigned>({line.key, text.substr(slash + 1)});
      if (!given) return fail(given.error());
      length = *given;
    }
    if (!address) return fail(Error(address.error()).context("uapi: allowed_ip"));
    if (auto ok = put(line, edit.prefix, Prefix::of(*address, length)); !ok) return ok;
    peer.allowed_ips.push_back(edit);
    return {};
  }
  return fail(Errc::kInvalid, fmt::format("uapi: unknown key {}", line.key.substr(0, 80)));
}

Result<> take_device_edit(const Line& line, SetRequest& request) {
  if (line.key == "private_key") return put(line, request.private_key, Key::from_hex(line.value));
  if (line.key == "listen_port") return put(line, request.listen_port, number<std::uint16_t>(line));
  if (line.key == "fwmark") return put(line, request.fwmark, number<std::uint32_t>(line));
  if (line.key == "replace_peers") return flag(line, request.replace_peers);
  return fail(Errc::kInvalid, fmt::format("uapi: unknown key {}", line.key.substr(0, 80)));
}

}  // namespace

Result<std::variant<GetRequest, SetRequest>> decode_request(std::string_view text) {
  if (text.size() > kMaxText) return fail(Errc::kTooLarge, "uapi: request too large");
  const auto first = next_line(text);
  if (!first) return fail(first.error());
  if (first->value != "1" || (first->key != "get" && first->key != "set")) {
    return fail(Errc::kInvalid, "uapi: want get=1 or set=1");
  }
  if (first->key == "get") {
    if (!text.empty()) return fail(Errc::kInvalid, "uapi: get takes no more lines");
    return std::variant<GetRequest, SetRequest>(GetRequest{});
  }
  SetRequest request;
  while (!text.empty()) {
    const auto line = next_line(text);
    if (!line) return fail(line.error());
    if (line->key == "public_key") {
      PeerEdit peer;
      if (auto ok = put(*line, peer.key, Key::from_hex(line->value)); !ok) return fail(ok.error());
      request.peers.push_back(std::move(peer));
      continue;
    }
    auto ok = request.peers.empty() ? take_device_edit(*line, request)
                                    : take_peer_edit(*line, request.peers.back());
    if (!ok) return fail(ok.error());
  }
  return std::variant<GetRequest, SetRequest>(std::move(request));
}

std::string encode_get(const Key& private_key, const DeviceStatus& status,
                       const std::map<Key, Key>& preshared_keys) {
  std::string out;
  if (!private_key.is_zero()) out += fmt::format("private_key={}\n", private_key.hex());
  if (status.listen_port != 0) out += fmt::format("listen_port={}\n", status.listen_port);
  if (status.fwmark != 0) out += fmt::format("fwmark={}\n", status.fwmark);
  for (const auto& [key, peer] : status.peers) {
    const auto psk = preshared_keys.find(key);
    const auto since = peer.last_handshake.time_since_epoch();
    const auto sec = std::chrono::floor<std::chrono::seconds>(since);
    out += fmt::format("public_key={}\npreshared_key={}\nprotocol_version=1\n", key.hex(),
                       psk == preshared_keys.end() ? Key().hex() : psk->second.hex());
    if (peer.endpoint) out += fmt::format("endpoint={}\n", peer.endpoint->to_string());
    out += fmt::format(
        "last_handshake_time_sec={}\nlast_handshake_time_nsec={}\ntx_bytes={}\nrx_bytes={}\n"
        "persistent_keepalive_interval={}\n",
        sec.count(), std::chrono::nanoseconds(since - sec).count(), peer.tx_bytes, peer.rx_bytes,
        peer.keepalive_seconds);
    for (const auto& prefix : peer.allowed_ips)
      out += fmt::format("allowed_ip={}\n", prefix.to_string());
  }
  return out + encode_errno(0);
}

std::string encode_errno(int error) { return fmt::format("errno={}\n\n", error); }

}  // namespace cw::tunnel::uapi
