// How to reach an API server and who to be there: a kubeconfig's context, or a pod's service
// account. Parsing is pure; files that it names are read by Credentials, again and again.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cw::api::kube {

// A value in the file itself, or a file to read it from; both empty: none.
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
  std::string server;           // "https://host:6443", no slash at the end
  std::string tls_server_name;  // empty: the server's host
  bool insecure = false;        // the server's certificate is not checked
  std::string proxy_url;
  std::string ns;  // of the context; may be empty
  Material ca;     // PEM; none: the system's
  Material client_certificate;
  Material client_key;
  Material token;
  std::string username;  // basic authentication, with password
  std::string password;
  ExecPlugin exec;  // command empty: none
  friend bool operator==(const Access&, const Access&) = default;
};

// `context` empty: the current one. Relative paths are taken against `folder`. kInvalid names what
// is wrong; kNotFound: no such context.
[[nodiscard]] Result<Access> parse_kubeconfig(std::string_view text, const std::string& context,
                                              const std::string& folder);

// The contexts' names, in the file's order.
[[nodiscard]] Result<std::vector<std::string>> kubeconfig_contexts(std::string_view text);

// A pod's service account, mounted at `folder`; host and port are KUBERNETES_SERVICE_HOST and
// _PORT.
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
