#include "cli/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "api/dir/yaml.h"
#include "api/mcs/export_book.h"
#include "cli/pod_network.h"
#include "cli/resolve.h"
#include "cli/session.h"
#include "cli/status.h"

namespace cw::cli {

int tell(const Error& error) {
  fmt::print(stderr, "causewayctl: {}\n", error.text);
  return error.code == Errc::kInvalid ? kUsageError : kFailed;
}

Result<api::ObjectKey> service_key(const std::string& name) {
  const auto slash = name.find('/');
  const api::ObjectKey key{name.substr(0, std::min(slash, name.size())),
                           slash == std::string::npos ? "" : name.substr(slash + 1)};
  if (!api::is_dns_label(key.ns) || !api::is_dns_label(key.name)) {
    return fail(Errc::kInvalid, fmt::format("\"{}\" is not NAMESPACE/SERVICE", name));
  }
  return key;
}

namespace {

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
