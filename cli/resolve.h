// `causewayctl resolve`: which clusters and endpoints a clusterset.local name leads to from here,
// and why not to others. It reads the objects that discovery reads; it asks no DNS server. Pure.
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

// "web.shop.svc.clusterset.local", "web-0.east.web.shop.svc.clusterset.local", with or without a
// last dot, any case; or "shop/web".
struct Name {
  api::ObjectKey service;
  std::string cluster;   // empty: any
  std::string hostname;  // empty: any
  friend bool operator==(const Name&, const Name&) = default;
};
[[nodiscard]] Result<Name> parse_name(std::string_view text);

struct ResolveInputs {
  std::string cluster;                       // this one's id
  std::optional<api::ExportRecord> own;      // its own export of the Service, if valid
  std::string own_problem;                   // why its own export is not valid; may be empty
  bool exported = false;                     // it has a ServiceExport of the name, valid or not
  std::vector<api::RemoteExport> remote;     // others' exports of the Service
  std::optional<api::ServiceImport> import;  // what discovery made of them
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
  std::string type;              // "ClusterSetIP", "Headless"; empty: nobody exports it
  std::vector<std::string> ips;  // of the ServiceImport
  std::vector<ClusterAnswer> clusters;
  std::vector<std::string> notes;  // anything else that stands in the way
  [[nodiscard]] bool answers() const;
};

[[nodiscard]] Resolution resolve(const Name& name, const ResolveInputs& in);
[[nodiscard]] std::string resolution_text(const Resolution& found, bool colours);
[[nodiscard]] nlohmann::ordered_json resolution_tree(const Resolution& found);

}  // namespace cw::cli
