#include "base/thread_role.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace cw {
namespace {

// nice +5 is about a third of the weight of nice 0 (sched(7): a factor of 1.25 per level).
constexpr int kNicer = 5;
constexpr int kLastNice = 19;

}  // namespace

void name_thread(const char* name) { (void)::pthread_setname_np(::pthread_self(), name); }

void give_way() {
  // Linux has one nice value per thread. Raising it needs no privileges. If a sandbox forbids it,
  // the thread keeps its priority.
  const auto self = static_cast<id_t>(::gettid());
  const int nice = std::min(::getpriority(PRIO_PROCESS, self) + kNicer, kLastNice);
  (void)::setpriority(PRIO_PROCESS, self, nice);
  const sched_param none{};
  (void)::sched_setscheduler(0, SCHED_BATCH, &none);
}

}  // namespace cw
