// What the kernel does for us before a datagram takes room in a buffer: sorts the messages of a
// port among its two sockets, and drops what can be nothing. Classic BPF (Linux
// Documentation/networking/filter.rst), so that no privilege is needed.
//
//   data, responses and cookies for one of our indices ------> data
//   initiations, or super-datagrams that begin with one -----> initiations
//   all else, from data with made-up indices on -------------> dropped
//
// So a flood of initiations, which everybody may send, never stands before a peer's answer to ours.
#pragma once

#include "tunnel/engine/index_tag.h"

namespace cw::tunnel::engine {

// For both sockets of a port, of which `data` was bound first and `initiations` second. Of a
// super-datagram the filter sees the first message and the whole size: an initiation with data of
// ours behind it goes with the data, or that would be overtaken. False: this kernel cannot
// (before 4.5).
[[nodiscard]] bool sort_messages(int data, int initiations, const IndexTag& tag);

}  // namespace cw::tunnel::engine
