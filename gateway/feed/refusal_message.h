// The wire form of a refusal report (api/proto/feed.proto). Pure; any thread.
#pragma once

#include "gateway/feed/message_fields.h"
#include "gateway/feed/refusal_report.h"

namespace causeway::feed::v1 {
class RefusalReport;
}  // namespace causeway::feed::v1

namespace cw::gateway {

void put_refusals(const RefusalReport& report, causeway::feed::v1::RefusalReport& out);
// A value within the limits of refusal_report.h. `fields` has the first problem. A code that this
// version does not know becomes kOther.
[[nodiscard]] RefusalReport parse_refusals(MessageFields& fields,
                                           const causeway::feed::v1::RefusalReport& from);

}  // namespace cw::gateway
