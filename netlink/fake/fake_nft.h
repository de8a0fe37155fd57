// What a change of elements (nft_change()) makes of the text of a table (nft_text()). Pure.
#pragma once

#include <string>
#include <string_view>

namespace cw::netlink {

// False: `listing` has no such set, or not the elements that go.
[[nodiscard]] bool change_elements(std::string& listing, std::string_view change);

}  // namespace cw::netlink
