// A compromised gateway's side of the feed, for attack scenarios (e2e/suites/test_attacks_feed.py).
// It proves its own key as any gateway does, then sends as much as it can, as fast as it can.
//
//   rogue_feed KEY CLUSTER LOCAL CALLER/ORDINAL=PUBLIC_KEY... MODE...
//     exports=N,E     all N exports of E endpoints change all the time
//     announce=N      N accepted /32s of 10.42.0.0/16, one less, one more
//     gateway=N,KEY   a gateway of the cluster, which is announced
//     refused=N       N CIDRs that no peer may claim, another set each time
//     restarts        another process ten times per second: a snapshot each time
//   rogue_feed KEY connections=ADDRESS:PORT LOCAL
//     TCP connections to a gateway's feed port
//
// KEY is the gateway's private key. Prints "speaking" when it serves.
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/random.h"
#include "base/unique_fd.h"
#include "gateway/feed/server.h"

namespace {

using namespace cw;           // NOLINT(google-build-using-namespace)
using namespace cw::gateway;  // NOLINT(google-build-using-namespace)

struct Plan {
  std::size_t exports = 0;
  std::size_t endpoints = 1;
  std::size_t announced = 0;
  std::size_t refused = 0;
  bool restarts = false;
  std::map<std::uint32_t, std::string> gateways;  // public keys
};

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// True if the word belongs to the plan.
bool read(std::string_view word, Plan& plan) {
  const auto value = word.substr(std::min(word.find('=') + 1, word.size()));
  if (word.rfind("exports=", 0) == 0) {
    plan.exports = number(value);
    plan.endpoints = number(value.substr(value.find(',') + 1));
  } else if (word.rfind("announce=", 0) == 0) {
    plan.announced = number(value);
  } else if (word.rfind("refused=", 0) == 0) {
    plan.refused = number(value);
  } else if (word.rfind("gateway=", 0) == 0) {
    const auto comma = std::min(value.find(','), value.size() - 1);
    plan.gateways[static_cast<std::uint32_t>(number(value))] = value.substr(comma + 1);
  } else if (word == "restarts") {
    plan.restarts = true;
  } else {
    return false;
  }
  return true;
}

api::ExportRecord record(const std::string& cluster, const Plan& plan, std::size_t n,
                         std::size_t turn) {
  api::ExportRecord record;
  record.cluster = cluster;
  record.service = {"shop", fmt::format("rogue-{}", n)};
  record.ports = {{"", "TCP", "", static_cast<std::uint16_t>(1 + turn % 60'000), ""}};
  for (std::size_t e = 0; e < plan.endpoints; ++e) {
    const auto address = IpAddress::v4({10, 42, 1, static_cast<std::uint8_t>(2 + e)});
    record.endpoints.push_back({{address}, fmt::format("h{}", e), "", true});
  }
  return record;
}

Announcement announcement(const std::string& cluster, const Plan& plan, std::size_t turn) {
  Announcement said{cluster, {{"n1", {*Prefix::parse("10.42.1.0/24")}}}, {}};
  said.nodes["n2"] = {*Prefix::parse("10.42.2.0/24")};
  const auto add = [&said](std::size_t n, std::uint8_t first, std::uint8_t second,
                           std::size_t third) {
    said.nodes[fmt::format("r{}-{}", first, n / 200)].push_back(Prefix::host(IpAddress::v4(
        {first, second, static_cast<std::uint8_t>(third), static_cast<std::uint8_t>(n % 250)})));
  };
  for (std::size_t n = turn % 2; n < plan.announced; ++n) add(n, 10, 42, 100 + n / 250);
  for (const auto& [ordinal, key] : plan.gateways) {
    said.gateways.push_back({ordinal, key, {}, false, fmt::format("r10-{}", ordinal)});
  }
  const auto high = static_cast<std::uint8_t>(11 + turn % 100);
  for (std::size_t n = 0; n < plan.refused; ++n) add(n, high, 0, n / 250);
  return said;
}

class Rogue {
 public:
  Rogue(tunnel::Key key, std::string cluster, IpAddress local,
        std::map<tunnel::Key, GatewayId> callers, Plan plan)
      : key_(std::move(key)),
        cluster_(std::move(cluster)),
        local_(local),
        callers_(std::move(callers)),
        plan_(std::move(plan)) {
    start();
    // First everything is sent once: a stream counts when its snapshot is complete.
    begins_ = loop_.after(std::chrono::seconds(2), [this] { begin(); });
    std::puts("speaking");
    (void)std::fflush(stdout);
  }
  void run() { loop_.run(); }

 private:
  void begin() {
    // 100,000 per second: more than any stream carries.
    exports_ = loop_.every(std::chrono::milliseconds(5), [this] {
      for (std::size_t n = 0; n < std::min<std::size_t>(plan_.exports, 500); ++n, ++next_) {
        (void)server_->publish(record(cluster_, plan_, next_ % plan_.exports, turn_));
      }
    });
    announcements_ = loop_.every(std::chrono::milliseconds(50), [this] {
      ++turn_;
      if (plan_.announced + plan_.refused > 0) {
        (void)server_->publish(announcement(cluster_, plan_, turn_));
      }
    });
    if (plan_.restarts) {
      restarts_ = loop_.every(std::chrono::milliseconds(100), [this] { start(); });
    }
  }
  void start() {
    server_.reset();
    server_ = std::make_unique<FeedServer>(loop_, random_, key_);
    server_->set_callers(callers_);
    (void)server_->publish(announcement(cluster_, plan_, turn_));
    for (std::size_t n = 0; n < plan_.exports; ++n) {
      (void)server_->publish(record(cluster_, plan_, n, turn_));
    }
    server_->complete();
    if (const auto done = server_->listen(local_, 4798); !done)
      std::puts(done.error().text.c_str());
  }

  EventLoop loop_;
  SystemRandom random_;
  const tunnel::Key key_;
  const std::string cluster_;
  const IpAddress local_;
  const std::map<tunnel::Key, GatewayId> callers_;
  const Plan plan_;
  std::unique_ptr<FeedServer> server_;
  std::size_t turn_ = 0;
  std::size_t next_ = 0;
  Handle begins_;
  Handle exports_;
  Handle announcements_;
  Handle restarts_;
};

// Opens connections as fast as it can and holds the newest 6,000.
int connect_for_ever(const Endpoint& target, const IpAddress& local) {
  std::deque<UniqueFd> held;
  sockaddr_storage from{};
  const auto from_size = static_cast<socklen_t>(Endpoint{local, 0}.to_sockaddr(from));
  sockaddr_storage to{};
  const auto to_size = static_cast<socklen_t>(target.to_sockaddr(to));
  std::puts("speaking");
  (void)std::fflush(stdout);
  while (true) {
    UniqueFd fd(::socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), from_size) == 0) {
      (void)::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), to_size);
      held.push_back(std::move(fd));
    }
    if (!held.empty() && (held.size() > 6000 || !held.back())) held.pop_front();
    ::usleep(100);
  }
}

