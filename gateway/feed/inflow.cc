#include "gateway/feed/inflow.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/token_bucket.h"
#include "gateway/feed/announced.h"

namespace cw::gateway {
namespace {

constexpr double kChangesPerSecond = 50;
constexpr double kBurst = 12'000;  // more than kMaxExports: a whole sync and some changes
// A new block of a node takes effect at once, also in a large cluster. What comes while there is no
// token is merged.
constexpr double kAnnouncementTokensPerSecond = 1;
constexpr double kAnnouncementBurst = 50;
constexpr std::size_t kStepsPerTurn = 32;  // changes, or parts of a snapshot
// Any change of a large cluster is work for every program here, so it costs more.
constexpr double kPrefixesPerToken = 1000;
// Exports of a snapshot that one step compares: about as much work as one or two changes.
constexpr std::size_t kCompared = 32;
// Refusals become text of a condition: soon, but many at once.
constexpr Duration kPublishEvery = std::chrono::milliseconds(100);
// An export that spec.imports does not name costs this part of a change: each snapshot has it
// again.
constexpr double kUnstored = 0.05;

double cost_of(const NodePrefixes& nodes) {
  std::size_t prefixes = 0;
  for (const auto& [node, list] : nodes) prefixes += list.size();
  return 1 + static_cast<double>(prefixes) / kPrefixesPerToken;
}

}  // namespace

struct Inflow::Queue {
  std::optional<AnnouncedChange> announcement;
  TokenBucket announcements{kAnnouncementTokensPerSecond, kAnnouncementBurst};
  std::map<api::ObjectKey, std::optional<EncodedExport>> changes;  // empty: withdrawn
  std::deque<api::ObjectKey> order;  // keys of changes, the oldest first
  std::size_t bytes = 0;             // of changes
  // A snapshot that is compared with the known exports, from `compared` on. Its differences become
  // changes. A change that comes meanwhile is newer.
  std::optional<ExportMap> snapshot;
  std::optional<api::ObjectKey> compared;
  // Newer than the waiting change of the same export.
  std::map<api::ObjectKey, FeedFault> faults;
  bool completes = false;  // after the last change all exports are known
  TokenBucket tokens{kChangesPerSecond, kBurst};

  void set(const api::ObjectKey& key, std::optional<EncodedExport> said) {
    const auto [at, fresh] = changes.try_emplace(key);
    if (fresh) order.push_back(key);
    auto& slot = at->second;
    bytes -= slot ? slot->size() : 0;
    slot = std::move(said);
    bytes += slot ? slot->size() : 0;
  }
  // For the snapshot: a change that waits came after it, and stays.
  void set_older(const api::ObjectKey& key, std::optional<EncodedExport> said) {
    if (changes.count(key) == 0) set(key, std::move(said));
  }
  void clear() {
    snapshot.reset();
    compared.reset();
    changes.clear();
    faults.clear();
    order.clear();
    bytes = 0;
    completes = false;  // a part of the exports is unknown now
  }
  auto take_first() {
    auto change = changes.extract(order.front());
    order.pop_front();
    bytes -= change.mapped() ? change.mapped()->size() : 0;
    return change;
  }
  [[nodiscard]] bool too_much() const {
    return changes.size() > 2 * kMaxExports || bytes > kMaxExportBytes + kMaxMessage;
  }
};

struct Inflow::State {
  State(Loop& l, RemoteState& r, std::function<void(const std::string&)> again)
      : loop(l), remotes(r), resync(std::move(again)) {}

  void snapshot(const std::string& cluster, ExportMap&& all) {
    auto& waiting = queues[cluster];
    waiting.clear();
    waiting.completes = true;
    waiting.snapshot = std::move(all);
    waiting.compared = api::ObjectKey{};
    remotes.begin_snapshot(cluster);
  }

  // Compares one part of the snapshot. Only a difference becomes a change. So a resync costs
  // nothing where nothing changed.
  void compare(const std::string& cluster, Queue& waiting) const {
    auto& all = *waiting.snapshot;
    auto most = kCompared;
    if (waiting.compared) {
      const auto& known = remotes.exports(cluster);
      auto at = known.lower_bound(*waiting.compared);
      for (; at != known.end() && most > 0; ++at, --most) {
        const auto now = all.find(at->first);
        if (now == all.end()) {
          waiting.set_older(at->first, std::nullopt);
        } else if (now->second == at->second.said) {
          all.erase(now);
        }
      }
      waiting.compared = at == known.end() ? std::nullopt : std::optional(at->first);
    }
    for (; !waiting.compared && !all.empty() && most > 0; --most) {
      auto said = all.extract(all.begin());
      waiting.set_older(said.key(), std::move(said.mapped()));
    }
    if (waiting.compared || !all.empty()) return;
    waiting.snapshot.reset();
    std::erase_if(waiting.faults, [&](const auto& fault) {
      if (waiting.changes.count(fault.first) != 0) return false;
      remotes.refuse(cluster, fault.second);
      return true;
    });
  }

