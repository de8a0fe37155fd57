#include "api/kube/credentials.h"

#include <fmt/format.h>

#include <fstream>

#include "api/kube/exec_plugin.h"
#include "api/types/base64.h"
#include "api/types/meta.h"
#include "base/log.h"

namespace cw::api::kube {

namespace {

constexpr std::size_t kMaxCredential = 1U << 20U;

Result<std::string> text_of(const Material& material) {
  if (material.file.empty()) return material.data;
  std::ifstream file(material.file, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || text.empty()) {
    return fail(Errc::kDenied, fmt::format("{}: cannot be read or is empty", material.file));
  }
  if (text.size() > kMaxCredential) {
    return fail(Errc::kDenied, fmt::format("{}: over 1 MiB", material.file));
  }
  return text;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  return text;
}

Result<Identity> identity_of(const Access& access, const std::optional<ExecCredential>& plugin) {
  Identity identity;
  auto ca = text_of(access.ca);
  if (!ca) return fail(std::move(ca.error()));
  identity.ca = std::move(*ca);
  auto certificate = text_of(access.client_certificate);
  if (!certificate) return fail(std::move(certificate.error()));
  auto key = text_of(access.client_key);
  if (!key) return fail(std::move(key.error()));
  identity.client_certificate = std::move(*certificate);
  identity.client_key = std::move(*key);
  auto token = text_of(access.token);
  if (!token) return fail(std::move(token.error()));
  *token = trimmed(std::move(*token));
  if (plugin) {
    if (!plugin->token.empty()) *token = plugin->token;
    if (!plugin->client_certificate.empty()) {
      identity.client_certificate = plugin->client_certificate;
      identity.client_key = plugin->client_key;
    }
  }
  if (!token->empty()) {
    identity.authorization = "Bearer " + *token;
  } else if (!access.username.empty()) {
    identity.authorization = "Basic " + encode_base64(access.username + ":" + access.password);
  }
  return identity;
}

}  // namespace

bool Credentials::plugin_is_due() const {
  return !access_.exec.command.empty() && (!from_plugin_ || loop_.now() >= plugin_due_);
}

Handle Credentials::with_identity(Use use) {
  if (plugin_is_due()) {
    auto waiting = std::make_shared<Use>(std::move(use));
    waiting_.emplace_back(waiting);
    if (!plugin_.active()) run_plugin();
    return Handle([waiting]() mutable { waiting.reset(); });
  }
  if (!identity_ || !*identity_ || loop_.now() - read_at_ >= kFileAge) read_files();
  use(*identity_);
  return {};
}

void Credentials::refused() {
  identity_.reset();
  from_plugin_.reset();
}

void Credentials::read_files() {
  read_at_ = loop_.now();
  auto fresh = identity_of(access_, from_plugin_);
  // A file may be missing for a moment, because the kubelet replaces a symbolic link. Keep the
  // identity.
  if (!fresh && identity_ && *identity_) {
    log_warn("credentials cannot be read again; the previous ones are used",
             {{"error", fresh.error().text}});
    return;
  }
  identity_ = std::move(fresh);
}

void Credentials::run_plugin() {
  plugin_ = run_exec_plugin(loop_, access_.exec, [this](Result<ExecCredential> credential) {
    on_credential(std::move(credential));
  });
}

void Credentials::on_credential(Result<ExecCredential> credential) {
  const auto finished = std::move(plugin_);
  if (credential) {
    plugin_due_ = TimePoint::max();
    if (const auto expires = parse_time(credential->expires); expires) {
      plugin_due_ = loop_.now() + (*expires - loop_.wall_now()) - kBeforeExpiry;
    }
    from_plugin_ = std::move(*credential);
    identity_.reset();
    read_files();
  }
  const auto result = credential ? *identity_ : Result<Identity>(fail(credential.error()));
  for (const auto& weak : std::exchange(waiting_, {})) {
    if (const auto use = weak.lock()) (*use)(result);
  }
}

}  // namespace cw::api::kube
