#include "api/types/codec.h"
#include "api/types/json_fields.h"

namespace cw::api {

using nlohmann::json;

template <>
Result<ServiceExport> decode(const json& body) {
  std::optional<Error> problem;
  ServiceExport object;
  object.meta = decode_meta(body, problem);
  JsonFields fields(body, "", problem);
  fields.object("spec", [&](JsonFields& spec) {
    spec.read("exportedLabels", object.spec.exported_labels);
    spec.read("exportedAnnotations", object.spec.exported_annotations);
  });
  fields.object("status",
                [&](JsonFields& status) { read_conditions(status, object.status.conditions); });
  if (problem) return fail(*problem);
  return object;
}

template <>
json encode(const ServiceExport& object) {
  auto out = envelope(Kind::kServiceExport, object.meta);
  auto spec = json::object();
  put_unless_empty(spec, "exportedLabels", object.spec.exported_labels);
  put_unless_empty(spec, "exportedAnnotations", object.spec.exported_annotations);
  put_unless_empty(out, "spec", spec);
  if (!object.status.conditions.empty()) {
    out["status"]["conditions"] = to_json(object.status.conditions);
  }
  return out;
}

}  // namespace cw::api
