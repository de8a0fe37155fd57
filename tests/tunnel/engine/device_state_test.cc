#include "tunnel/engine/device_state.h"

#include <gtest/gtest.h>

namespace cw::tunnel::engine {
namespace {

std::vector<std::uint8_t> message(std::uint8_t type, std::size_t size, std::size_t number) {
  std::vector<std::uint8_t> bytes(size, 0);
  bytes[0] = type;
  store_le(std::span(bytes), 16, static_cast<std::uint32_t>(number));
  return bytes;
}

TEST(HandshakeQueue, InitiationsLeaveRoomForTheAnswersToOurs) {
  const auto queue = std::make_unique<HandshakeQueue>();
  std::size_t pushed = 0;
  EXPECT_EQ(queue->room(), HandshakeQueue::kInitiations);
  EXPECT_TRUE(queue->push(message(1, kInitiationSize, pushed++), {}));
  while (queue->room() > 0) EXPECT_FALSE(queue->push(message(1, kInitiationSize, pushed++), {}));
  EXPECT_EQ(pushed, HandshakeQueue::kInitiations);
  EXPECT_FALSE(queue->push(message(1, kInitiationSize, 9999), {}));  // dropped
  for (; pushed < HandshakeQueue::kSize; ++pushed) {
    const bool response = pushed % 2 == 0;
    (void)queue->push(message(response ? 2 : 3, response ? kResponseSize : kCookieSize, pushed),
                      {});
  }
  (void)queue->push(message(2, kResponseSize, 9999), {});  // dropped
  EXPECT_EQ(queue->room(), 0U);
  HandshakeQueue::Item item;
  std::size_t left = 0;
  for (std::size_t i = 0; i < HandshakeQueue::kSize; ++i) {
    ASSERT_TRUE(queue->pop(item, left));
    EXPECT_EQ(load_le<std::uint32_t>(item.bytes, 16), i);
    EXPECT_EQ(left, HandshakeQueue::kSize - i - 1);
  }
  EXPECT_FALSE(queue->pop(item, left));
}

}  // namespace
}  // namespace cw::tunnel::engine
