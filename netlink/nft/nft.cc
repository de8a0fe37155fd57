#include "netlink/nft/nft.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "base/unique_fd.h"

namespace cw::netlink {

namespace {

constexpr std::size_t kMaxOutput = std::size_t{4} << 20U;
constexpr auto kLimit = std::chrono::seconds(10);  // the program may hang

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail(errno_error(errno, "nft: pipe"));
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

struct Streams {
  Pipe in;
  Pipe out;
  Pipe err;
};

Result<pid_t> start(const std::vector<std::string>& arguments, Streams& streams) {
  std::vector<std::string> words{"nft"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  std::string language = "LC_ALL=C";
  char* environment[] = {path.data(), language.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, streams.in.read.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, streams.out.write.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, streams.err.write.get(), 2);
  pid_t pid = 0;
  const int err = posix_spawnp(&pid, "nft", &actions, nullptr, argv.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  if (err != 0) return fail(errno_error(err, "start nft (package nftables)"));
  return pid;
}

// Writes to and reads from the child until it closes its outputs. False: the time is over.
bool pump(Streams& streams, std::string_view input, std::string& out, std::string& err) {
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  ::fcntl(streams.in.write.get(), F_SETFL, O_NONBLOCK);
  while (streams.out.read || streams.err.read) {
    if (input.empty()) streams.in.write.reset();
    pollfd fds[3] = {{streams.in.write.get(), POLLOUT, 0},
                     {streams.out.read.get(), POLLIN, 0},
                     {streams.err.read.get(), POLLIN, 0}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                          deadline - std::chrono::steady_clock::now())
                          .count();
    if (left <= 0) return false;
    if (::poll(fds, 3, static_cast<int>(left)) < 0 && errno != EINTR) return false;
    if ((fds[0].revents & (POLLOUT | POLLERR)) != 0) {
      const auto n = ::write(streams.in.write.get(), input.data(), input.size());
      if (n > 0) input.remove_prefix(static_cast<std::size_t>(n));
      if (n < 0 && errno != EAGAIN && errno != EINTR) input = {};  // nft reads no more
    }
    const auto take = [](UniqueFd& fd, short events, std::string& to) {
      if (events == 0) return;
      char buffer[16384];
      const auto n = ::read(fd.get(), buffer, sizeof buffer);
      if (n > 0 && to.size() < kMaxOutput) to.append(buffer, static_cast<std::size_t>(n));
      if (n == 0 || (n < 0 && errno != EINTR)) fd.reset();
    };
    take(streams.out.read, fds[1].revents, out);
    take(streams.err.read, fds[2].revents, err);
  }
  return true;
}

// Makes a write to a closed pipe an error that does not end this process: blocks SIGPIPE, and takes
// a pending one back.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigpipe() {
    const timespec none{};
    while (sigtimedwait(&pipe_, nullptr, &none) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

}  // namespace

Result<std::string> nft_run(const std::vector<std::string>& arguments, const std::string& input) {
  const NoSigpipe quiet;
  Streams streams;
  for (auto* pipe : {&streams.in, &streams.out, &streams.err}) {
    auto made = make_pipe();
    if (!made) return fail(made.error());
    *pipe = std::move(*made);
  }
  const auto pid = start(arguments, streams);
  if (!pid) return fail(pid.error());
  streams.in.read.reset();
  streams.out.write.reset();
  streams.err.write.reset();
  std::string out;
  std::string err;
  const bool in_time = pump(streams, input, out, err);
  if (!in_time) ::kill(*pid, SIGKILL);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) return fail(Errc::kUnavailable, "nft: no answer in 10 s");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return out;
  const auto line = err.substr(0, std::min(err.find('\n'), std::size_t{400}));
  const auto code = err.find("No such file or directory") != std::string::npos ? Errc::kNotFound
                    : err.find("Operation not permitted") != std::string::npos ? Errc::kDenied
                                                                               : Errc::kInvalid;
  return fail(code, "nft: " + (line.empty() ? fmt::format("status {}", status) : line));
}

}  // namespace cw::netlink
