// Answers of an API server: list pages, objects, watch streams, error bodies, exec credentials.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/kube/answer.h"
#include "api/kube/kubeconfig.h"
#include "api/kube/lines.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cw::api;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)kube::parse_page(Kind::kService, text);
  (void)kube::parse_object(Kind::kClusterPeer, text);
  (void)kube::parse_exec_credential(text);
  (void)kube::error_of(409, text, "fuzz");
  // The stream, cut at a place that the input chooses.
  kube::Lines lines(4096);
  const auto take = [](std::string_view line) {
    (void)kube::parse_event(Kind::kService, line);
    return true;
  };
  const auto cut = size == 0 ? 0 : data[0] % size;
  if (lines.feed(text.substr(0, cut), take)) (void)lines.feed(text.substr(cut), take);
  return 0;
}
