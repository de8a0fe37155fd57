// Writes lines to a descriptor (standard error) from a thread of its own, so that a reader that has
// stopped (a full pipe, a journal that hangs) never blocks the thread that logs. The queue is
// bounded: lines that find no room are dropped and counted, and one line says so later. Any thread.
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
  // Waits for what is queued to be written, at most kGoodbye.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  void write(std::string_view line);  // with its newline
  // Waits until all lines so far are written; false after `limit`.
  bool flush(std::chrono::milliseconds limit);
  [[nodiscard]] std::uint64_t dropped() const;  // lines, in all

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
  std::size_t taken_ = 0;  // bytes that the thread has taken and not written; 0: it does nothing
  bool stopping_ = false;
  std::uint64_t dropped_ = 0;
  std::uint64_t told_ = 0;  // of them
  std::thread thread_;
};

}  // namespace cw
