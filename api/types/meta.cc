#include "api/types/meta.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/error.h"

namespace cw::api {

namespace {

constexpr std::string_view kOurs = "causeway.dev/v1alpha1";
constexpr std::array<KindInfo, 27> kKinds = {{
    {Kind::kClusterPeer, "ClusterPeer", "clusterpeers", kOurs, false},
    {Kind::kTunnelGateway, "TunnelGateway", "tunnelgateways", kOurs, false},
    {Kind::kRouteAgent, "RouteAgent", "routeagents", kOurs, false},
    {Kind::kRemoteExport, "RemoteExport", "remoteexports", kOurs, true},
    {Kind::kServiceExport, "ServiceExport", "serviceexports", "multicluster.x-k8s.io/v1beta1",
     true},
    {Kind::kServiceImport, "ServiceImport", "serviceimports", "multicluster.x-k8s.io/v1beta1",
     true},
    {Kind::kClusterProperty, "ClusterProperty", "clusterproperties", "about.k8s.io/v1beta1", false},
    {Kind::kService, "Service", "services", "v1", true},
    {Kind::kServiceCidr, "ServiceCIDR", "servicecidrs", "networking.k8s.io/v1", false},
    {Kind::kEndpointSlice, "EndpointSlice", "endpointslices", "discovery.k8s.io/v1", true},
    {Kind::kNode, "Node", "nodes", "v1", false},
    {Kind::kNamespace, "Namespace", "namespaces", "v1", false},
    {Kind::kSecret, "Secret", "secrets", "v1", true},
    {Kind::kLease, "Lease", "leases", "coordination.k8s.io/v1", true},
    {Kind::kEvent, "Event", "events", "v1", true},
    {Kind::kConfigMap, "ConfigMap", "configmaps", "v1", true},
    {Kind::kCalicoBlockV1, "BlockAffinity", "blockaffinities", "crd.projectcalico.org/v1", false,
     true},
    {Kind::kCalicoBlockV3, "BlockAffinity", "blockaffinities", "projectcalico.org/v3", false, true},
    {Kind::kCalicoPoolV1, "IPPool", "ippools", "crd.projectcalico.org/v1", false, true},
    {Kind::kCalicoPoolV3, "IPPool", "ippools", "projectcalico.org/v3", false, true},
    {Kind::kCalicoIpamBlockV1, "IPAMBlock", "ipamblocks", "crd.projectcalico.org/v1", false, true},
    {Kind::kCalicoIpamBlockV3, "IPAMBlock", "ipamblocks", "projectcalico.org/v3", false, true},
    {Kind::kCalicoIpamConfigV1, "IPAMConfig", "ipamconfigs", "crd.projectcalico.org/v1", false,
     true},
    {Kind::kCalicoIpamConfigV3, "IPAMConfiguration", "ipamconfigurations", "projectcalico.org/v3",
     false, true},
    {Kind::kCiliumNode, "CiliumNode", "ciliumnodes", "cilium.io/v2", false, true},
    {Kind::kNodeNetworkConfig, "NodeNetworkConfig", "nodenetworkconfigs", "acn.azure.com/v1alpha",
     true, true},
    {Kind::kOpenShiftNetwork, "Network", "networks", "config.openshift.io/v1", false, true},
}};

}  // namespace

const KindInfo& info(Kind kind) {
  const auto* found =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& k) { return k.kind == kind; });
  CW_CHECK(found != kKinds.end());
  return *found;
}

std::span<const KindInfo> all_kinds() { return kKinds; }

bool set_condition(std::vector<Condition>& conditions, Condition next, WallTime now) {
  next.last_transition = std::chrono::floor<std::chrono::seconds>(now);
  const auto found = std::find_if(conditions.begin(), conditions.end(),
                                  [&](const auto& c) { return c.type == next.type; });
  if (found == conditions.end()) {
    conditions.push_back(std::move(next));
    return true;
  }
  if (found->status == next.status) next.last_transition = found->last_transition;
  if (*found == next) return false;
  *found = std::move(next);
  return true;
}

const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type) {
  const auto found = std::find_if(conditions.begin(), conditions.end(),
                                  [&](const auto& c) { return c.type == type; });
  return found == conditions.end() ? nullptr : &*found;
}

std::string format_time(WallTime time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(whole.count())));
}

namespace {

// The number in `count` digits at `at`; -1: these are no digits.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

// RFC 3339: seconds, an optional fraction, "Z" or a numeric offset.
Result<WallTime> parse_time(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::kInvalid, fmt::format("\"{}\" is not an RFC 3339 time", text.substr(0, 40)));
  };
  const int year = digits(text, 0, 4);
  const int month = digits(text, 5, 2);
  const int day = digits(text, 8, 2);
  const int hour = digits(text, 11, 2);
  const int minute = digits(text, 14, 2);
  const int second = digits(text, 17, 2);
  if (std::min({year, month, day, hour, minute, second}) < 0 || text[4] != '-' || text[7] != '-' ||
      text[10] != 'T' || text[13] != ':' || text[16] != ':' || hour > 23 || minute > 59 ||
      second > 60) {
    return bad();
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || year < 1970 || year > 2200) return bad();
  std::size_t at = 19;
  std::int64_t nanos = 0;
  if (at < text.size() && text[at] == '.') {
    std::int64_t unit = 100'000'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      nanos += (text[at] - '0') * unit;
    }
  }
  std::chrono::minutes offset{0};
  const auto zone = text.substr(std::min(at, text.size()));
  if (zone != "Z") {
    const int hours = digits(zone, 1, 2);
    const int minutes = digits(zone, 4, 2);
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' || hours < 0 ||
        hours > 23 || minutes < 0 || minutes > 59) {
      return bad();
    }
    offset = std::chrono::minutes(hours * 60 + minutes) * (zone[0] == '+' ? 1 : -1);
  }
  return WallTime(std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
                  std::chrono::minutes(minute) + std::chrono::seconds(second) - offset +
                  std::chrono::nanoseconds(nanos));
}

bool is_dns_label(std::string_view text) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= 63 && alnum(text.front()) && alnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return alnum(c) || c == '-'; });
}

}  // namespace cw::api
