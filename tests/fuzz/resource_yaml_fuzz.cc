// A resource file. Any bytes give an object of each kind or an error, never a crash. A decoded
// object encodes and reads back the same.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "api/dir/yaml.h"
#include "api/types/codec.h"

namespace {

template <typename T>
void round_trip(const nlohmann::json& body) {
  const auto object = cw::api::decode<T>(body);
  if (!object) return;
  const auto again = cw::api::decode<T>(cw::api::encode(*object));
  CW_CHECK(again.has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  using namespace cw::api;
  const auto body = parse_yaml({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!body) return 0;
  round_trip<ClusterPeer>(*body);
  round_trip<TunnelGateway>(*body);
  round_trip<RouteAgent>(*body);
  round_trip<RemoteExport>(*body);
  round_trip<ServiceExport>(*body);
  round_trip<ServiceImport>(*body);
  round_trip<ClusterProperty>(*body);
  round_trip<Service>(*body);
  round_trip<EndpointSlice>(*body);
  round_trip<Node>(*body);
  round_trip<Namespace>(*body);
  round_trip<Secret>(*body);
  round_trip<Lease>(*body);
  return 0;
}
