// causewayctl pair: by files (export, accept), and of two or more stores at once.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <map>
#include <set>

#include "cli/commands.h"
#include "cli/mesh.h"
#include "cli/own_cluster.h"

namespace cw::cli {

namespace {

// The content of a file or of standard input. kInvalid: it cannot be read or exceeds 1 MiB.
Result<std::string> contents(const std::string& path) {
  constexpr std::size_t kMost = 1 << 20;
  const bool standard = path == "-";
  std::FILE* file = standard ? stdin : std::fopen(path.c_str(), "re");
  if (file == nullptr) return fail(Errc::kInvalid, errno_error(errno, path).text);
  std::string text(kMost + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  const bool broken = std::ferror(file) != 0;
  if (!standard) (void)std::fclose(file);  // opened for reading, so closing loses nothing
  if (broken) return fail(Errc::kInvalid, errno_error(errno, path).text);
  if (text.size() > kMost) return fail(Errc::kInvalid, path + ": larger than 1 MiB");
  return text;
}

Result<Sharing> sharing_of(const PairChoice& choice) {
  Sharing sharing;
  sharing.all = choice.share_all;
  for (const auto& name : choice.shares) {
    auto key = service_key(name);
    if (!key) return fail(std::move(key.error()).context("--share"));
    sharing.names.push_back(std::move(*key));
  }
  return sharing;
}

// Prints the fingerprints of a known cluster with other keys. Returns what to do.
Error other_keys(const api::ClusterPeer& peer, const api::ClusterPeer& known,
                 std::string_view way_out) {
  fmt::print(stderr, "fingerprints of cluster {}:\n{}", peer.spec.cluster_id,
             fingerprints_text(peer, &known));
  return {Errc::kInvalid,
          fmt::format("cluster {} is a peer with different keys: compare the fingerprints with its "
                      "administrator, then repeat the command with {}",
                      peer.spec.cluster_id, way_out)};
}

Result<> accept_into(Session& session, const api::ClusterPeer& peer, const PairChoice& choice) {
  const auto sharing = sharing_of(choice);
  if (!sharing) return fail(sharing.error());
  const auto own = own_cluster(session);
  if (!own) return fail(own.error());
  if (auto good = acceptable(peer, *own); !good) return good;
  const auto* known = known_peer(*own, peer.spec.cluster_id);
  if (known != nullptr && !choice.replace && !new_keys(*known, peer).empty()) {
    return fail(other_keys(peer, *known, "--replace"));
  }
  const auto wanted = accepted_peer(*own, peer, *sharing);
  const auto created = session.put(wanted);
  if (!created) return fail(created.error());
  fmt::print("cluster {} {} a peer of {}\n{}{}", peer.spec.cluster_id,
             *created ? "is now" : "is still", own->id, fingerprints_text(peer, known),
             imports_text(wanted.spec));
  return {};
}

// The prefixes of "CLUSTER=PREFIX", by cluster id.
Result<std::map<std::string, ExportChoice>> cidrs_by_cluster(const std::vector<std::string>& all) {
  std::map<std::string, ExportChoice> choices;
  for (const auto& text : all) {
    const auto cut = text.find('=');
    if (cut == std::string::npos) {
      return fail(Errc::kInvalid, fmt::format("--cidr: \"{}\" is not CLUSTER=PREFIX", text));
    }
    const auto prefix = Prefix::parse(text.substr(cut + 1));
    if (!prefix) return fail(prefix.error().context("--cidr"));
    choices[text.substr(0, cut)].cidrs.push_back(*prefix);
  }
  return choices;
}

// The stores of a mesh, opened, and what they say.
struct Mesh {
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<Member> members;
};

Result<Mesh> read_mesh(const std::vector<std::string>& stores, const PairChoice& choice) {
  auto cidrs = cidrs_by_cluster(choice.cidrs);
  if (!cidrs) return fail(std::move(cidrs.error()));
  Mesh mesh;
  for (const auto& address : stores) {
    auto session = Session::open(address);
    if (!session) return fail(std::move(session.error()));
    auto own = own_cluster(**session);
    if (!own) return fail(std::move(own.error()).context(address));
    const auto named = cidrs->extract(own->id);
    const auto how = named.empty() ? ExportChoice() : named.mapped();
    auto offer = offer_of(*own, how);
    if (!offer) return fail(std::move(offer.error()).context(address));
    fmt::print(stderr, "{}: {}", own->id, allowed_text(*own, how));
    mesh.sessions.push_back(std::move(*session));
    mesh.members.push_back({address, std::move(*own), std::move(*offer)});
  }
  if (!cidrs->empty()) {
    return fail(Errc::kInvalid,
                fmt::format("--cidr: none of the clusters is {}", cidrs->begin()->first));
  }
  return mesh;
}

// Writes one side, if there is something to write, and says what changed.
Result<> write_side(Session& session, const Member& side, const Pairing& pairing) {
  const auto& id = pairing.wanted.spec.cluster_id;
  if (pairing.known != nullptr && pairing.changes.empty()) {
    fmt::print("cluster {} is still a peer of {}: nothing changed\n", id, side.own.id);
    return {};
  }
  if (auto done = session.put(pairing.wanted); !done) return fail(std::move(done.error()));
  if (pairing.known == nullptr) {
    fmt::print("cluster {} is now a peer of {}\n{}{}", id, side.own.id,
               fingerprints_text(pairing.wanted), imports_text(pairing.wanted.spec));
    return {};
  }
  fmt::print("cluster {} is still a peer of {}, and up to date now:\n", id, side.own.id);
  for (const auto& line : pairing.changes) fmt::print("  {}\n", line);
  if (pairing.known->spec.imports != pairing.wanted.spec.imports) {
    fmt::print("{}", imports_text(pairing.wanted.spec));
  }
  return {};
}

// Writes every side. A store that fails once is not asked again, and the others are still written.
int write_all(const Mesh& mesh, const std::vector<Pairing>& plan, const std::string& again) {
  std::set<std::size_t> failed;
  std::vector<std::string> left;
  for (const auto& pairing : plan) {
    const auto& side = mesh.members[pairing.side];
    if (failed.count(pairing.side) == 0) {
      const auto done = write_side(*mesh.sessions[pairing.side], side, pairing);
      (void)std::fflush(stdout);  // before a message on standard error
      if (done) continue;
      failed.insert(pairing.side);
      (void)tell(done.error().context(side.address));
    }
    left.push_back(fmt::format("{} at {}", pairing.wanted.spec.cluster_id, side.own.id));
  }
  if (left.empty()) return kOk;
  return tell({Errc::kUnavailable, fmt::format("not written: {}. What is written stays. Repeat: {}",
                                               fmt::join(left, ", "), again)});
}

// The command line that does the same again.
std::string command_of(const std::vector<std::string>& stores, const PairChoice& choice) {
  std::string text = "causewayctl pair";
  if (choice.refresh) text += " --refresh";
  if (choice.replace) text += " --replace";
  if (choice.keep_endpoints) text += " --keep-endpoints";
  if (choice.share_all) text += " --share-all";
  for (const auto& name : choice.shares) text += " --share " + name;
  for (const auto& cidr : choice.cidrs) text += " --cidr " + cidr;
  return fmt::format("{} {}", text, fmt::join(stores, " "));
}

}  // namespace

int pair_export(const Options& options, const std::vector<std::string>& cidrs,
                bool without_endpoints) {
  ExportChoice choice{{}, without_endpoints};
  for (const auto& text : cidrs) {
    const auto prefix = Prefix::parse(text);
    if (!prefix) return tell(prefix.error().context("--cidr"));
    choice.cidrs.push_back(*prefix);
  }
  auto session = Session::open(options.store);
  if (!session) return tell(session.error());
  const auto own = own_cluster(**session);
  if (!own) return tell(own.error());
  const auto peer = peer_of(*own, choice);
  if (!peer) return tell(peer.error());
  fmt::print("{}", peer_yaml(*peer));
  (void)std::fflush(stdout);  // before the fingerprints, in case both go to one terminal
  fmt::print(stderr, "{}", allowed_text(*own, choice));
  fmt::print(stderr, "fingerprints, for the administrator of the other cluster to compare:\n{}",
             fingerprints_text(*peer));
  return kOk;
}

int pair_accept(const Options& options, const std::string& file, const PairChoice& choice) {
  const auto text = contents(file);
  if (!text) return tell(text.error());
  const auto peer = parse_peer(*text, file == "-" ? "standard input" : file);
  if (!peer) return tell(peer.error());
  auto session = Session::open(options.store);
  if (!session) return tell(session.error());
  const auto accepted = accept_into(**session, *peer, choice);
  return accepted ? kOk : tell(accepted.error());
}

int pair_stores(const std::vector<std::string>& stores, const PairChoice& choice) {
  auto sharing = sharing_of(choice);
  if (!sharing) return tell(sharing.error());
  const auto mesh = read_mesh(stores, choice);
  if (!mesh) return tell(mesh.error());
  const auto plan =
      mesh_of(mesh->members, {choice.refresh, choice.keep_endpoints, std::move(*sharing)});
  if (!plan) return tell(plan.error());
  // Who refreshes has read the keys from both clusters' own stores, and asks for them.
  if (!choice.refresh && !choice.replace) {
    std::optional<Error> refused;
    for (const auto& [side, other] : changed_keys(mesh->members)) {
      const auto& peer = mesh->members[other].offer.peer;
      const auto* known = known_peer(mesh->members[side].own, peer.spec.cluster_id);
      refused = other_keys(peer, *known, "--refresh").context(mesh->members[side].address);
    }
    if (refused) return tell(*refused);
  }
  return write_all(*mesh, *plan, command_of(stores, choice));
}

}  // namespace cw::cli
