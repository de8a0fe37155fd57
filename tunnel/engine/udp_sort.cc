#include "tunnel/engine/udp_sort.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <cstdint>
#include <span>

#include "tunnel/engine/messages.h"

namespace cw::tunnel::engine {

namespace {

constexpr std::uint32_t kSmallestData = kDataHeader + kTagSize;
// The type and the three zero bytes, as BPF loads them.
constexpr std::uint32_t kInitiation = 0x01000000;
constexpr std::uint32_t kResponse = 0x02000000;
constexpr std::uint32_t kCookie = 0x03000000;
constexpr std::uint32_t kData = 0x04000000;

constexpr auto kLoad = static_cast<std::uint16_t>(BPF_LD | BPF_W | BPF_ABS);
constexpr auto kLoadAtX = static_cast<std::uint16_t>(BPF_LD | BPF_W | BPF_IND);
constexpr auto kLoadSize = static_cast<std::uint16_t>(BPF_LD | BPF_W | BPF_LEN);
constexpr auto kLoadKept = static_cast<std::uint16_t>(BPF_LD | BPF_MEM);
constexpr auto kSetX = static_cast<std::uint16_t>(BPF_LDX | BPF_IMM);
constexpr auto kXFromA = static_cast<std::uint16_t>(BPF_MISC | BPF_TAX);
constexpr auto kKeep = static_cast<std::uint16_t>(BPF_ST);
constexpr auto kTimes = static_cast<std::uint16_t>(BPF_ALU | BPF_MUL | BPF_K);
constexpr auto kPlus = static_cast<std::uint16_t>(BPF_ALU | BPF_ADD | BPF_K);
constexpr auto kAnd = static_cast<std::uint16_t>(BPF_ALU | BPF_AND | BPF_K);
constexpr auto kGoto = static_cast<std::uint16_t>(BPF_JMP | BPF_JA);
constexpr auto kIf = static_cast<std::uint16_t>(BPF_JMP | BPF_JEQ | BPF_K);
constexpr auto kIfX = static_cast<std::uint16_t>(BPF_JMP | BPF_JEQ | BPF_X);
constexpr auto kIfNotLess = static_cast<std::uint16_t>(BPF_JMP | BPF_JGE | BPF_K);
constexpr auto kReturn = static_cast<std::uint16_t>(BPF_RET | BPF_K);

bool attach(int fd, int option, std::span<sock_filter> code) {
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  return ::setsockopt(fd, SOL_SOCKET, option, &program, sizeof program) == 0;
}

// Chooses a socket of the port: 0 is data, 1 initiations. Offsets are those of the UDP payload. A
// load beyond the end would choose 0, so sizes are checked first. X is four less than the offset of
// the receiver index to check. That offset is 4 in data and cookies, and 8 in responses. The
// numbers at the right are indices in this array: of jump targets, or of the instruction itself.
bool choose(int fd, const IndexTag& tag) {
  sock_filter code[] = {
      {kLoadSize, 0, 0, 0},
      {kIfNotLess, 0, 24, kSmallestData},  // to 26
      {kLoad, 0, 0, 0},
      {kSetX, 0, 0, 0},
      {kIf, 10, 0, kData},     // to 15
      {kIf, 9, 0, kCookie},    // to 15
      {kIf, 0, 2, kResponse},  // to 9
      {kSetX, 0, 0, 4},
      {kGoto, 0, 0, 6},           // to 15
      {kIf, 0, 16, kInitiation},  // 9: to 26
      {kLoadSize, 0, 0, 0},
      {kIfNotLess, 0, 14, kInitiationSize + kSmallestData},  // to 26
      {kSetX, 0, 0, kInitiationSize},
      {kLoadAtX, 0, 0, 0},
      {kIf, 0, 11, kData},  // to 26
      {kLoadAtX, 0, 0, 4},  // 15
      {kKeep, 0, 0, 0},
      {kAnd, 0, 0, IndexTag::kNumber},
      {kTimes, 0, 0, tag.factor()},
      {kPlus, 0, 0, tag.addend()},
      {kAnd, 0, 0, IndexTag::kTag},
      {kXFromA, 0, 0, 0},
      {kLoadKept, 0, 0, 0},
      {kAnd, 0, 0, IndexTag::kTag},
      {kIfX, 0, 1, 0},  // to 26
      {kReturn, 0, 0, 0},
      {kReturn, 0, 0, 1},  // 26
  };
  return attach(fd, SO_ATTACH_REUSEPORT_CBPF, code);
}

// Drops datagrams that do not begin like an initiation. Offsets are those of the UDP header. A
// datagram that is too short for the load is dropped, too.
bool only_initiations(int fd) {
  constexpr std::uint32_t kUdpHeader = 8;
  sock_filter code[] = {
      {kLoad, 0, 0, kUdpHeader},
      {kIf, 0, 1, kInitiation},
      {kReturn, 0, 0, ~0U},
      {kReturn, 0, 0, 0},
  };
  return attach(fd, SO_ATTACH_FILTER, code);
}

}  // namespace

bool sort_messages(int data, int initiations, const IndexTag& tag) {
  return only_initiations(initiations) && choose(data, tag);
}

}  // namespace cw::tunnel::engine
