#include "base/line_writer.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>

#include "base/thread_role.h"

namespace cw {

LineWriter::LineWriter(int fd, std::size_t most_bytes) : fd_(fd), most_bytes_(most_bytes) {
  // Signals belong to the loop thread. SIGPIPE is blocked too: a closed pipe must not end the
  // process.
  sigset_t all{};
  sigset_t before{};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    name_thread("cw-log");
    give_way();
    run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LineWriter::~LineWriter() {
  (void)flush(kGoodbye);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  news_.notify_one();
  thread_.join();
}

void LineWriter::write(std::string_view line) {
  {
    const std::lock_guard lock(mutex_);
    if (taken_ + queue_.size() + line.size() > most_bytes_) {
      ++dropped_;
      return;
    }
    queue_ += line;
  }
  news_.notify_one();
}

bool LineWriter::flush(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return empty_.wait_for(lock, limit, [this] { return queue_.empty() && taken_ == 0; });
}

std::uint64_t LineWriter::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void LineWriter::run() {
  for (;;) {
    std::string batch;
    {
      std::unique_lock lock(mutex_);
      taken_ = 0;
      if (queue_.empty()) empty_.notify_all();
      news_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      batch.swap(queue_);
      taken_ = batch.size();
      if (dropped_ != told_) {
        batch +=
            fmt::format("{} log lines were dropped: their reader was too slow\n", dropped_ - told_);
        told_ = dropped_;
      }
    }
    if (!put(batch)) return;
  }
}

// Writes pieces of PIPE_BUF bytes, because poll() reports a pipe as writable only when that many
// fit. False: the writer is stopping.
bool LineWriter::put(std::string_view text) {
  constexpr int kLook = 100;  // ms, to notice stopping_
  while (!text.empty()) {
    pollfd fd{fd_, POLLOUT, 0};
    const int ready = ::poll(&fd, 1, kLook);
    if (ready <= 0) {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
      continue;
    }
    const auto piece = text.substr(0, PIPE_BUF);
    auto n = ::send(fd_, piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == ENOTSOCK) n = ::write(fd_, piece.data(), piece.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) return true;  // the reader is gone; the text is discarded
    text.remove_prefix(static_cast<std::size_t>(n));
    const std::lock_guard lock(mutex_);
    taken_ = std::max<std::size_t>(text.size(), 1);  // 0 only when all is written
  }
  return true;
}

}  // namespace cw
