#include "discovery/dns/udp.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/socket.h"

namespace cw::discovery::dns {

namespace {

constexpr std::size_t kBatch = 64;
// Room for a question, its OPT and padding, although we announce 1,232 bytes. The rest of a longer
// message is not read. A record that is cut by this gets FORMERR.
constexpr std::size_t kQuerySize = 4096;

void set(int fd, int level, int option, int value) {
  // An option that an old kernel lacks costs speed, not correctness.
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

// The answer must leave from the address that the query came to. A wildcard socket has many.
std::size_t reply_control(const msghdr& in, std::span<std::uint8_t> out) {
  for (auto* c = CMSG_FIRSTHDR(&in); c != nullptr; c = CMSG_NXTHDR(const_cast<msghdr*>(&in), c)) {
    msghdr to{};
    to.msg_control = out.data();
    to.msg_controllen = out.size();
    auto* head = CMSG_FIRSTHDR(&to);
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      info.ipi_ifindex = 0;
      info.ipi_spec_dst = info.ipi_addr;
      *head = {CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO};
      std::memcpy(CMSG_DATA(head), &info, sizeof info);
      return CMSG_SPACE(sizeof info);
    }
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
      *head = {CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO};
      std::memcpy(CMSG_DATA(head), &info, sizeof info);
      return CMSG_SPACE(sizeof info);
    }
  }
  return 0;
}

// The buffers of a batch, allocated once per worker.
struct Batch {
  struct Slot {
    std::array<std::uint8_t, kQuerySize> query;
    std::array<std::uint8_t, kUdpEdns> reply;
    alignas(cmsghdr) std::array<std::uint8_t, 64> control_in;
    alignas(cmsghdr) std::array<std::uint8_t, 64> control_out;
    sockaddr_storage from;
    iovec in;
    iovec out;
  };
  std::array<Slot, kBatch> slots{};
  std::array<mmsghdr, kBatch> in{};
  std::array<mmsghdr, kBatch> out{};

  Batch() {
    for (std::size_t i = 0; i < kBatch; ++i) {
      auto& slot = slots[i];
      slot.in = {slot.query.data(), slot.query.size()};
      auto& header = in[i].msg_hdr;
      header.msg_name = &slot.from;
      header.msg_iov = &slot.in;
      header.msg_iovlen = 1;
      header.msg_control = slot.control_in.data();
    }
    reset(kBatch);
  }
  // The kernel has written the used sizes. Restores the full ones.
  void reset(std::size_t used) {
    for (std::size_t i = 0; i < used; ++i) {
      in[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage);
      in[i].msg_hdr.msg_controllen = slots[i].control_in.size();
      in[i].msg_hdr.msg_flags = 0;
    }
  }
};

class Worker {
 public:
  Worker(int socket, Shared& shared, Counters& counters)
      : socket_(socket),
        shared_(shared),
        counters_(counters),
        table_(shared.table),
        allowed_(shared.allowed) {}

  void run() {
    while (!shared_.stopping.load(std::memory_order_relaxed)) {
      // One call waits for the first message, then takes all that are there.
      const int got = ::recvmmsg(socket_, batch_->in.data(), kBatch, MSG_WAITFORONE, nullptr);
      if (got <= 0) continue;
      const auto begun = Clock::now();
      const auto answers = answer(static_cast<std::size_t>(got), begun);
      send(answers);
      counters_.record_latency(Clock::now() - begun, answers);
      batch_->reset(static_cast<std::size_t>(got));
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  Verdict verdict(const IpAddress& client, const PrefixSet& allowed, Clock::time_point now) {
    if (!allowed.contains(client)) return stranger(now);
    const auto verdict = shared_.rate.evaluate(client, now.time_since_epoch());
    if (verdict == Verdict::kDrop) counters_.rate_dropped.add();
    return verdict;
  }

  // Limits refusals per second for all such clients together, because the sender may be forged.
  Verdict stranger(Clock::time_point now) {
    if (now - refusing_since_ >= std::chrono::seconds(1)) {
      refusing_since_ = now;
      refused_ = 0;
    }
    if (refused_ >= shared_.refusals) {
      counters_.foreign_dropped.add();
      return Verdict::kDrop;
    }
    ++refused_;
    counters_.foreign_refused.add();
    return Verdict::kRefuse;
  }

  // Fills batch_->out. Returns the number of answers.
  std::size_t answer(std::size_t got, Clock::time_point now) {
    std::size_t answers = 0;
    const auto& table = table_.get();
    const auto& clients = allowed_.get();
    for (std::size_t i = 0; i < got; ++i) {
      auto& slot = batch_->slots[i];
      const auto& in = batch_->in[i];
      const auto from = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&slot.from),
                                                in.msg_hdr.msg_namelen);
      if (!from) continue;
      const auto what = verdict(from->address, clients, now);
      if (what == Verdict::kDrop) continue;
      const bool truncate = what == Verdict::kTruncate;
      const auto size =
          respond(table, {slot.query.data(), in.msg_len},
                  {false, truncate, rotate_++, what == Verdict::kRefuse, part_for(from->address)},
                  slot.reply, counters_);
      if (size == 0) continue;
      if (truncate) counters_.rate_truncated.add();
      slot.out = {slot.reply.data(), size};
      auto& header = batch_->out[answers++].msg_hdr;
      header = {};
      header.msg_name = &slot.from;
      header.msg_namelen = in.msg_hdr.msg_namelen;
      header.msg_iov = &slot.out;
      header.msg_iovlen = 1;
      if (in.msg_hdr.msg_controllen == 0) continue;
      header.msg_control = slot.control_out.data();
      header.msg_controllen = reply_control(in.msg_hdr, slot.control_out);
      if (header.msg_controllen == 0) header.msg_control = nullptr;
    }
    return answers;
  }

  // Skips an answer that cannot be sent, because its client asks again.
  void send(std::size_t answers) {
    for (std::size_t sent = 0; sent < answers;) {
      const int n = ::sendmmsg(socket_, batch_->out.data() + sent,
                               static_cast<unsigned>(answers - sent), MSG_DONTWAIT);
      sent += n > 0 ? static_cast<std::size_t>(n) : 1;
    }
  }

  int socket_;
  Shared& shared_;
  Counters& counters_;
  Snapshot<Table>::Reader table_;
  Snapshot<PrefixSet>::Reader allowed_;
  Clock::time_point refusing_since_{};
  unsigned refused_ = 0;  // since refusing_since_
  std::unique_ptr<Batch> batch_ = std::make_unique<Batch>();
  unsigned rotate_ = 0;
};

}  // namespace

Result<UniqueFd> open_udp(const Endpoint& at) {
  const bool v4 = at.address.is_v4();
  UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno_error(errno, "DNS socket"));
  set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  set(fd.get(), SOL_SOCKET, SO_RCVBUF, 1 << 20);
  // A socket bound to one address sends from that address anyway.
  const bool wildcard = at.address.is_unspecified();
  const timeval patience{1, 0};  // in case a shutdown does not wake the worker
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (v4) {
    if (wildcard) set(fd.get(), IPPROTO_IP, IP_PKTINFO, 1);
    set(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
  } else {
    set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (wildcard) set(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
  }
  if (!bind_socket(fd.get(), at)) {
    return fail(errno_error(errno, fmt::format("listen: DNS over UDP at {}", at.to_string())));
  }
  return fd;
}

void serve_udp(int socket, Shared& shared, Counters& counters) {
  Worker(socket, shared, counters).run();
}

}  // namespace cw::discovery::dns
