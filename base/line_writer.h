// Writes lines to a descriptor (standard error) on its own thread. A reader that has stopped (a
// full pipe, a hanging journal) therefore never blocks a thread that logs. The queue is bounded:
// lines that do not fit are dropped and counted, and a later line reports the number. Any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace cw {

class LineWriter {
 public:
  LineWriter(int fd, std::size_t most_bytes);
  // Waits at most kGoodbye until the queue is written.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  void write(std::string_view line);  // `line` includes its newline
  // Waits until all lines written so far are out. False: `limit` passed first.
  bool flush(std::chrono::milliseconds limit);
  [[nodiscard]] std::uint64_t dropped() const;  // lines, since the start

 private:
  static constexpr std::chrono::milliseconds kGoodbye{1000};
  void run();
  bool put(std::string_view text);

  int fd_;
  std::size_t most_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable news_;
  std::condition_variable empty_;
  std::string queue_;
  std::size_t taken_ = 0;  // bytes the thread has taken and not yet written; 0: it is idle
  bool stopping_ = false;
  std::uint64_t dropped_ = 0;
  std::uint64_t told_ = 0;  // dropped lines already reported
  std::thread thread_;
};

}  // namespace cw
