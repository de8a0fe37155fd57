#include "base/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "base/unique_fd.h"

namespace cw {
namespace {

using std::chrono::milliseconds;

struct Ends {
  UniqueFd read;
  UniqueFd write;
};

Ends pipe_ends() {
  std::array<int, 2> fds{};
  EXPECT_EQ(::pipe(fds.data()), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 65536> buffer{};
  (void)::fcntl(fd, F_SETFL, O_NONBLOCK);
  for (ssize_t n = 0; (n = ::read(fd, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

TEST(LineWriter, WritesWhatItIsGivenInOrder) {
  const auto ends = pipe_ends();
  {
    LineWriter writer(ends.write.get(), 1 << 20);
    for (int i = 0; i < 100; ++i) writer.write("line " + std::to_string(i) + "\n");
    EXPECT_TRUE(writer.flush(milliseconds(5000)));
  }
  const auto text = read_all(ends.read.get());
  EXPECT_EQ(text.rfind("line 0\nline 1\n", 0), 0U);
  EXPECT_NE(text.find("line 99\n"), std::string::npos);
}

// No program reads the pipe: writers never wait, memory is bounded, and lost lines are reported.
TEST(LineWriter, AReaderThatStopsBlocksNoWriter) {
  const auto ends = pipe_ends();
  const std::string line(1000, 'x');
  std::string text;
  {
    LineWriter writer(ends.write.get(), 100'000);
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < 10'000; ++i) writer.write(line + "\n");
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(2));
    EXPECT_FALSE(writer.flush(milliseconds(50)));
    EXPECT_GE(writer.dropped(), 9'000U);
    for (int i = 0; i < 500 && !writer.flush(milliseconds(10)); ++i) {
      text += read_all(ends.read.get());
    }
    writer.write("again\n");
    EXPECT_TRUE(writer.flush(milliseconds(5000)));
  }
  text += read_all(ends.read.get());
  EXPECT_NE(text.find("log lines were dropped"), std::string::npos);
  EXPECT_NE(text.find("again\n"), std::string::npos);
}

TEST(LineWriter, EndsThoughNoProgramReadsAndThoughTheReaderIsGone) {
  auto ends = pipe_ends();
  const auto begun = std::chrono::steady_clock::now();
  {
    LineWriter writer(ends.write.get(), 1 << 20);
    writer.write(std::string(500'000, 'x'));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3));
  ends.read.reset();
  LineWriter writer(ends.write.get(), 1 << 20);
  writer.write("to no reader\n");
  EXPECT_TRUE(writer.flush(milliseconds(5000)));
}

// Lines that the writer's thread has taken wait, too: the bound covers both together.
TEST(LineWriter, ASocketThatIsFullBlocksNoWriterEither) {
  constexpr std::size_t kBound = 1 << 20;
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0);
  const UniqueFd read(fds[0]);
  const UniqueFd write(fds[1]);
  const int small = 65536;
  ASSERT_EQ(::setsockopt(write.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  LineWriter writer(write.get(), kBound);
  // First fills the socket and the thread's own batch.
  writer.write(std::string(kBound - 1000, 'x') + "\n");
  for (int i = 0; i < 1000; ++i) writer.write(std::string(999, 'x') + "\n");
  EXPECT_GE(writer.dropped(), 800U) << "the socket holds about 100 lines";
  for (int i = 0; i < 500 && !writer.flush(milliseconds(10)); ++i) (void)read_all(read.get());
  EXPECT_TRUE(writer.flush(milliseconds(1000)));
}

}  // namespace
}  // namespace cw
