// causewayctl drain GATEWAY, undrain GATEWAY. drain asks a gateway to hand over its traffic, and
// waits until it has done so.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <thread>

#include "cli/commands.h"
#include "cli/session.h"

namespace cw::cli {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kHandoverPoll = milliseconds(100);
constexpr auto kHandoverPatience = seconds(30);

// `name`: "gateway-1" or "1".
Result<api::TunnelGateway> find_gateway(Session& session, const std::string& name) {
  auto all = session.list<api::TunnelGateway>();
  if (!all) return fail(std::move(all.error()));
  std::string names;
  for (auto& gateway : *all) {
    if (gateway.meta.key.name == name || std::to_string(gateway.spec.ordinal) == name) {
      return std::move(gateway);
    }
    names += (names.empty() ? "" : ", ") + gateway.meta.key.name;
  }
  return fail(Errc::kNotFound, fmt::format("there is no gateway {}; there are: {}", name,
                                           names.empty() ? "none" : names));
}

Result<api::TunnelGateway> mark(Session& session, const std::string& name, bool drain) {
  auto gateway = find_gateway(session, name);
  if (!gateway) return gateway;
  const std::string key(api::kDrainAnnotation);
  const bool marked = gateway->meta.annotations.count(key) != 0;
  if (marked == drain) return gateway;
  if (drain) {
    gateway->meta.annotations[key] = "true";
  } else {
    gateway->meta.annotations.erase(key);
  }
  if (auto done = session.put(*gateway); !done) return fail(std::move(done.error()));
  return gateway;
}

}  // namespace

int drain(const Options& options, const std::string& name) {
  auto session = Session::open(options.store);
  if (!session) return tell(session.error());
  const auto marked = mark(**session, name, true);
  if (!marked) return tell(marked.error());
  const auto& key = marked->meta.key;
  fmt::print("{} is draining\n", key.name);
  const auto end = std::chrono::steady_clock::now() + kHandoverPatience;
  std::size_t told = 0;
  for (;;) {
    const auto now = (*session)->get<api::TunnelGateway>(key);
    if (!now) return tell(now.error());
    if (!*now) return tell({Errc::kNotFound, fmt::format("{} is gone", key.name)});
    const auto& status = (*now)->status;
    if (status.draining && status.homed.empty()) break;
    if (status.draining && status.homed.size() != told) {
      told = status.homed.size();
      fmt::print("{} still carries {} {}\n", key.name, told, told == 1 ? "prefix" : "prefixes");
    }
    if (std::chrono::steady_clock::now() > end) {
      return tell({Errc::kUnavailable,
                   fmt::format("{} has not handed over within {} s: {}", key.name,
                               kHandoverPatience.count(),
                               !status.draining ? "it does not answer; is it running?"
                                                : "is another gateway of this cluster ready?")});
    }
    std::this_thread::sleep_for(kHandoverPoll);
  }
  fmt::print("{} carries no prefixes; `causewayctl undrain {}` returns it to service\n", key.name,
             key.name);
  return kOk;
}

int undrain(const Options& options, const std::string& name) {
  auto session = Session::open(options.store);
  if (!session) return tell(session.error());
  const auto marked = mark(**session, name, false);
  if (!marked) return tell(marked.error());
  fmt::print("{} is back in service; it carries prefixes again after its hold-down\n",
             marked->meta.key.name);
  return kOk;
}

}  // namespace cw::cli
