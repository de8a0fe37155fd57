// A kubeconfig: YAML from a user's home folder.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/kube/kubeconfig.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto contexts = cw::api::kube::kubeconfig_contexts(text);
  (void)cw::api::kube::parse_kubeconfig(text, "", "/");
  if (contexts && !contexts->empty()) {
    (void)cw::api::kube::parse_kubeconfig(text, contexts->front(), "/");
  }
  return 0;
}
