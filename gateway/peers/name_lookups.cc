#include "gateway/peers/name_lookups.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cstdlib>
#include <memory>
#include <utility>

#include "base/log.h"

namespace cw::gateway {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

bool is_empty_answer(int code) {
  return code == EAI_NONAME || code == EAI_NODATA || code == EAI_ADDRFAMILY;
}

}  // namespace

Result<std::vector<IpAddress>> addresses_of_name(const std::string& name) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;  // one entry per address
  addrinfo* raw = nullptr;
  const int code = ::getaddrinfo(name.c_str(), nullptr, &hints, &raw);
  const std::unique_ptr<addrinfo, FreeAddresses> list(raw);
  if (is_empty_answer(code)) return fail(Errc::kNotFound, "has no address");
  if (code != 0) {
    return fail(Errc::kUnavailable,
                fmt::format("cannot be looked up: {}",
                            code == EAI_AGAIN ? "no name server answers" : ::gai_strerror(code)));
  }
  std::vector<IpAddress> found;
  for (const auto* one = list.get(); one != nullptr; one = one->ai_next) {
    const auto endpoint = Endpoint::from_sockaddr(one->ai_addr, one->ai_addrlen);
    if (endpoint) found.push_back(endpoint->address);
  }
  return found;
}

void limit_lookup_time() {
  ::setenv("RES_OPTIONS", "timeout:2 attempts:1", 0);  // NOLINT(concurrency-mt-unsafe): at start
}

NameLookups::NameLookups(Loop& loop, Background background, NameLookup lookup,
                         std::function<void()> on_change)
    : loop_(loop),
      background_(std::move(background)),
      lookup_(std::move(lookup)),
      on_change_(std::move(on_change)) {}

void NameLookups::set_wanted(const std::map<NameOf, bool>& wanted) {
  book_.set_wanted(wanted);
  look();
}

void NameLookups::look() {
  if (busy_ || !lookup_) return;
  const auto name = book_.due(loop_.now());
  if (!name) return;
  busy_ = true;
  const bool taken = background_.run([this, name = *name, lookup = lookup_] {
    auto found = lookup(name.name);
    return [this, name, found = std::move(found)] { receive(name, found); };
  });
  if (!taken) busy_ = false;
}

void NameLookups::receive(const NameOf& name, const Result<std::vector<IpAddress>>& found) {
  busy_ = false;
  const auto before = book_.trouble(name);
  const bool changed = book_.record(name, found, loop_.now());
  const auto after = book_.trouble(name);
  if (!after.empty() && after != before) {
    log_warn("the name of a gateway's endpoint gives no addresses, trying again",
             {{"cluster", name.cluster}, {"name", name.name}, {"error", after}});
  }
  if (changed) on_change_();
  look();
}

}  // namespace cw::gateway
