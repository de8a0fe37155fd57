// causewayctl unpair ends a pairing. It marks the ClusterPeer, waits until every node has opened
// the cluster's prefixes, and deletes the object only then. A node that never saw the mark would
// keep the prefixes closed for ever.
#include <fmt/format.h>

#include <cstdio>
#include <thread>

#include "api/names.h"
#include "api/types/lease.h"
#include "api/types/remote_export.h"
#include "api/types/secret.h"
#include "cli/closed.h"
#include "cli/commands.h"
#include "cli/session.h"

namespace cw::cli {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kOpenPoll = milliseconds(200);
// An agent writes its status once per second. Before kLeast, an empty list proves nothing.
constexpr auto kLeast = seconds(2);
// After this the command names the nodes that did not answer (docs/operations/fail-closed.md).
constexpr auto kOpenPatience = seconds(30);
// So long the gateways get to remove the cluster's RemoteExports. What is left then has no gateway
// that would do it.
constexpr auto kImportPatience = seconds(10);
constexpr auto kImportPoll = seconds(1);

// The nodes that hold back the cluster's prefixes. A RouteAgent without a Node is not counted: its
// machine no longer belongs to the cluster.
Result<std::set<std::string>> holders(Session& session, const std::string& cluster) {
  const auto agents = session.list<api::RouteAgent>();
  if (!agents) return fail(agents.error());
  const auto nodes = session.list<api::Node>();
  if (!nodes) return fail(nodes.error());
  std::set<std::string> there;
  for (const auto& node : *nodes) there.insert(node.meta.key.name);
  auto found = holders_of(*agents)[cluster];
  std::erase_if(found, [&](const auto& name) { return there.count(name) == 0; });
  return found;
}

// The ClusterPeers of one cluster, which are marked as unpaired.
struct Marked {
  std::vector<api::ObjectKey> peers;
  std::set<std::string> secrets;  // with the pair's pre-shared key; no other ClusterPeer names them
};

// Marks the cluster's ClusterPeers. If there is none but nodes hold back its prefixes, creates a
// marked one.
Result<Marked> mark(Session& session, const std::string& cluster) {
  auto peers = session.list<api::ClusterPeer>();
  if (!peers) return fail(std::move(peers.error()));
  Marked marked;
  for (auto& peer : *peers) {
    if (peer.spec.cluster_id != cluster) continue;
    const auto& secret = peer.spec.preshared_key_secret;
    if (!secret.empty()) marked.secrets.insert(secret);
    if (!peer.spec.unpaired) {
      peer.spec.unpaired = true;
      if (const auto done = session.put(peer); !done) return fail(done.error());
    }
    marked.peers.push_back(peer.meta.key);
  }
  for (const auto& peer : *peers) {
    if (peer.spec.cluster_id != cluster) marked.secrets.erase(peer.spec.preshared_key_secret);
  }
  if (!marked.peers.empty()) return marked;
  const auto closed = holders(session, cluster);
  if (!closed) return fail(closed.error());
  if (closed->empty()) return fail(Errc::kNotFound, fmt::format("there is no peer {}", cluster));
  if (!api::is_dns_label(cluster)) {
    return fail(Errc::kInvalid, fmt::format("\"{}\" is not a cluster id", cluster));
  }
  api::ClusterPeer tombstone;
  tombstone.meta.key.name = tombstone.spec.cluster_id = cluster;
  tombstone.spec.unpaired = true;
  if (const auto done = session.put(tombstone); !done) return fail(done.error());
  marked.peers.push_back(tombstone.meta.key);
  return marked;
}

Result<> wait_until_open(Session& session, const std::string& cluster) {
  const auto began = Clock::now();
  for (;;) {
    const auto closed = holders(session, cluster);
    if (!closed) return fail(closed.error());
    const auto waited = Clock::now() - began;
    if (closed->empty() && waited >= kLeast) return {};
    if (waited > kOpenPatience) {
      return fail(Errc::kUnavailable,
                  fmt::format("cluster {} is unpaired, but after {} s these nodes still hold back "
                              "its prefixes: {}; check their route agents, then run `causewayctl "
                              "unpair {}` again",
                              cluster, kOpenPatience.count(), fmt::join(*closed, ", "), cluster));
    }
    std::this_thread::sleep_for(kOpenPoll);
  }
}

// Removes what the gateways imported from the cluster, if they do not do it themselves.
Result<> remove_imports(Session& session, const std::string& cluster) {
  const auto began = Clock::now();
  for (;;) {
    auto imports = session.list<api::RemoteExport>();
    if (!imports) return fail(std::move(imports.error()));
    std::erase_if(*imports, [&](const auto& one) { return one.spec.cluster != cluster; });
    if (imports->empty()) return {};
    if (Clock::now() - began < kImportPatience) {
      std::this_thread::sleep_for(kImportPoll);
      continue;
    }
    for (const auto& one : *imports) {
      auto done = session.remove(api::Kind::kRemoteExport, one.meta.key);
      if (!done && done.error().code != Errc::kNotFound) return done;
    }
    return {};
  }
}

// Removes the Secrets in the gateways' namespace, which has their Lease. A Secret that may not be
// removed is only named: it opens nothing any more.
void remove_secrets(Session& session, const std::set<std::string>& names) {
  if (names.empty()) return;
  const auto leases = session.list<api::Lease>(std::string(api::kImportLease));
  std::set<std::string> namespaces;
  if (leases) {
    for (const auto& lease : *leases) namespaces.insert(lease.meta.key.ns);
  }
  if (namespaces.empty()) namespaces.emplace(api::kDefaultNamespace);
  for (const auto& name : names) {
    for (const auto& ns : namespaces) {
      const api::ObjectKey key{ns, name};
      const auto secret = session.get<api::Secret>(key);
      if (secret && !*secret) continue;
      const bool ours = secret && (*secret)->data.count(std::string(api::kPresharedKeyEntry)) != 0;
      const bool gone = ours && session.remove(api::Kind::kSecret, key);
      fmt::print("Secret {} with the pre-shared key {}\n", key.to_string(),
                 gone ? "is removed" : "stays: remove it");
    }
  }
}

Result<> unpair_one(Session& session, const std::string& cluster) {
  const auto marked = mark(session, cluster);
  if (!marked) return fail(marked.error());
  if (auto open = wait_until_open(session, cluster); !open) return open;
  for (const auto& key : marked->peers) {
    auto done = session.remove(api::Kind::kClusterPeer, key);
    if (!done && done.error().code != Errc::kNotFound) return done;
  }
  if (auto done = remove_imports(session, cluster); !done) return done;
  remove_secrets(session, marked->secrets);
  return {};
}

// What the other side still has, and how to remove it there.
std::string other_side_text(const std::string& own, const std::string& cluster) {
  return fmt::format(
      "if cluster {0} still exists, it has {1} as a peer: its nodes hold back the prefixes of {1} "
      "until `causewayctl --store STORE-OF-{0} unpair {1}`\n",
      cluster, own.empty() ? "this cluster" : own);
}

// What to do if the store at `address`, one of two, cannot be read: the cluster may be gone.
Error one_side_is_gone(const Error& why, const std::string& address, const std::string& other) {
  return Error{why.code,
               fmt::format("{}. If that cluster is gone, end the pairing on the other side alone: "
                           "`causewayctl --store {} unpair CLUSTER` with its id",
                           why.text, other)}
      .context(address);
}

}  // namespace

