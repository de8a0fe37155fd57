#include "api/kube/exec_plugin.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>

#include "base/unique_fd.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX wants it

namespace cw::api::kube {

namespace {

constexpr std::size_t kMaxOutput = 1U << 20U;
constexpr auto kPatience = std::chrono::seconds(60);

struct Run {
  pid_t pid = -1;
  UniqueFd output;
  std::string text;
  std::string command;
  std::function<void(Result<ExecCredential>)> done;
  Handle readable;
  Handle limit;

  // Kills the program if it still runs, and returns its exit status.
  int reap() {
    if (pid < 0) return -1;
    (void)::kill(pid, SIGKILL);  // it has closed its output, so nothing is lost
    int status = -1;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    pid = -1;
    return status;
  }
  ~Run() { (void)reap(); }
};

std::vector<std::string> environment(const ExecPlugin& plugin) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    if (plugin.env.count(text.substr(0, text.find('='))) == 0) out.push_back(text);
  }
  for (const auto& [name, value] : plugin.env) out.push_back(fmt::format("{}={}", name, value));
  out.push_back(
      fmt::format("KUBERNETES_EXEC_INFO={{\"kind\":\"ExecCredential\",\"apiVersion\":"
                  "\"{}\",\"spec\":{{\"interactive\":false}}}}",
                  plugin.api_version));
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

Result<> spawn(const ExecPlugin& plugin, Run& run) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(errno_error(errno, "exec plugin: pipe"));
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0) {
    return fail(errno_error(errno, "exec plugin: pipe"));
  }
  std::vector<std::string> words{plugin.command};
  words.insert(words.end(), plugin.args.begin(), plugin.args.end());
  auto env = environment(plugin);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDOUT_FILENO);
  const int error = ::posix_spawnp(&run.pid, plugin.command.c_str(), &actions, nullptr,
                                   pointers(words).data(), pointers(env).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    run.pid = -1;
    return fail(Errc::kDenied,
                fmt::format("exec plugin {}: {}", plugin.command, strerrordesc_np(error)));
  }
  run.output = std::move(ours);
  return {};
}

void end(const std::shared_ptr<Run>& run, Result<ExecCredential> result) {
  run->readable.reset();
  run->limit.reset();
  (void)run->reap();
  const auto done = std::move(run->done);
  done(std::move(result));
}

void read_more(const std::shared_ptr<Run>& run) {
  std::array<char, 4096> bytes{};
  const auto length = ::read(run->output.get(), bytes.data(), bytes.size());
  if (length > 0) {
    run->text.append(bytes.data(), static_cast<std::size_t>(length));
    if (run->text.size() > kMaxOutput) {
      end(run, fail(Errc::kTooLarge, "exec plugin " + run->command + ": prints over 1 MiB"));
    }
    return;
  }
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  auto credential = parse_exec_credential(run->text);
  if (!credential) {
    return end(run, fail(Errc::kDenied,
                         fmt::format("exec plugin {}: {}", run->command, credential.error().text)));
  }
  end(run, std::move(credential));
}

}  // namespace

Handle run_exec_plugin(Loop& loop, const ExecPlugin& plugin,
                       std::function<void(Result<ExecCredential>)> done) {
  auto run = std::make_shared<Run>();
  run->command = plugin.command;
  run->done = std::move(done);
  if (auto ok = spawn(plugin, *run); !ok) {
    run->limit = loop.after(Duration::zero(), [run = run.get(), error = ok.error()] {
      const auto call = std::move(run->done);
      call(fail(error));
    });
    return Handle([run] { run->limit.reset(); });
  }
  // The closures hold the run weakly. The handle owns it.
  const std::weak_ptr<Run> weak = run;
  run->readable = loop.watch(run->output.get(), FdEvent::kRead, [weak] {
    if (const auto still = weak.lock()) read_more(still);
  });
  run->limit = loop.after(kPatience, [weak] {
    if (const auto still = weak.lock()) {
      end(still, fail(Errc::kUnavailable, "exec plugin " + still->command + ": no answer in 60 s"));
    }
  });
  return Handle([run] {
    run->readable.reset();
    run->limit.reset();
    (void)run->reap();
  });
}

}  // namespace cw::api::kube
