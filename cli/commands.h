// The commands of causewayctl. Each reads the store, calls pure functions and prints. Each returns
// the process's exit code: 0, 1 (it failed, or the answer is no), 2 (usage). Errors go to standard
// error in one line.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "api/types/meta.h"
#include "base/error.h"
#include "base/prefix.h"

namespace cw::cli {

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsageError = 2;

// Prints the error. Returns its exit code.
[[nodiscard]] int tell(const Error& error);
// Parses "NAMESPACE/SERVICE".
[[nodiscard]] Result<api::ObjectKey> service_key(const std::string& name);

enum class Format : std::uint8_t { kTable, kJson, kYaml };

struct Options {
  std::string store;  // "dir:/path", "kube:..." or a context of the user's kubeconfig
  Format format = Format::kTable;
  bool colours = false;
};

[[nodiscard]] int pair_export(const Options& options, const std::vector<std::string>& cidrs,
                              bool without_endpoints);
// How a remote cluster is accepted as a peer.
struct PairChoice {
  bool replace = false;             // accept keys that the known ClusterPeer does not have
  bool refresh = false;             // only bring known peers up to date, with their new keys
  bool keep_endpoints = false;      // leave endpoints of known gateways as they are
  std::vector<std::string> cidrs;   // "CLUSTER=PREFIX": in place of that cluster's ranges
  std::vector<std::string> shares;  // "NAMESPACE/SERVICE": import it even if exported here
  bool share_all = false;           // the same for every name
};
// `file`: "-" is standard input.
[[nodiscard]] int pair_accept(const Options& options, const std::string& file,
                              const PairChoice& choice);
// Makes each of two or more clusters a peer of all others. Known peers are brought up to date. All
// is read and checked before anything is written. If a store cannot be written, the others still
// are, and the command says what is missing and what to repeat.
[[nodiscard]] int pair_stores(const std::vector<std::string>& stores, const PairChoice& choice);
// Ends the pairing. Returns when no node holds back the cluster's prefixes any more. Otherwise
// names the nodes that did not answer in time and returns kFailed; run it again then.
[[nodiscard]] int unpair(const Options& options, const std::string& cluster);
// Ends the pairing on both sides.
[[nodiscard]] int unpair_stores(const std::string& one, const std::string& other);
[[nodiscard]] int export_service(const Options& options, const std::string& name);
[[nodiscard]] int unexport_service(const Options& options, const std::string& name);
// Marks the gateway ("gateway-0" or "0") and waits until it carries no prefixes.
[[nodiscard]] int drain(const Options& options, const std::string& name);
[[nodiscard]] int undrain(const Options& options, const std::string& name);
// With `watch`: once per second, until interrupted.
[[nodiscard]] int show_status(const Options& options, bool watch);
[[nodiscard]] int resolve_name(const Options& options, const std::string& name);

}  // namespace cw::cli
