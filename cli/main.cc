// causewayctl: maps flags to commands. Exit codes: 0, 1 (it failed, or the answer is no), 2
// (usage).
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "cli/commands.h"
#include "cli/lifecycle.h"

namespace {

using cw::cli::Format;
using cw::cli::Options;

constexpr const char* kExamples = R"(
Examples:
  causewayctl --store dir:/var/lib/causeway pair export > east.yaml
  causewayctl --store dir:/var/lib/causeway pair accept east.yaml
  causewayctl pair east west south
  causewayctl pair --refresh east west
  causewayctl pair dir:/stores/east dir:/stores/west
  causewayctl export data/postgres
  causewayctl status --watch
  causewayctl resolve postgres.data.svc.clusterset.local

A store is dir:/path, kube:[KUBECONFIG][#CONTEXT], or a context of your kubeconfig. Give it with
--store or in the environment variable CAUSEWAY_STORE. If KUBECONFIG is set, the default is the
current context.)";

// The values of the command line, before a command runs.
struct Flags {
  Options options;
  std::string format = "table";
  std::vector<std::string> cidrs;
  std::vector<std::string> stores;
  std::string argument;
  cw::cli::Release release;
  cw::cli::PairChoice pair;
  bool without_endpoints = false;
  bool watch = false;
  std::function<int()> command;
};

void add_pair_choice(CLI::App& command, Flags& flags) {
  command.add_flag("--replace", flags.pair.replace,
                   "accept new keys of a known peer (compare the fingerprints first)");
  command
      .add_option("--share", flags.pair.shares,
                  "NAMESPACE/SERVICE that both clusters export as one Service; may be repeated")
      ->allow_extra_args(false);
  command.add_flag("--share-all", flags.pair.share_all,
                   "share every name that both clusters export (the MCS API's own behaviour)");
}

// The flags of `pair` with stores.
void add_mesh_choice(CLI::App& command, Flags& flags) {
  constexpr int kMostClusters = 64;
  command.add_option("stores", flags.stores, "two or more clusters: kubeconfig contexts or stores")
      ->expected(1, kMostClusters);
  add_pair_choice(command, flags);
  command
      .add_flag("--refresh", flags.pair.refresh,
                "bring known peers up to date: allowed prefixes, gateways, keys, endpoints")
      ->excludes("--share")
      ->excludes("--share-all");
  command.add_flag("--keep-endpoints", flags.pair.keep_endpoints,
                   "leave the endpoints of known gateways as they are");
  command
      .add_option("--cidr", flags.pair.cidrs,
                  "CLUSTER=PREFIX to allow instead of that cluster's ranges; may be repeated")
      ->allow_extra_args(false);
}

void add_pair(CLI::App& app, Flags& flags) {
  auto* pair = app.add_subcommand("pair", "join clusters: `pair STORE STORE...`, or by files");
  pair->require_subcommand(0, 1);
  add_mesh_choice(*pair, flags);
  pair->callback([&flags, pair] {
    if (!pair->get_subcommands().empty()) {
      if (!flags.pair.refresh && !flags.pair.keep_endpoints && flags.pair.cidrs.empty()) return;
      throw CLI::ValidationError("pair",
                                 "--refresh, --keep-endpoints and CLUSTER=PREFIX need stores");
    }
    if (flags.stores.size() < 2) {
      throw CLI::ValidationError("pair", "needs `export`, `accept FILE`, or two or more stores");
    }
    flags.command = [&flags] { return cw::cli::pair_stores(flags.stores, flags.pair); };
  });
  auto* out = pair->add_subcommand("export", "print this cluster as a ClusterPeer for others");
  out->add_option("--cidr", flags.cidrs, "prefix to claim instead of the nodes' pod prefixes");
  out->add_flag("--without-endpoints", flags.without_endpoints,
                "leave endpoints out: this cluster cannot be reached from outside");
  out->callback([&flags] {
    flags.command = [&flags] {
      return cw::cli::pair_export(flags.options, flags.cidrs, flags.without_endpoints);
    };
  });
  auto* in =
      pair->add_subcommand("accept", "make another cluster's ClusterPeer a peer of this one");
  in->add_option("file", flags.argument, "YAML or JSON file; - is standard input")->required();
  add_pair_choice(*in, flags);
  in->callback([&flags] {
    flags.command = [&flags] {
      return cw::cli::pair_accept(flags.options, flags.argument, flags.pair);
    };
  });
}

void add_unpair(CLI::App& app, Flags& flags) {
  auto* command =
      app.add_subcommand("unpair", "end a pairing: `unpair CLUSTER` or `unpair STORE STORE`");
  command->add_option("clusters", flags.stores, "the peer's id, or two contexts or stores")
      ->required()
      ->expected(1, 2);
  command->callback([&flags] {
    if (flags.stores.size() == 2) {
      flags.command = [&flags] { return cw::cli::unpair_stores(flags.stores[0], flags.stores[1]); };
    } else {
      flags.argument = flags.stores[0];
      flags.stores.clear();  // so that a missing --store is reported
      flags.command = [&flags] { return cw::cli::unpair(flags.options, flags.argument); };
    }
  });
}

// For the chart's hooks. Not shown in the help.
void add_lifecycle(CLI::App& app, Flags& flags) {
  auto* command = app.add_subcommand("lifecycle", "a step of the Helm chart's hooks")->group("");
  command->add_option("step", flags.argument)->required();
  command->add_option("--release", flags.release.name);
  command->add_option("--namespace", flags.release.ns);
  command->add_option("--dns-namespace", flags.release.dns_ns);
  command->add_option("--dns-config", flags.release.dns_config);
  command->add_option("--dns-service", flags.release.dns_service);
  command->add_option("--gateways", flags.release.gateways)->check(CLI::Range(1, 65536));
  command->add_option("--crds", flags.release.crds);
  command->callback([&flags] {
    flags.stores = {"kube:"};  // it always uses the API server of its pod
    flags.command = [&flags] { return cw::cli::lifecycle(flags.argument, flags.release); };
  });
}

// Adds a command with one argument.
void add_simple(CLI::App& app, Flags& flags, const char* name, const char* about,
                const char* argument, int (*run)(const Options&, const std::string&)) {
  auto* command = app.add_subcommand(name, about);
  command->add_option(argument, flags.argument)->required();
  command->callback([&flags, run] {
    flags.command = [&flags, run] { return run(flags.options, flags.argument); };
  });
}

void add_format(CLI::App& command, Flags& flags) {
  command.add_option("-o,--output", flags.format, "table, json or yaml")
      ->check(CLI::IsMember({"table", "json", "yaml"}));
}

void add_all(CLI::App& app, Flags& flags) {
  app.footer(kExamples);
  app.set_version_flag("--version", std::string("causewayctl ") + CW_VERSION);
  app.fallthrough();
  app.require_subcommand(0, 1);  // a missing command is reported below, after unknown words
  app.add_option("--store", flags.options.store, "the cluster's store, e.g. dir:/var/lib/causeway")
      ->envname("CAUSEWAY_STORE");
  add_pair(app, flags);
  add_unpair(app, flags);
  add_lifecycle(app, flags);
  add_simple(app, flags, "export", "export a Service to all peers", "namespace/service",
             cw::cli::export_service);
  add_simple(app, flags, "unexport", "stop exporting a Service", "namespace/service",
             cw::cli::unexport_service);
  add_simple(app, flags, "drain", "make a gateway hand over its traffic", "gateway",
             cw::cli::drain);
  add_simple(app, flags, "undrain", "take a drained gateway back into service", "gateway",
             cw::cli::undrain);
  auto* status = app.add_subcommand("status", "show clusters, gateways, tunnels and nodes");
  status->add_flag("-w,--watch", flags.watch, "repeat every second until interrupted");
  add_format(*status, flags);
  status->callback([&flags] {
    flags.command = [&flags] { return cw::cli::show_status(flags.options, flags.watch); };
  });
  add_simple(app, flags, "resolve", "show which clusters and endpoints a name leads to, and why",
             "name", cw::cli::resolve_name);
  add_format(*app.get_subcommand("resolve"), flags);
}

int tell(const std::string& text) {
  fmt::print(stderr, "causewayctl: {}\n", text);
  return cw::cli::kUsageError;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Operates Causeway: pairs clusters, exports Services, shows the state.",
               "causewayctl");
  Flags flags;
  add_all(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& problem) {
    return tell(std::string(problem.what()) + " (see causewayctl --help)");
  }
  if (!flags.command) return tell("no command (see causewayctl --help)");
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread
  const auto* kubeconfig = std::getenv("KUBECONFIG");
  if (flags.options.store.empty() && kubeconfig != nullptr && *kubeconfig != '\0') {
    flags.options.store = "kube:";
  }
  if (flags.options.store.empty() && flags.stores.empty()) {
    return tell("no store: give --store dir:/path or set CAUSEWAY_STORE");
  }
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread
  const auto* no_color = std::getenv("NO_COLOR");
  flags.options.colours =
      ::isatty(STDOUT_FILENO) != 0 && (no_color == nullptr || *no_color == '\0');
  flags.options.format = flags.format == "json"   ? Format::kJson
                         : flags.format == "yaml" ? Format::kYaml
                                                  : Format::kTable;
  return flags.command();
}
