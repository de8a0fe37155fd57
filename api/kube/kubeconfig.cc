#include "api/kube/kubeconfig.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>

#include "api/kube/answer.h"
#include "api/types/base64.h"

namespace cw::api::kube {

namespace {

constexpr std::size_t kMaxKubeconfig = 4U << 20U;

Result<YAML::Node> load(std::string_view text) {
  if (text.size() > kMaxKubeconfig) return fail(Errc::kTooLarge, "kubeconfig: over 4 MiB");
  try {
    auto root = YAML::Load(std::string(text));
    if (!root.IsMap()) return fail(Errc::kInvalid, "kubeconfig: not a mapping");
    return root;
  } catch (const YAML::Exception& e) {
    return fail(Errc::kInvalid, fmt::format("kubeconfig: line {}: {}", e.mark.line + 1, e.msg));
  }
}

std::string text_at(const YAML::Node& node, const char* key) {
  if (!node.IsMap()) return {};
  const auto child = node[key];
  return child && child.IsScalar() ? child.Scalar() : std::string();
}

// The mapping `part` of the entry named `name` in the list `list`.
Result<YAML::Node> entry(const YAML::Node& root, const char* list, const std::string& name,
                         const char* part) {
  const auto items = root[list];
  if (items && items.IsSequence()) {
    for (const auto& item : items) {
      if (text_at(item, "name") != name) continue;
      const auto found = item[part];
      if (found && found.IsMap()) return YAML::Node(found);
      return fail(Errc::kInvalid, fmt::format("kubeconfig: {} \"{}\" has no {}", list, name, part));
    }
  }
  return fail(Errc::kNotFound, fmt::format("kubeconfig: no \"{}\" in {}", name, list));
}

Result<Material> material(const YAML::Node& node, const std::string& key,
                          const std::string& folder) {
  Material out;
  if (const auto coded = text_at(node, (key + "-data").c_str()); !coded.empty()) {
    auto plain = decode_base64(coded);
    if (!plain) return fail(Errc::kInvalid, fmt::format("kubeconfig: {}-data: not base64", key));
    out.data = std::move(*plain);
    return out;
  }
  out.file = text_at(node, key.c_str());
  if (!out.file.empty() && out.file.front() != '/') out.file = folder + "/" + out.file;
  return out;
}

Result<ExecPlugin> exec_plugin(const YAML::Node& node, const std::string& folder) {
  ExecPlugin exec;
  exec.command = text_at(node, "command");
  if (exec.command.empty()) return fail(Errc::kInvalid, "kubeconfig: exec: no command");
  // As kubectl: a bare name is searched in PATH, a relative path starts at the kubeconfig's folder.
  if (exec.command.find('/') != std::string::npos && exec.command.front() != '/') {
    exec.command = folder + "/" + exec.command;
  }
  exec.api_version = text_at(node, "apiVersion");
  if (const auto args = node["args"]; args && args.IsSequence()) {
    for (const auto& arg : args) {
      if (arg.IsScalar()) exec.args.push_back(arg.Scalar());
    }
  }
  if (const auto env = node["env"]; env && env.IsSequence()) {
    for (const auto& item : env) {
      if (const auto name = text_at(item, "name"); !name.empty()) {
        exec.env[name] = text_at(item, "value");
      }
    }
  }
  return exec;
}

Result<> read_cluster(const YAML::Node& cluster, const std::string& folder, Access& access) {
  access.server = text_at(cluster, "server");
  while (!access.server.empty() && access.server.back() == '/') access.server.pop_back();
  if (access.server.rfind("https://", 0) != 0 && access.server.rfind("http://", 0) != 0) {
    return fail(Errc::kInvalid,
                fmt::format("kubeconfig: server \"{}\": want https://...", access.server));
  }
  access.tls_server_name = text_at(cluster, "tls-server-name");
  access.insecure = text_at(cluster, "insecure-skip-tls-verify") == "true";
  access.proxy_url = text_at(cluster, "proxy-url");
  auto ca = material(cluster, "certificate-authority", folder);
  if (!ca) return fail(std::move(ca.error()));
  access.ca = std::move(*ca);
  return {};
}

Result<> read_user(const YAML::Node& user, const std::string& folder, Access& access) {
  auto certificate = material(user, "client-certificate", folder);
  if (!certificate) return fail(std::move(certificate.error()));
  access.client_certificate = std::move(*certificate);
  auto key = material(user, "client-key", folder);
  if (!key) return fail(std::move(key.error()));
  access.client_key = std::move(*key);
  if (access.client_certificate.given() != access.client_key.given()) {
    return fail(Errc::kInvalid,
                "kubeconfig: give both a client certificate and its key, or neither");
  }
  access.token.data = text_at(user, "token");
  if (access.token.data.empty()) {
    access.token.file = text_at(user, "tokenFile");
    if (!access.token.file.empty() && access.token.file.front() != '/') {
      access.token.file = folder + "/" + access.token.file;
    }
  }
  access.username = text_at(user, "username");
  access.password = text_at(user, "password");
  if (const auto exec = user["exec"]; exec && exec.IsMap()) {
    auto plugin = exec_plugin(exec, folder);
    if (!plugin) return fail(std::move(plugin.error()));
    access.exec = std::move(*plugin);
  } else if (user["auth-provider"]) {
    return fail(Errc::kUnsupported,
                "kubeconfig: auth-provider was removed from Kubernetes; use exec");
  }
  return {};
}

Result<Access> read(const YAML::Node& root, std::string context, const std::string& folder) {
  if (context.empty()) context = text_at(root, "current-context");
  if (context.empty()) return fail(Errc::kInvalid, "kubeconfig: no current-context");
  auto chosen = entry(root, "contexts", context, "context");
  if (!chosen) return fail(std::move(chosen.error()));
  auto cluster = entry(root, "clusters", text_at(*chosen, "cluster"), "cluster");
  if (!cluster) return fail(std::move(cluster.error()));
  Access access;
  access.ns = text_at(*chosen, "namespace");
  if (auto ok = read_cluster(*cluster, folder, access); !ok) return fail(std::move(ok.error()));
  const auto name = text_at(*chosen, "user");
  if (name.empty()) return access;  // anonymous
  auto user = entry(root, "users", name, "user");
  if (!user) return fail(std::move(user.error()));
  if (auto ok = read_user(*user, folder, access); !ok) return fail(std::move(ok.error()));
  return access;
}

}  // namespace

Result<Access> parse_kubeconfig(std::string_view text, const std::string& context,
                                const std::string& folder) {
  const auto root = load(text);
  if (!root) return fail(root.error());
  try {
    return read(*root, context, folder);
  } catch (const YAML::Exception& e) {
    return fail(Errc::kInvalid, fmt::format("kubeconfig: line {}: {}", e.mark.line + 1, e.msg));
  }
}

Access in_cluster_access(const std::string& host, const std::string& port,
                         const std::string& folder) {
  Access access;
  const bool v6 = host.find(':') != std::string::npos;
  access.server = fmt::format("https://{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port);
  access.ca.file = folder + "/ca.crt";
  access.token.file = folder + "/token";
  return access;
}

Result<ExecCredential> parse_exec_credential(std::string_view text) {
  const auto body = parse_json(text, "exec plugin");
  if (!body) return fail(body.error());
  const auto field = [](const nlohmann::json& object, const char* key) -> std::string {
    if (!object.is_object()) return {};
    const auto found = object.find(key);
    return found == object.end() || !found->is_string() ? "" : found->get<std::string>();
  };
  if (field(*body, "kind") != "ExecCredential" || !body->contains("status")) {
    return fail(Errc::kInvalid, "exec plugin: printed no ExecCredential with a status");
  }
  const auto& status = (*body)["status"];
  ExecCredential out{field(status, "token"), field(status, "clientCertificateData"),
                     field(status, "clientKeyData"), field(status, "expirationTimestamp")};
  if (out.token.empty() && out.client_certificate.empty()) {
    return fail(Errc::kInvalid, "exec plugin: neither a token nor a certificate");
  }
  return out;
}

}  // namespace cw::api::kube