int usage() {
  std::puts("usage: see the top of tests/rogue/feed_main.cc");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 3) return usage();
  const auto key = tunnel::Key::from_base64(words[0]);
  if (!key) return usage();
  if (words[1].rfind("connections=", 0) == 0) {
    const auto target = Endpoint::parse(words[1].substr(words[1].find('=') + 1));
    const auto local = IpAddress::parse(words[2]);
    return target && local ? connect_for_ever(*target, *local) : usage();
  }
  const auto local = IpAddress::parse(words[2]);
  if (!local) return usage();
  Plan plan;
  std::map<tunnel::Key, GatewayId> callers;
  for (std::size_t n = 3; n < words.size(); ++n) {
    if (read(words[n], plan)) continue;
    // CLUSTER/ORDINAL=KEY: a gateway that may call.
    const auto slash = words[n].find('/');
    const auto equals = words[n].find('=');
    if (slash > equals || equals == std::string::npos) return usage();
    const auto peer = tunnel::Key::from_base64(words[n].substr(equals + 1));
    if (!peer) return usage();
    callers[*peer] = {words[n].substr(0, slash),
                      static_cast<std::uint32_t>(number(words[n].substr(slash + 1, equals)))};
  }
  Rogue(*key, words[1], *local, std::move(callers), std::move(plan)).run();
  return 0;
}
