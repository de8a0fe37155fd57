// A kubeconfig: YAML from a user's home folder.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/kube/kubeconfig.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto* context : {"", "dev"}) (void)cw::api::kube::parse_kubeconfig(text, context, "/");
  return 0;
}