  // False: nothing is due now. `next` becomes the time when something is due.
  bool step(const std::string& cluster, Queue& waiting, TimePoint now, TimePoint& next) {
    if (waiting.announcement) {
      const auto pause = waiting.announcements.wait(now);
      if (pause == Duration::zero()) {
        remotes.announce(cluster, *std::exchange(waiting.announcement, std::nullopt));
        waiting.announcements.take(cost_of(remotes.announced(cluster)), now);
        return true;
      }
      next = std::min(next, now + pause);
    }
    if (waiting.snapshot) {
      compare(cluster, waiting);
      return true;
    }
    if (waiting.changes.empty()) {
      if (std::exchange(waiting.completes, false)) remotes.complete(cluster);
      return false;
    }
    const auto wait = waiting.tokens.wait(now);
    if (wait > Duration::zero()) {
      next = std::min(next, now + wait);
      return false;
    }
    auto change = waiting.take_first();
    bool stored = true;
    if (change.mapped()) {
      stored = remotes.put(cluster, change.key(), std::move(*change.mapped()));
    } else {
      remotes.withdraw(cluster, change.key());
    }
    waiting.tokens.take(stored ? 1 : kUnstored, now);
    if (const auto fault = waiting.faults.extract(change.key())) {
      remotes.refuse(cluster, fault.mapped());
    }
    return true;
  }

  void change(const std::string& cluster, const api::ObjectKey& service,
              std::optional<EncodedExport> said) {
    auto& waiting = queues[cluster];
    waiting.faults.erase(service);
    waiting.set(service, std::move(said));
    if (!waiting.too_much()) return;
    waiting.clear();
    overflowed.insert(cluster);
    overflow = loop.after(Duration::zero(), [this] {
      for (const auto& one : std::exchange(overflowed, {})) {
        if (resync) resync(one);
      }
    });
  }

  // A refusal of an export takes effect after the earlier change of that export.
  void refuse(const std::string& cluster, const FeedFault& fault) {
    auto& waiting = queues[cluster];
    const auto& service = fault.service;
    // While a snapshot is compared, the change of this export may still be to come.
    if (!service || (!waiting.snapshot && waiting.changes.count(*service) == 0)) {
      remotes.refuse(cluster, fault);
      return publish_refusals_soon();
    }
    waiting.faults.insert_or_assign(*service, fault);
  }

  // Publishes the RemoteState's refusals, all that come within 100 ms at once.
  void publish_refusals_soon() {
    if (publishing.active()) return;
    publishing = loop.after(kPublishEvery, [this] {
      publishing.reset();
      remotes.publish_refusals();
    });
  }

  void announce(const std::string& cluster, AnnouncedChange change) {
    auto& waiting = queues[cluster].announcement;
    if (!waiting) {
      waiting = std::move(change);
      return;
    }
    merge(std::move(change), *waiting);
    if (waiting->nodes.size() <= 2 * kMaxAnnouncedNodes) return;
    // Nodes that came and went while it waited must not be more and more.
    const auto& known = remotes.announced(cluster);
    std::erase_if(waiting->nodes, [&](const auto& node) {
      return node.second.empty() && known.count(node.first) == 0;
    });
  }

  void schedule() {
    if (std::exchange(due, true)) return;
    timer = loop.after(Duration::zero(), [this] { run_slice(); });
  }

  // One slice of everything that is due. Every cluster has its turn.
  void run_slice() {
    due = false;
    const auto now = loop.now();
    auto next = TimePoint::max();
    std::size_t left = kStepsPerTurn;
    bool more = true;
    while (more && left > 0) {
      more = false;
      for (auto& [cluster, waiting] : queues) {
        if (left == 0 || !step(cluster, waiting, now, next)) continue;
        more = true;
        --left;
      }
    }
    publish_refusals_soon();
    if (remotes.recheck(kStepsPerTurn) || more) return schedule();
    if (due || next == TimePoint::max()) return;
    timer = loop.after(next - now, [this] { run_slice(); });
  }

  Loop& loop;
  RemoteState& remotes;
  const std::function<void(const std::string&)> resync;
  std::map<std::string, Queue> queues;
  bool due = false;  // run_slice() runs in the next turn
  Handle timer;
  Handle publishing;
  std::set<std::string> overflowed;  // clusters that need a snapshot
  Handle overflow;
};

Inflow::Inflow(Loop& loop, RemoteState& remotes, std::function<void(const std::string&)> resync)
    : state_(std::make_unique<State>(loop, remotes, std::move(resync))) {}
Inflow::~Inflow() = default;

void Inflow::schedule() { state_->schedule(); }

std::size_t Inflow::waiting(const std::string& cluster) const {
  const auto found = state_->queues.find(cluster);
  if (found == state_->queues.end()) return 0;
  const auto& queue = found->second;
  return queue.changes.size() + (queue.snapshot ? queue.snapshot->size() : 0);
}

void Inflow::receive(const std::string& cluster, FeedBatch batch) {
  auto& s = *state_;
  if (batch.announcement) s.announce(cluster, std::move(*batch.announcement));
  if (batch.snapshot) s.snapshot(cluster, std::move(*batch.snapshot));
  for (auto& [service, said] : batch.changes) s.change(cluster, service, std::move(said));
  for (const auto& fault : batch.refused) s.refuse(cluster, fault);
  s.schedule();
}

}  // namespace cw::gateway
