// Which of a port's sockets gets which message (udp.h). On the loopback interface.
#include "tunnel/engine/udp.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>

#include <optional>

#include "base/random.h"
#include "tunnel/engine/messages.h"
#include "tunnel/engine/udp_sort.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

namespace cw::tunnel::engine {
namespace {

SystemRandom random_source;
const IndexTag kTag(random_source);
const UdpOptions kSorted{true, true, kTag};

std::vector<std::uint8_t> message(std::uint8_t type, std::size_t size, std::uint8_t reserved = 0) {
  std::vector<std::uint8_t> bytes(size, 0x55);
  for (std::size_t i = 0; i < std::min<std::size_t>(size, 4); ++i) bytes[i] = 0;
  if (size > 0) bytes[0] = type;
  if (size > 3) bytes[3] = reserved;
  return bytes;
}

// A message of type 2 to 4 with one of our indices, or with one that we never gave out.
std::vector<std::uint8_t> answer(std::uint8_t type, std::size_t size, bool ours = true) {
  auto bytes = message(type, size);
  const std::size_t at = type == 2 ? 8 : 4;
  if (size >= at + 4) store_le(std::span(bytes), at, kTag.index_of(0x12345) ^ (ours ? 0U : 0x10U));
  return bytes;
}

std::vector<std::uint8_t> data_message(std::size_t size, bool ours = true) {
  return answer(4, size, ours);
}

class UdpTest : public ::testing::TestWithParam<bool> {
 protected:
  void open(const UdpOptions& options) {
    auto sockets = UdpSockets::open(0, 0, options);
    ASSERT_TRUE(sockets) << sockets.error().text;
    sockets_ = *sockets;
    const bool v4 = GetParam();
    data_ = v4 ? sockets_->v4() : sockets_->v6();
    initiations_ = v4 ? sockets_->initiations_v4() : sockets_->initiations_v6();
    const auto loopback = *IpAddress::parse(v4 ? "127.0.0.1" : "::1");
    sockaddr_storage name{};
    const auto size = Endpoint{loopback, sockets_->port()}.to_sockaddr(name);
    from_.reset(::socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(
        ::connect(from_.get(), reinterpret_cast<sockaddr*>(&name), static_cast<socklen_t>(size)),
        0);
  }

  static constexpr int kDropped = -1;
  // The socket that gets `bytes` complete. `segment`: sent at once as datagrams of this size.
  int taker(const std::vector<std::uint8_t>& bytes, std::uint16_t segment = 0) {
    const int offload = segment;
    (void)::setsockopt(from_.get(), SOL_UDP, UDP_SEGMENT, &offload, sizeof offload);
    if (::send(from_.get(), bytes.data(), bytes.size(), 0) < 0) return -2;
    pollfd waiting[] = {{data_, POLLIN, 0}, {initiations_, POLLIN, 0}};
    // On loopback a datagram that has not arrived after send() was dropped.
    if (::poll(waiting, 2, 20) != 1) return kDropped;
    const int fd = waiting[waiting[0].revents != 0 ? 0 : 1].fd;
    batch_.clear();
    const auto got = batch_.receive(fd, 4);
    std::vector<std::uint8_t> all;
    for (const auto& one : batch_.received())
      all.insert(all.end(), one.data.begin(), one.data.end());
    return got > 0 && all == bytes ? fd : -3;
  }

  std::shared_ptr<UdpSockets> sockets_;
  ReceiveBatch batch_;
  UniqueFd from_;
  int data_ = -1;
  int initiations_ = -1;
};

TEST_P(UdpTest, InitiationsHaveASocketOfTheirOwn) {
  open(kSorted);
  ASSERT_GE(data_, 0);
  ASSERT_GE(initiations_, 0);
  EXPECT_EQ(taker(message(1, kInitiationSize)), initiations_);
  for (const std::size_t size : {32UL, 64UL, 92UL, 148UL, 1452UL}) {
    EXPECT_EQ(taker(data_message(size)), data_) << size;
  }
}

TEST_P(UdpTest, AnswersToOurHandshakesComeWithTheData) {
  open(kSorted);
  EXPECT_EQ(taker(answer(2, kResponseSize)), data_);
  EXPECT_EQ(taker(answer(3, kCookieSize)), data_);
  EXPECT_EQ(taker(answer(2, kResponseSize, false)), kDropped);
  EXPECT_EQ(taker(answer(3, kCookieSize, false)), kDropped);
  EXPECT_EQ(taker(message(2, kResponseSize)), kDropped);
  EXPECT_EQ(taker(message(3, kCookieSize)), kDropped);
}

TEST_P(UdpTest, MessagesThatCannotBeValidAreDropped) {
  open(kSorted);
  for (const std::size_t size : {32UL, 92UL, 148UL, 1452UL}) {
    EXPECT_EQ(taker(data_message(size, false)), kDropped) << size;
    EXPECT_EQ(taker(message(2, size)), kDropped) << size;
    EXPECT_EQ(taker(message(3, size)), kDropped) << size;
  }
  for (const std::size_t size : {1UL, 3UL, 4UL, 7UL, 8UL, 31UL}) {
    for (const auto type : std::array<std::uint8_t, 3>{2, 3, 4}) {
      EXPECT_EQ(taker(answer(type, size)), kDropped) << size;
    }
  }
  EXPECT_EQ(taker(message(1, kInitiationSize, 1)), kDropped);
  EXPECT_EQ(taker(message(0, kInitiationSize)), kDropped);
  EXPECT_EQ(taker(message(5, kInitiationSize)), kDropped);
  // Messages that only look like an initiation never reach the data socket.
  for (const std::size_t size : {32UL, 64UL, 147UL, 149UL, 180UL, 1000UL}) {
    EXPECT_EQ(taker(message(1, size)), initiations_) << size;
  }
}

TEST_P(UdpTest, DataBehindAHandshakeStaysWithTheData) {
  open(kSorted);
  const auto join = [](std::initializer_list<std::vector<std::uint8_t>> parts) {
    std::vector<std::uint8_t> all;
    for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  };
  const auto initiation = message(1, kInitiationSize);
  const auto response = answer(2, kResponseSize);
  EXPECT_EQ(taker(join({initiation, initiation, initiation}), kInitiationSize), initiations_);
  EXPECT_EQ(taker(join({initiation, response}), kInitiationSize), initiations_);
  EXPECT_EQ(taker(join({response, response}), kResponseSize), data_);
  for (const std::size_t small : {32UL, 48UL, 64UL, 80UL}) {  // only the last may be shorter
    EXPECT_EQ(taker(join({initiation, data_message(small)}), kInitiationSize), data_) << small;
    EXPECT_EQ(taker(join({response, data_message(small)}), kResponseSize), data_) << small;
    EXPECT_EQ(taker(join({initiation, data_message(small, false)}), kInitiationSize), initiations_);
  }
  EXPECT_EQ(taker(join({initiation, message(4, 7)}), kInitiationSize), initiations_);
  EXPECT_EQ(taker(join({data_message(1452), data_message(1452)}), 1452), data_);
  EXPECT_EQ(taker(join({data_message(1452), response}), 1452), data_);
  EXPECT_EQ(taker(join({data_message(1452, false), data_message(1452)}), 1452), kDropped);
}

TEST_P(UdpTest, UnsortedEverythingComesWithTheData) {
  open({});
  EXPECT_EQ(initiations_, -1);
  EXPECT_EQ(taker(message(1, kInitiationSize)), data_);
  EXPECT_EQ(taker(data_message(64, false)), data_);
}

TEST_P(UdpTest, APortIsStillOnesOwn) {
  open(kSorted);
  const auto again = UdpSockets::open(sockets_->port(), 0, kSorted);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::kExists);
  const auto port = sockets_->port();
  sockets_.reset();
  EXPECT_TRUE(UdpSockets::open(port, 0, kSorted));
}

INSTANTIATE_TEST_SUITE_P(Both, UdpTest, ::testing::Values(true, false),
                         [](const auto& which) { return which.param ? "V4" : "V6"; });

}  // namespace
}  // namespace cw::tunnel::engine
