// Socket filters that sort messages in the kernel, before a datagram takes room in a buffer. They
// divide the messages of a port between its two sockets and drop messages that cannot be valid.
// They are classic BPF (Linux Documentation/networking/filter.rst), which needs no privilege.
//
//   data, responses and cookies for one of our indices ------> data
//   initiations, or super-datagrams that begin with one -----> initiations
//   all else, including data with made-up indices -----------> dropped
//
// Any host may send initiations. So a flood of them never delays a peer's answer to ours.
#pragma once

#include "tunnel/engine/index_tag.h"

namespace cw::tunnel::engine {

// Attaches the filters to both sockets of a port; `data` was bound first, `initiations` second. Of
// a super-datagram the filter sees the first message and the whole size. An initiation with our
// data behind it goes to the data socket, or other data would overtake that data. False: this
// kernel cannot sort (before Linux 4.5).
[[nodiscard]] bool sort_messages(int data, int initiations, const IndexTag& tag);

}  // namespace cw::tunnel::engine
