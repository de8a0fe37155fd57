#include "base/thread_role.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>

namespace cw {
namespace {

struct Role {
  std::string name;
  int nice = 0;
  int policy = 0;
};

Role own_role() {
  std::array<char, 16> name{};
  (void)::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return {name.data(), ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())),
          ::sched_getscheduler(0)};
}

TEST(ThreadRole, AThreadThatGivesWayAndWhatItStartsAreNicerThanTheRest) {
  const auto before = own_role();
  Role nicer;
  Role child;
  std::thread([&] {
    name_thread("feed");
    give_way();
    nicer = own_role();
    std::thread([&] { child = own_role(); }).join();
  }).join();
  EXPECT_EQ(nicer.name, "feed");
  EXPECT_EQ(nicer.nice, std::min(before.nice + 5, 19));
  EXPECT_EQ(nicer.policy, SCHED_BATCH);
  EXPECT_EQ(child.nice, nicer.nice);
  EXPECT_EQ(child.policy, SCHED_BATCH);
  EXPECT_EQ(own_role().nice, before.nice);
  EXPECT_EQ(own_role().policy, before.policy);
}

}  // namespace
}  // namespace cw
