// `causewayctl resolve`: the clusters and endpoints that a clusterset.local name leads to, seen
// from this cluster, and the reasons why others do not answer. It reads the objects that discovery
// reads, and asks no DNS server. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/cluster_peer.h"
#include "api/types/export_record.h"
#include "api/types/remote_export.h"
#include "api/types/service_import.h"

namespace cw::cli {

// "web.shop.svc.clusterset.local", "web-0.east.web.shop.svc.clusterset.local", in any case and with
// or without a final dot, or "shop/web".
struct Name {
  api::ObjectKey service;
  std::string cluster;   // empty: any
  std::string hostname;  // empty: any
  friend bool operator==(const Name&, const Name&) = default;
};
[[nodiscard]] Result<Name> parse_name(std::string_view text);

struct ResolveInputs {
  std::string cluster;                   // this cluster's id
  std::optional<api::ExportRecord> own;  // this cluster's export of the Service, if valid
  std::string own_problem;               // why that export is not valid; may be empty
  bool exported = false;  // this cluster has a ServiceExport of the name, valid or not
  std::vector<api::RemoteExport> remote;     // exports of the Service by other clusters
  std::optional<api::ServiceImport> import;  // discovery's result
  std::vector<api::ClusterPeer> peers;
};

struct EndpointAnswer {
  std::string hostname;
  std::vector<IpAddress> addresses;
  bool answers = false;
  std::string why_not;  // empty if it answers
  friend bool operator==(const EndpointAnswer&, const EndpointAnswer&) = default;
};
struct ClusterAnswer {
  std::string cluster;
  std::string state;  // "this cluster", "connected", "stale: ...", "not imported: ..."
  std::vector<EndpointAnswer> endpoints;
  friend bool operator==(const ClusterAnswer&, const ClusterAnswer&) = default;
};
struct Resolution {
  Name name;
  std::string type;              // "ClusterSetIP", "Headless"; empty: no cluster exports it
  std::vector<std::string> ips;  // of the ServiceImport
  std::vector<ClusterAnswer> clusters;
  std::vector<std::string> notes;  // other reasons why the name may not work
  [[nodiscard]] bool answers() const;
};

[[nodiscard]] Resolution resolve(const Name& name, const ResolveInputs& in);
[[nodiscard]] std::string resolution_text(const Resolution& found, bool colours);
[[nodiscard]] nlohmann::ordered_json resolution_tree(const Resolution& found);

}  // namespace cw::cli
