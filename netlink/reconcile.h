// The one writer of kernel state: it makes the kernel hold what an owner wants (state.h, owners.h).
// It dumps, compares and repairs. It adds before it removes, and makes an object before its users.
// A failed step stops no other step. Exception: without the nft table the guarded device carries
// nothing.
//
// Laws (tests/netlink/reconcile_test):
// * A second pass does nothing.
// * One pass reaches the state from any other; with a bound on routes, as many as the bound takes.
// * The next pass repairs a crash after any step.
// * remove_all() removes all objects of the owner and no other object.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "netlink/kernel.h"
#include "netlink/nexthops.h"
#include "netlink/nft_keeper.h"
#include "netlink/owners.h"
#include "netlink/pass_report.h"
#include "netlink/state.h"

namespace cw::netlink {

class Reconciler {
 public:
  using OnLoop = std::function<bool(const std::function<void()>&)>;  // Worker::ask()

  Reconciler(const Owner& owner, Kernel& kernel)
      : Reconciler(owner, kernel, kernel, [](const std::function<void()>& call) {
          call();
          return true;
        }) {}
  // The thread that runs pass() uses `slow`, the loop thread uses `kernel`: a pass may take long
  // (the nft program, a large dump, connection tracking).
  Reconciler(const Owner& owner, Kernel& kernel, Kernel& slow, OnLoop on_loop)
      : owner_(owner), nexthops_(kernel, owner), slow_(slow), on_loop_(std::move(on_loop)) {}

  // set_desired() and pass(), on one thread.
  PassReport apply(const State& desired);
  // Loop thread, before a pass() to the same state.
  void set_desired(const State& desired) { nexthops_.set_desired(desired.nexthops); }
  // On any one thread. Ends early if the loop is stopping. `sysctls`: false leaves those of
  // State::sysctls as they are.
  PassReport pass(const State& desired, bool sysctls = true);
  // The fast path (nexthops.h). Loop thread.
  PassReport change_nexthops(const NexthopMap& wanted) { return nexthops_.change(wanted); }

 private:
  [[nodiscard]] bool guard(const State& desired, PassReport& report);

  Owner owner_;
  Nexthops nexthops_;  // the loop thread's
  // Of the thread that runs pass():
  Kernel& slow_;
  OnLoop on_loop_;
  bool first_ = true;
  bool guarded_ = false;  // the table was written once
  State held_;            // what the last pass without errors left in the kernel
  std::map<std::string, std::uint32_t> devices_;  // the drivers' devices at that time, by name
  NftKeeper nft_;
};

// Removes all objects of the owner and no other. Sysctls stay: other programs may need them.
PassReport remove_all(Kernel& kernel, Owner owner);

}  // namespace cw::netlink
