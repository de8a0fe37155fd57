#include "cli/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "api/dir/yaml.h"
#include "api/mcs/export_book.h"
#include "cli/pair.h"
#include "cli/pod_network.h"
#include "cli/resolve.h"
#include "cli/session.h"
#include "cli/status.h"

namespace cw::cli {

int tell(const Error& error) {
  fmt::print(stderr, "causewayctl: {}\n", error.text);
  return error.code == Errc::kInvalid ? kUsageError : kFailed;
}

namespace {

// Reads all objects of each list's kind, until the first error.
template <typename... T>
Result<> read_all(Session& session, std::vector<T>&... lists) {
  Result<> good;
  const auto read = [&]<typename One>(std::vector<One>& list) {
    auto found = session.list<One>();
    if (found) {
      list = std::move(*found);
    } else {
      good = fail(std::move(found.error()));
    }
    return good.has_value();
  };
  (void)(read(lists) && ...);
  return good;
}

Result<OwnCluster> own_cluster(Session& session) {
  OwnCluster own;
  auto id = session.cluster_id();
  if (!id) return fail(std::move(id.error()));
  own.id = std::move(*id);
  std::vector<api::Service> services;
  std::vector<api::EndpointSlice> slices;
  auto good = read_all(session, own.gateways, own.peers, services, slices);
  if (!good) return fail(std::move(good.error()));
  auto network = pod_network_objects(session);
  if (!network) return fail(std::move(network.error()));
  for (const auto& [key, node] : network->nodes) own.nodes.push_back(*node);
  own.pods = prefixes::pod_network(*network).all();
  own.ranges = prefixes::ranges_of(*network);
  const auto ranges = session.list<api::ServiceCidr>();
  // Kubernetes before 1.33 has no ServiceCIDRs.
  if (!ranges && ranges.error().code != Errc::kNotFound) return fail(ranges.error());
  if (ranges) {
    for (const auto& range : *ranges) {
      own.services.insert(own.services.end(), range.cidrs.begin(), range.cidrs.end());
    }
  }
  for (const auto& service : services) {
    for (const auto& ip : api::addresses_of(service.spec.cluster_ips)) {
      own.services.push_back(Prefix::host(ip));
    }
  }
  for (const auto& slice : slices) {
    if (!api::of_api_server(slice)) continue;
    for (const auto& endpoint : slice.endpoints) {
      own.api_servers.insert(own.api_servers.end(), endpoint.addresses.begin(),
                             endpoint.addresses.end());
    }
  }
  return own;
}

const api::ClusterPeer* known_peer(const OwnCluster& own, const std::string& cluster) {
  for (const auto& peer : own.peers) {
    if (peer.spec.cluster_id == cluster && !peer.spec.unpaired) return &peer;
  }
  return nullptr;
}

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

// Parses "NAMESPACE/SERVICE".
Result<api::ObjectKey> service_key(const std::string& name) {
  const auto slash = name.find('/');
  const api::ObjectKey key{name.substr(0, std::min(slash, name.size())),
                           slash == std::string::npos ? "" : name.substr(slash + 1)};
  if (!api::is_dns_label(key.ns) || !api::is_dns_label(key.name)) {
    return fail(Errc::kInvalid, fmt::format("\"{}\" is not NAMESPACE/SERVICE", name));
  }
  return key;
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

// Whether this cluster may accept `peer`: its content, and its keys if the cluster is a peer
// already.
Result<> may_accept(const OwnCluster& own, const api::ClusterPeer& peer, const PairChoice& choice) {
  if (auto sharing = sharing_of(choice); !sharing) return fail(std::move(sharing.error()));
  if (auto good = acceptable(peer, own); !good) return good;
  const auto* known = known_peer(own, peer.spec.cluster_id);
  if (known == nullptr || choice.replace || new_keys(*known, peer).empty()) return {};
  fmt::print(stderr, "fingerprints of cluster {}:\n{}", peer.spec.cluster_id,
             fingerprints_text(peer, known));
  return fail(
      Errc::kInvalid,
      fmt::format("cluster {} is a peer with different keys: compare the fingerprints with its "
                  "administrator, then repeat the command with --replace",
                  peer.spec.cluster_id));
}

Result<> accept_into(Session& session, const api::ClusterPeer& peer, const PairChoice& choice) {
  auto own = own_cluster(session);
  if (!own) return fail(std::move(own.error()));
  if (auto good = may_accept(*own, peer, choice); !good) return good;
  api::ClusterPeer fresh;  // only the fields that pairing sets
  fresh.meta.key.name = peer.meta.key.name;
  fresh.spec = peer.spec;
  fresh.spec.imports.reset();              // this cluster decides what it imports, not the file
  for (const auto& before : own->peers) {  // keep what this side has added
    if (before.meta.key != fresh.meta.key) continue;
    fresh.meta.labels = before.meta.labels;
    fresh.meta.annotations = before.meta.annotations;
    fresh.spec.imports = before.spec.imports;
    if (fresh.spec.preshared_key_secret.empty()) {
      fresh.spec.preshared_key_secret = before.spec.preshared_key_secret;
    }
  }
  auto sharing = sharing_of(choice);
  if (!sharing) return fail(std::move(sharing.error()));
  fresh.spec.imports = imports_with(std::move(fresh.spec.imports), *sharing);
  const auto created = session.put(fresh);
  if (!created) return fail(created.error());
  fmt::print("cluster {} {} a peer of {}\n{}{}", peer.spec.cluster_id,
             *created ? "is now" : "is still", own->id,
             fingerprints_text(peer, known_peer(*own, peer.spec.cluster_id)),
             imports_text(fresh.spec));
  return {};
}

void print_tree(const nlohmann::ordered_json& tree, Format format) {
  if (format == Format::kYaml) {
    fmt::print("{}", api::to_yaml(tree));
  } else {
    fmt::print("{}\n", tree.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
}

Result<StatusInputs> status_inputs(Session& session) {
  StatusInputs in;
  auto id = session.cluster_id();
  if (!id) return fail(std::move(id.error()));
  in.cluster = std::move(*id);
  auto good = read_all(session, in.peers, in.gateways, in.agents, in.exports);
  if (!good) return fail(std::move(good.error()));
  in.problems = session.problems();
  in.now = session.loop().wall_now();
  return in;
}

Result<> print_status(const Options& options) {
  auto session = Session::open(options.store);
  if (!session) return fail(std::move(session.error()));
  const auto in = status_inputs(**session);
  if (!in) return fail(in.error());
  if (options.format == Format::kTable) {
    fmt::print("{}", status_text(*in, options.colours));
  } else {
    print_tree(status_tree(*in), options.format);
  }
  (void)std::fflush(stdout);  // a broken pipe ends the process with SIGPIPE
  return {};
}

// Reads this cluster's own export of the Service: the record, or why there is none.
Result<> own_export(Session& session, const api::ObjectKey& key, ResolveInputs& in) {
  auto wanted = session.get<api::ServiceExport>(key);
  if (!wanted) return fail(std::move(wanted.error()));
  if (!*wanted) return {};
  in.exported = true;
  auto service = session.get<api::Service>(key);
  if (!service) return fail(std::move(service.error()));
  std::vector<api::EndpointSlice> slices;
  if (auto good = read_all(session, slices); !good) return good;
  const auto network = pod_network_objects(session);
  if (!network) return fail(network.error());
  api::ExportBook book;
  book.note(key, std::make_shared<const api::ServiceExport>(std::move(**wanted)));
  if (*service) book.note(key, std::make_shared<const api::Service>(std::move(**service)));
  for (auto& slice : slices) {
    const auto name = slice.meta.key;
    book.note(name, std::make_shared<const api::EndpointSlice>(std::move(slice)));
  }
  (void)book.settle(in.cluster, prefixes::pod_network(*network).all());
  const auto& entry = book.entries().at(key);
  if (entry.record != nullptr) in.own = *entry.record;
  if (!in.own) in.own_problem = entry.valid.message;
  return {};
}

Result<ResolveInputs> resolve_inputs(Session& session, const api::ObjectKey& key) {
  ResolveInputs in;
  auto id = session.cluster_id();
  if (!id) return fail(std::move(id.error()));
  in.cluster = std::move(*id);
  auto good = read_all(session, in.peers, in.remote);
  if (!good) return fail(std::move(good.error()));
  std::erase_if(in.remote, [&](const auto& remote) { return remote.spec.service != key; });
  auto import = session.get<api::ServiceImport>(key);
  if (!import) return fail(std::move(import.error()));
  in.import = std::move(*import);
  if (auto read = own_export(session, key, in); !read) return fail(std::move(read.error()));
  return in;
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

int pair_stores(const std::string& one, const std::string& other, const PairChoice& choice) {
  // Read and check both sides before writing either.
  const std::string addresses[] = {one, other};
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<OwnCluster> clusters;
  std::vector<api::ClusterPeer> peers;
  for (const auto& address : addresses) {
    auto session = Session::open(address);
    if (!session) return tell(session.error());
    auto own = own_cluster(**session);
    if (!own) return tell(own.error().context(address));
    auto peer = peer_of(*own, {});
    if (!peer) return tell(peer.error().context(address));
    fmt::print(stderr, "{}: {}", own->id, allowed_text(*own, {}));
    sessions.push_back(std::move(*session));
    clusters.push_back(std::move(*own));
    peers.push_back(std::move(*peer));
  }
  for (std::size_t side = 0; side < 2; ++side) {
    const auto good = may_accept(clusters[side], peers[1 - side], choice);
    if (!good) return tell(good.error().context(addresses[side]));
  }
  for (std::size_t side = 0; side < 2; ++side) {
    const auto done = accept_into(*sessions[side], peers[1 - side], choice);
    if (!done) return tell(done.error().context(addresses[side]));
  }
  return kOk;
}

int export_service(const Options& options, const std::string& name) {
  const auto key = service_key(name);
  if (!key) return tell(key.error());
  auto session = Session::open(options.store);
  if (!session) return tell(session.error());
  const auto service = (*session)->get<api::Service>(*key);
  if (!service) return tell(service.error());
  if (!*service) return tell({Errc::kNotFound, fmt::format("there is no Service {}", name)});
  const auto before = (*session)->get<api::ServiceExport>(*key);
  if (!before) return tell(before.error());
  if (!*before) {
    api::ServiceExport wanted;
    wanted.meta.key = *key;
    const auto done = (*session)->put(wanted);
    if (!done) return tell(done.error());
  }
  fmt::print("{} {} exported as {}.{}.svc.clusterset.local\n", name, *before ? "is already" : "is",
             key->name, key->ns);
  return kOk;
}

int unexport_service(const Options& options, const std::string& name) {
  const auto key = service_key(name);
  if (!key) return tell(key.error());
  auto session = Session::open(options.store);
  if (!session) return tell(session.error());
  const auto done = (*session)->remove(api::Kind::kServiceExport, *key);
  if (!done && done.error().code == Errc::kNotFound) {
    return tell({Errc::kNotFound, fmt::format("{} is not exported", name)});
  }
  if (!done) return tell(done.error());
  fmt::print("{} is no longer exported\n", name);
  return kOk;
}

int show_status(const Options& options, bool watch) {
  if (!watch) {
    const auto shown = print_status(options);
    return shown ? kOk : tell(shown.error());
  }
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  EventLoop loop;
  const auto show = [&] {
    if (terminal) fmt::print("\x1b[H\x1b[2J");
    // Keep watching while the store is unavailable.
    if (const auto shown = print_status(options); !shown) (void)tell(shown.error());
  };
  const auto on_int = loop.on_signal(SIGINT, [&] { loop.stop(); });
  const auto on_term = loop.on_signal(SIGTERM, [&] { loop.stop(); });
  show();
  const auto again = loop.every(std::chrono::seconds(1), show);
  loop.run();
  return kOk;
}

int resolve_name(const Options& options, const std::string& text) {
  const auto name = parse_name(text);
  if (!name) return tell(name.error());
  auto session = Session::open(options.store);
  if (!session) return tell(session.error());
  const auto in = resolve_inputs(**session, name->service);
  if (!in) return tell(in.error());
  const auto found = resolve(*name, *in);
  if (options.format == Format::kTable) {
    fmt::print("{}", resolution_text(found, options.colours));
  } else {
    print_tree(resolution_tree(found), options.format);
  }
  return found.answers() ? kOk : kFailed;
}

}  // namespace cw::cli
