// An endpoint as people and remote clusters write it. Any text gives a contact or an error. A
// contact's own text gives the same contact.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/contact.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {  // NOLINT
  using namespace cw;
  const auto contact = Contact::parse({reinterpret_cast<const char*>(data), size});
  if (!contact) return 0;
  CW_CHECK(contact->port() != 0 && contact->to_string().size() <= kMaxContact);
  CW_CHECK(Contact::parse(contact->to_string()) == *contact);
  return 0;
}