int unpair(const Options& options, const std::string& cluster) {
  auto session = Session::open(options.store);
  if (!session) return tell(session.error());
  const auto id = (*session)->cluster_id();
  if (!id) return tell(id.error());
  const auto done = unpair_one(**session, cluster);
  if (!done) return tell(done.error());
  fmt::print("cluster {} is no longer a peer; no node holds back its prefixes\n", cluster);
  fmt::print("{}", other_side_text(*id, cluster));
  return kOk;
}

int unpair_stores(const std::string& one, const std::string& other) {
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<std::string> ids;
  for (const auto& [address, second] : {std::pair(one, other), std::pair(other, one)}) {
    auto session = Session::open(address);
    if (!session) return tell(one_side_is_gone(session.error(), address, second));
    auto id = (*session)->cluster_id();
    if (!id) return tell(one_side_is_gone(id.error(), address, second));
    sessions.push_back(std::move(*session));
    ids.push_back(std::move(*id));
  }
  int code = kOk;
  for (std::size_t side = 0; side < 2; ++side) {
    const auto done = unpair_one(*sessions[side], ids[1 - side]);
    if (!done && done.error().code != Errc::kNotFound) {
      code = tell(done.error().context(ids[side]));
    } else {
      fmt::print("cluster {} is {} a peer of {}\n", ids[1 - side], done ? "no longer" : "not",
                 ids[side]);
    }
  }
  return code;
}

}  // namespace cw::cli
