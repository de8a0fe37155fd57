// causewayctl unpair ends a pairing. It marks the ClusterPeer, waits until every node has opened
// the cluster's prefixes, and deletes the object only then. A node that never saw the mark would
// keep the prefixes closed for ever.
#include <fmt/format.h>

#include <cstdio>
#include <thread>

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

// Marks the cluster's ClusterPeers and returns their names. If there is none but nodes hold back
// its prefixes, creates a marked one.
Result<std::vector<api::ObjectKey>> mark(Session& session, const std::string& cluster) {
  auto peers = session.list<api::ClusterPeer>();
  if (!peers) return fail(std::move(peers.error()));
  std::vector<api::ObjectKey> marked;
  for (auto& peer : *peers) {
    if (peer.spec.cluster_id != cluster) continue;
    if (!peer.spec.unpaired) {
      peer.spec.unpaired = true;
      if (const auto done = session.put(peer); !done) return fail(done.error());
    }
    marked.push_back(peer.meta.key);
  }
  if (!marked.empty()) return marked;
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
  marked.push_back(tombstone.meta.key);
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

Result<> unpair_one(Session& session, const std::string& cluster) {
  const auto marked = mark(session, cluster);
  if (!marked) return fail(marked.error());
  if (auto open = wait_until_open(session, cluster); !open) return open;
  for (const auto& key : *marked) {
    auto done = session.remove(api::Kind::kClusterPeer, key);
    if (!done && done.error().code != Errc::kNotFound) return done;
  }
  return {};
}

}  // namespace

int unpair(const Options& options, const std::string& cluster) {
  auto session = Session::open(options.store);
  if (!session) return tell(session.error());
  const auto done = unpair_one(**session, cluster);
  if (!done) return tell(done.error());
  fmt::print("cluster {} is no longer a peer; no node holds back its prefixes\n", cluster);
  return kOk;
}

int unpair_stores(const std::string& one, const std::string& other) {
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<std::string> ids;
  for (const auto& address : {one, other}) {
    auto session = Session::open(address);
    if (!session) return tell(session.error());
    auto id = (*session)->cluster_id();
    if (!id) return tell(id.error().context(address));
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
