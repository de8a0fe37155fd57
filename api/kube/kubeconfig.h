// How to reach an API server, and with which credentials: a kubeconfig's context or a pod's service
// account. Parsing is pure. Credentials reads the files that are named here, again and again.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cw::api::kube {

// A value in the kubeconfig itself, or a file with the value. Both empty: none.
struct Material {
  std::string data;
  std::string file;
  [[nodiscard]] bool given() const { return !data.empty() || !file.empty(); }
  friend bool operator==(const Material&, const Material&) = default;
};

// A program that prints an ExecCredential (client.authentication.k8s.io).
struct ExecPlugin {
  std::string command;
  std::vector<std::string> args;
  std::map<std::string, std::string> env;
  std::string api_version;
  friend bool operator==(const ExecPlugin&, const ExecPlugin&) = default;
};

struct Access {
  std::string server;           // "https://host:6443", without a slash at the end
  std::string tls_server_name;  // empty: the server's host
  bool insecure = false;        // true: do not verify the server's certificate
  std::string proxy_url;
  std::string ns;  // the context's namespace; may be empty
  Material ca;     // PEM; none: the system's CAs
  Material client_certificate;
  Material client_key;
  Material token;
  std::string username;  // basic authentication, with password
  std::string password;
  ExecPlugin exec;  // empty command: none
  friend bool operator==(const Access&, const Access&) = default;
};

// An empty `context` means the current one. Relative paths are relative to `folder`. kInvalid: the
// text says what is wrong. kNotFound: no such context, cluster or user.
[[nodiscard]] Result<Access> parse_kubeconfig(std::string_view text, const std::string& context,
                                              const std::string& folder);

// A pod's service account, mounted at `folder`. `host` and `port` are the values of
// KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT.
[[nodiscard]] Access in_cluster_access(const std::string& host, const std::string& port,
                                       const std::string& folder);

// What an exec plugin printed.
struct ExecCredential {
  std::string token;
  std::string client_certificate;  // PEM
  std::string client_key;
  std::string expires;  // RFC 3339; empty: never
  friend bool operator==(const ExecCredential&, const ExecCredential&) = default;
};
[[nodiscard]] Result<ExecCredential> parse_exec_credential(std::string_view text);

}  // namespace cw::api::kube
