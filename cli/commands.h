// What each command of causewayctl does: reads the store, calls the pure parts, prints. Every
// command returns the process's exit code: 0, 1 (it failed, or the answer is no), 2 (usage).
// Mistakes go to standard error in one line.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/prefix.h"

namespace cw::cli {

inline constexpr int kFine = 0;
inline constexpr int kFailed = 1;
inline constexpr int kMistaken = 2;

// Prints the mistake; returns the exit code that goes with it.
[[nodiscard]] int tell(const Error& error);

enum class Format : std::uint8_t { kTable, kJson, kYaml };

struct Options {
  std::string store;  // "dir:/path", "kube:..." or a context of the user's kubeconfig
  Format format = Format::kTable;
  bool colours = false;
};

[[nodiscard]] int pair_export(const Options& options, const std::vector<std::string>& cidrs,
                              bool without_endpoints);
// How a remote cluster becomes a peer.
struct PairChoice {
  bool replace = false;             // take keys that the known ClusterPeer does not list
  std::vector<std::string> shares;  // "NAMESPACE/SERVICE": imported over an export of this cluster
  bool share_all = false;           // every name is
};
// `file` "-": stdin.
[[nodiscard]] int pair_accept(const Options& options, const std::string& file,
                              const PairChoice& choice);
// Each becomes a peer of the other.
[[nodiscard]] int pair_stores(const std::string& one, const std::string& other,
                              const PairChoice& choice);
// Ends the pairing: returns when no node holds back the cluster's prefixes any more, or names those
// that did not answer in time (kFailed; run it again).
[[nodiscard]] int unpair(const Options& options, const std::string& cluster);
// Neither is a peer of the other any more.
[[nodiscard]] int unpair_stores(const std::string& one, const std::string& other);
[[nodiscard]] int export_service(const Options& options, const std::string& name);
[[nodiscard]] int unexport_service(const Options& options, const std::string& name);
// Marks the gateway ("gateway-0" or "0") and waits until it carries nothing.
[[nodiscard]] int drain(const Options& options, const std::string& name);
[[nodiscard]] int undrain(const Options& options, const std::string& name);
// With `watch` once a second until interrupted.
[[nodiscard]] int show_status(const Options& options, bool watch);
[[nodiscard]] int resolve_name(const Options& options, const std::string& name);

}  // namespace cw::cli
