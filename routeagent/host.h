// What this host has: its links, addresses and connected networks. A background job reads them
// after an event of the kernel, and at each resync. Loop thread only.
#pragma once

#include "routeagent/deps.h"
#include "routeagent/node/desired.h"

namespace cw::routeagent {

class Host {
 public:
  struct Hooks {
    std::function<void()> on_event;  // the kernel may have changed; facts() are old
    std::function<void()> on_read;   // a job has read the host
  };
  Host(const Deps& deps, Hooks hooks);

  // facts() are old.
  void invalidate() { dirty_ = true; }
  [[nodiscard]] bool dirty() const { return dirty_; }
  // True: a job reads the host now, and on_read follows. False: nothing has changed, or another job
  // runs. A change of the host in that time waits for the next job.
  bool refresh();
  [[nodiscard]] bool known() const { return dump_.has_value(); }
  // As last read, once known(). An error says what could not be read.
  [[nodiscard]] Result<HostFacts> facts(const NodeView& self) const;

 private:
  struct Dump {
    std::vector<netlink::Link> links;
    std::vector<netlink::Address> addresses;
    netlink::Connected connected;
    std::map<std::string, int> rp_filter;  // net.ipv4.conf.*.rp_filter, of "all" and each link
    std::vector<netlink::Rule> rules;      // ours
  };
  [[nodiscard]] static Result<Dump> dump(netlink::Kernel& kernel);
  void changed();

  netlink::Kernel& kernel_;  // for jobs in background_
  Background background_;
  Hooks hooks_;
  std::optional<Result<Dump>> dump_;
  bool dirty_ = true;     // the host may have changed since
  bool reading_ = false;  // a job reads it
  Handle events_;
  Handle resync_;
};

}  // namespace cw::routeagent
