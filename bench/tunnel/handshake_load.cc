// Measures how many handshakes per second a WireGuard answers.
//   handshake_load keys N                          public keys of N initiators, for its peers
//   handshake_load run SERVER_KEY ENDPOINT N SEC   prints answered initiations per second
//   handshake_load flood SERVER_KEY ENDPOINT SEC   strangers' initiations as fast as possible
//   handshake_load garbage ENDPOINT SEC            data messages of no session as fast as possible
//   The last two print the messages sent, and the responses, cookies and others received.
// Initiations are made beforehand. 64 are under way at any time, so that a responder is busy but
// not flooded. The initiators use the cookies that they get.
#include <poll.h>
#include <sys/socket.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/unique_fd.h"
#include "tunnel/engine/cookie.h"
#include "tunnel/engine/device_state.h"
#include "tunnel/engine/noise.h"

namespace {

using namespace cw;
using namespace cw::tunnel;
using namespace cw::tunnel::engine;

constexpr std::size_t kUnderWay = 64;
constexpr std::size_t kPrepared = 30'000;

// The same keys in every run, so that `keys` and `run` agree.
Identity identity_of(std::size_t n) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(0x41);
  std::memcpy(bytes.data() + 8, &n, sizeof n);
  bytes[0] = 0x40;  // clamped
  bytes[31] = 0x41;
  const Key key(bytes);
  return {key, key.public_key()};
}

struct Caller {
  Caller(std::size_t n, const Key& server)
      : identity(identity_of(n)), handshake(identity, server, Key()), macs(server) {}
  Identity identity;
  Handshake handshake;
  Macs macs;
};

double measure(int fd, std::vector<std::unique_ptr<Caller>>& callers,
               std::vector<Initiation>& messages, double limit) {
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::size_t next = 0;
  std::size_t answered = 0;
  const auto send_one = [&](std::size_t n) {
    callers[n % callers.size()]->macs.sign(messages[n], boot_now());
    (void)::send(fd, messages[n].data(), messages[n].size(), 0);
  };
  while (next < kUnderWay) send_one(next++);
  std::array<std::uint8_t, 2048> buffer;
  while (elapsed() < limit && next < messages.size()) {
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, 100) <= 0) {  // all were lost: send more
      for (std::size_t i = 0; i < kUnderWay && next < messages.size(); ++i) send_one(next++);
      continue;
    }
    const auto n = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n <= 0) continue;
    const Bytes reply(buffer.data(), static_cast<std::size_t>(n));
    const auto type = message_type(reply);
    if (type == MessageType::kResponse) {
      ++answered;
      send_one(next++);
    } else if (type == MessageType::kCookie) {
      const auto which = receiver_of(reply);
      if (which >= messages.size()) continue;
      if (callers[which % callers.size()]->macs.take_reply(reply, boot_now())) send_one(which);
    }
  }
  return static_cast<double>(answered) / elapsed();
}

UniqueFd connect_to(const Endpoint& endpoint) {
  sockaddr_storage name{};
  const auto size = endpoint.to_sockaddr(name);
  UniqueFd fd(::socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name),
                      static_cast<socklen_t>(size)) != 0) {
    fd.reset();
  }
  return fd;
}

// A few hundred well-formed initiations with keys of no peer. Each costs the responder a
// Diffie-Hellman unless it asks for a cookie.
std::vector<Initiation> strangers_initiations(const Key& server) {
  SystemRandom random;
  std::vector<Initiation> messages;
  for (std::size_t n = 0; n < 300; ++n) {
    Caller stranger(1'000'000 + n, server);
    messages.push_back(
        *stranger.handshake.create_initiation(static_cast<std::uint32_t>(n), wall_now(), random));
    stranger.macs.sign(messages.back(), boot_now());
  }
  return messages;
}

// Well-formed data messages with made-up indices, counters and contents.
std::vector<Initiation> garbage() {
  SystemRandom random;
  std::vector<Initiation> messages(300);
  for (auto& message : messages) {
    random.fill(std::as_writable_bytes(std::span(message)));
    store_le<std::uint32_t>(message, 0, 4);
  }
  return messages;
}

// Sends the messages again and again.
int flood(const std::vector<Initiation>& messages, const char* endpoint_text, double limit) {
  const auto endpoint = Endpoint::parse(endpoint_text);
  if (!endpoint) return 2;
  const auto fd = connect_to(*endpoint);
  if (!fd) return 1;
  std::size_t sent = 0;
  std::size_t by_type[256] = {};
  const auto end =
      boot_now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(limit));
  while (boot_now() < end) {
    for (int i = 0; i < 32; ++i, ++sent) {
      const auto& message = messages[sent % messages.size()];
      (void)::send(fd.get(), message.data(), message.size(), 0);
    }
    std::uint8_t buffer[2048];
    while (::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) ++by_type[buffer[0]];
  }
  std::size_t all = 0;
  for (const auto n : by_type) all += n;
  std::printf("%zu %zu %zu %zu\n", sent, by_type[2], by_type[3], all - by_type[2] - by_type[3]);
  return 0;
}

int run(const char* server_text, const char* endpoint_text, std::size_t count, double limit) {
  const auto server = Key::from_base64(server_text);
  const auto endpoint = Endpoint::parse(endpoint_text);
  if (!server || !endpoint || count == 0) return 2;
  std::vector<std::unique_ptr<Caller>> callers;
  for (std::size_t n = 0; n < count; ++n) callers.push_back(std::make_unique<Caller>(n, *server));
  SystemRandom random;
  std::vector<Initiation> messages;
  const auto now = wall_now();
  for (std::size_t n = 0; n < kPrepared; ++n) {
    // Timestamps have steps of 17 ms, so the next one of an initiator must be later by more.
    const auto at = now + milliseconds(25 * static_cast<std::int64_t>(n / count));
    messages.push_back(*callers[n % count]->handshake.create_initiation(
        static_cast<std::uint32_t>(n), at, random));
  }
  const auto fd = connect_to(*endpoint);
  if (!fd) return 1;
  std::printf("%.0f\n", measure(fd.get(), callers, messages, limit));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const auto number = [](const char* text) {
    std::size_t value = 0;
    (void)std::from_chars(text, text + std::strlen(text), value);
    return value;
  };
  if (mode == "keys" && argc == 3) {
    for (std::size_t n = 0; n < number(argv[2]); ++n) {
      std::printf("%s\n", identity_of(n).public_key.base64().c_str());
    }
    return 0;
  }
  if (mode == "run" && argc == 6) {
    return run(argv[2], argv[3], number(argv[4]), static_cast<double>(number(argv[5])));
  }
  if (mode == "flood" && argc == 5) {
    const auto server = Key::from_base64(argv[2]);
    if (!server) return 2;
    return flood(strangers_initiations(*server), argv[3], static_cast<double>(number(argv[4])));
  }
  if (mode == "garbage" && argc == 4) {
    return flood(garbage(), argv[2], static_cast<double>(number(argv[3])));
  }
  std::fputs(
      "usage: handshake_load keys N | run SERVER_KEY ENDPOINT N SECONDS |\n"
      "       flood SERVER_KEY ENDPOINT SECONDS | garbage ENDPOINT SECONDS\n",
      stderr);
  return 2;
}
