// Looks up the DNS names of remote gateways on a worker thread, one at a time, and keeps the
// results in a NameBook. The loop never waits for a name server. Loop thread only, except
// addresses_of_name().
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/worker.h"
#include "gateway/peers/name_book.h"

namespace cw::gateway {

// All addresses of a DNS name, in the order of RFC 6724. It blocks, so it belongs on a worker.
// kNotFound: the name has no address. kUnavailable: no name server answered. With the options of
// limit_lookup_time() it ends within 6 s: 2 s for each of at most three name servers.
[[nodiscard]] Result<std::vector<IpAddress>> addresses_of_name(const std::string& name);
// Sets the resolver's time limits for this process, unless RES_OPTIONS is set. Call it before the
// first thread.
void limit_lookup_time();

using NameLookup = std::function<Result<std::vector<IpAddress>>(const std::string& name)>;

class NameLookups {
 public:
  // `on_change`: addresses or troubles changed.
  NameLookups(Loop& loop, Background background, NameLookup lookup,
              std::function<void()> on_change);

  // The whole set of names. True: a gateway with that name does not work. Call it at each pass.
  void set_wanted(const std::map<NameOf, bool>& wanted);
  // Begins a lookup if one is due. Call it about every second.
  void look();
  [[nodiscard]] const NameBook& book() const { return book_; }

 private:
  void receive(const NameOf& name, const Result<std::vector<IpAddress>>& found);

  Loop& loop_;
  Background background_;
  NameLookup lookup_;
  std::function<void()> on_change_;
  NameBook book_;
  bool busy_ = false;
};

}  // namespace cw::gateway
