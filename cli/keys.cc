#include "cli/keys.h"

#include <fmt/format.h>

#include <array>

#include "api/kube/url.h"
#include "api/names.h"
#include "api/types/codec.h"
#include "tunnel/key.h"

namespace cw::cli {

namespace {

std::string thirty_two_bytes(Random& random) {
  std::array<std::byte, 32> bytes{};
  random.fill(bytes);
  std::string text;
  for (const auto byte : bytes) text += static_cast<char>(byte);
  return text;
}

// True: the Secret exists and has its entry.
Result<bool> present(ClusterApi& cluster, const std::string& ns, const KeySecret& wanted) {
  const auto found = cluster.get(api::kube::object_path(api::Kind::kSecret, {ns, wanted.name}));
  if (!found) {
    if (found.error().code == Errc::kNotFound) return false;
    return fail(found.error());
  }
  const auto secret = api::decode<api::Secret>(*found);
  if (!secret) return fail(secret.error());
  if (secret->data.count(wanted.entry) != 0) return true;
  return fail(Errc::kInvalid, fmt::format("Secret {}/{} has no entry {}: delete it, and the next "
                                          "run creates a good one",
                                          ns, wanted.name, wanted.entry));
}

// Ok: the gateway's object does not forbid a new key.
Result<> allowed(ClusterApi& cluster, const std::string& ns, const KeySecret& wanted,
                 std::uint32_t ordinal) {
  const auto found = cluster.get(
      api::kube::object_path(api::Kind::kTunnelGateway, {"", fmt::format("gateway-{}", ordinal)}));
  if (!found) {
    // At the first install not even the kind exists.
    if (found.error().code == Errc::kNotFound) return may_be_made(ns, wanted, nullptr);
    return fail(found.error());
  }
  const auto gateway = api::decode<api::TunnelGateway>(*found);
  if (!gateway) return fail(gateway.error());
  return may_be_made(ns, wanted, &*gateway);
}

}  // namespace

std::vector<KeySecret> key_secrets(std::uint32_t gateways) {
  std::vector<KeySecret> all;
  for (std::uint32_t ordinal = 0; ordinal < gateways; ++ordinal) {
    all.push_back({api::key_secret(ordinal), std::string(api::kPrivateKeyEntry)});
  }
  all.push_back({std::string(api::kOverlaySecret), std::string(api::kOverlayEntry)});
  return all;
}

nlohmann::json fresh_secret(Random& random, const std::string& ns, const KeySecret& wanted) {
  api::Secret secret;
  secret.meta.key = {ns, wanted.name};
  secret.meta.labels = {{"app.kubernetes.io/name", "causeway"}};
  secret.data[wanted.entry] = wanted.entry == api::kPrivateKeyEntry
                                  ? tunnel::Key::generate_private(random).base64()
                                  : thirty_two_bytes(random);
  auto body = api::encode(secret);
  body["type"] = "Opaque";
  body["immutable"] = true;
  return body;
}

Result<> may_be_made(const std::string& ns, const KeySecret& wanted,
                     const api::TunnelGateway* gateway) {
  if (gateway == nullptr || gateway->spec.public_key.empty()) return {};
  const auto& name = gateway->meta.key.name;
  return fail(
      Errc::kExists,
      fmt::format("Secret {}/{} is gone, and peers know {} by the key {}: restore the Secret "
                  "from a backup. For a new key, stop that gateway, delete TunnelGateway {}, run "
                  "this again, and pair again with --replace",
                  ns, wanted.name, name, gateway->spec.public_key, name));
}

Result<> make_keys(ClusterApi& cluster, const std::string& ns, std::uint32_t gateways) {
  SystemRandom random;
  std::uint32_t ordinal = 0;  // the gateways' Secrets come first
  for (const auto& wanted : key_secrets(gateways)) {
    const auto own = ordinal++;
    const auto there = present(cluster, ns, wanted);
    if (!there) return fail(there.error());
    if (*there) continue;
    if (own < gateways) {
      if (auto ok = allowed(cluster, ns, wanted, own); !ok) return ok;
    }
    const auto made = cluster.post(api::kube::collection_path(api::Kind::kSecret, ns),
                                   fresh_secret(random, ns, wanted));
    if (!made && made.error().code != Errc::kExists) return fail(made.error());
    if (made) fmt::print("Secret {}/{} created\n", ns, wanted.name);
  }
  return {};
}

}  // namespace cw::cli
