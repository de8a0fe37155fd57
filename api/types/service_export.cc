#include "api/types/object_codec.h"

namespace cw::api {

static void fields(JsonFields& f, ServiceExport::Spec& spec) {
  f.optional("exportedLabels", spec.exported_labels);
  f.optional("exportedAnnotations", spec.exported_annotations);
}

static void fields(JsonFields& f, ServiceExport::Status& status) {
  f.optional("conditions", status.conditions);
}

static void fields(JsonFields& f, ServiceExport& object) {
  f.always("spec", object.spec);
  f.always("status", object.status);
}
template Result<ServiceExport> decode(const nlohmann::json& body);
template nlohmann::json encode(const ServiceExport& object);

}  // namespace cw::api
