#include "gateway/feed/stream.h"

#include <grpcpp/alarm.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/mailbox.h"
#include "base/thread_role.h"
#include "gateway/feed/announced.h"
#include "gateway/feed/message_tag.h"

namespace cw::gateway {
namespace {

// Dropped messages that are reported; the rest is only dropped.
constexpr std::size_t kMaxRefused = 100;
constexpr std::size_t kPeerMemory = 16U << 20U;  // for gRPC's buffers of one stream
constexpr int kLookahead = 256 << 10;            // bytes in flight that were not read yet
// A pause is taken in pieces, so that a stream that has ended goes soon.
constexpr Duration kLongestPause = std::chrono::milliseconds(200);
// A busy stream costs the loop one turn every 10 ms, with at most this many changes.
constexpr Duration kBetweenBatches = std::chrono::milliseconds(10);
constexpr std::size_t kChangesPerBatch = 256;
constexpr const char* kMethod = "/causeway.feed.v1.Feed/Watch";

struct Wake {};

std::size_t size_of(const std::optional<EncodedExport>& said) { return said ? said->size() : 0; }

// The hand-over between the network thread and the loop.
class Inbox {
 public:
  explicit Inbox(Mailbox<Wake>::Sender wake) : wake_(std::move(wake)) {}

  // False: over the limits, so the stream must end.
  bool receive(FeedEvent event) {
    const std::lock_guard lock(mutex_);
    if (!event.resume_token.empty()) {
      pending_.resume_token = std::move(event.resume_token);
      pending_.live = true;
    }
    std::visit([this](auto& statement) { apply(statement); }, event.statement);
    wake();
    const auto assembled = assembling_ ? assembling_->size() : 0;
    return assembled <= kMaxExports && pending_.changes.size() <= kMaxExports &&
           assembling_bytes_ <= kMaxExportBytes + kMaxMessage &&
           changes_bytes_ <= kMaxExportBytes + kMaxMessage;
  }
  void refuse(FeedFault fault) {
    const std::lock_guard lock(mutex_);
    // Faults inside a snapshot are reported, or dropped, together with it.
    const bool inside = assembling_ && fault.subject != kAnnouncementSubject;
    keep(inside ? faults_ : pending_.refused, std::move(fault));
    wake();
  }
  void end(Error error, Duration pause = {}) {
    const std::lock_guard lock(mutex_);
    if (!pending_.ended) {
      pending_.ended = std::move(error);
      pending_.pause = pause;
    }
    wake();
  }
  // Takes at most `most` changes. The token, the faults and the end depend on all changes, so they
  // come with the last ones.
  FeedBatch drain(std::size_t most) {
    const std::lock_guard lock(mutex_);
    woken_ = false;
    if (pending_.changes.size() <= most) {
      changes_bytes_ = 0;
      return std::exchange(pending_, {});
    }
    FeedBatch batch;
    batch.announcement = std::exchange(pending_.announcement, std::nullopt);
    batch.snapshot = std::exchange(pending_.snapshot, std::nullopt);
    batch.report = std::exchange(pending_.report, std::nullopt);
    batch.live = pending_.live;
    for (; most > 0; --most) {
      auto change = pending_.changes.extract(pending_.changes.begin());
      changes_bytes_ -= size_of(change.mapped());
      batch.changes.insert(batch.changes.end(), std::move(change));
    }
    wake();
    return batch;
  }

 private:
  void wake() {
    if (woken_) return;
    woken_ = true;
    (void)wake_.push({});  // false: there is no loop to wake
  }

  static void keep(std::vector<FeedFault>& faults, FeedFault fault) {
    forget(faults, fault.subject);
    if (faults.size() < kMaxRefused) faults.push_back(std::move(fault));
  }
  static void forget(std::vector<FeedFault>& faults, const std::string& subject) {
    std::erase_if(faults, [&](const FeedFault& fault) { return fault.subject == subject; });
  }

  void apply(const SnapshotBegin&) {
    assembling_.emplace();
    faults_.clear();
    assembling_bytes_ = 0;
  }
  void apply(const SnapshotEnd&) {
    if (!assembling_) return;
    pending_.snapshot = std::move(*assembling_);
    pending_.changes.clear();
    changes_bytes_ = 0;
    assembling_.reset();
    assembling_bytes_ = 0;
    std::erase_if(pending_.refused,
                  [](const FeedFault& fault) { return fault.subject != kAnnouncementSubject; });
    for (auto& fault : std::exchange(faults_, {})) pending_.refused.push_back(std::move(fault));
  }
  void apply(const Heartbeat&) {}
  void apply(AnnouncedChange& said) {
    auto change = announced_.take(std::move(said));
    if (!change) {
      return keep(pending_.refused, {std::string(kAnnouncementSubject), std::move(change.error())});
    }
    forget(pending_.refused, std::string(kAnnouncementSubject));
    auto& waiting = pending_.announcement;
    if (!waiting) {
      waiting = std::move(*change);
    } else if (waiting->nodes.size() <= kMaxAnnouncedNodes) {
      merge(std::move(*change), *waiting);
    } else {
      waiting = announced_.whole();  // not more and more nodes that are gone
    }
  }
  void apply(const api::ExportRecord& record) { put(record.service, EncodedExport(record)); }
  void apply(RefusalReport& report) { pending_.report = std::move(report); }
  void apply(const Withdrawn& withdrawn) { put(withdrawn.service, std::nullopt); }

  void put(const api::ObjectKey& key, std::optional<EncodedExport> said) {
    auto& faults = assembling_ ? faults_ : pending_.refused;
    if (!faults.empty()) forget(faults, export_subject(key));
    if (!assembling_) {
      auto& slot = pending_.changes[key];
      changes_bytes_ += size_of(said) - size_of(slot);
      slot = std::move(said);
      return;
    }
    if (const auto known = assembling_->find(key); known != assembling_->end()) {
      assembling_bytes_ -= known->second.size();
      assembling_->erase(known);
    }
    assembling_bytes_ += size_of(said);
    if (said) assembling_->emplace(key, std::move(*said));
  }

  std::mutex mutex_;
  Mailbox<Wake>::Sender wake_;
  bool woken_ = false;  // the loop was told since the last drain()
  FeedBatch pending_;
  std::optional<ExportMap> assembling_;
  std::vector<FeedFault> faults_;  // of the snapshot in assembling_
  AnnouncedOwners announced_;
  std::size_t changes_bytes_ = 0;  // of pending_.changes
  std::size_t assembling_bytes_ = 0;
};

// Owns the call. It lives until gRPC is done with it, whatever happens to the FeedStream. Its steps
// follow one another on the network thread: start, send the request, read (and pause) again and
// again, finish.
class Reader {
 public:
  Reader(std::shared_ptr<Inbox> inbox, std::string cluster, const FeedSession& session,
         std::shared_ptr<ReadBudget> budget)
      : inbox_(std::move(inbox)),
        cluster_(std::move(cluster)),
        session_(session),
        tags_(session.server_key),
        budget_(std::move(budget)) {}

  void start(UniqueFd fd, const WatchQuery& query, grpc::CompletionQueue& queue,
             std::shared_ptr<Reader> self) {
    self_ = std::move(self);
    queue_ = &queue;
    fd_ = std::move(fd);
    query_ = encode_query(query);
    alarm_.Set(queue_, std::chrono::system_clock::now(), this);
  }
  void cancel() {  // any thread
    cancelled_ = true;
    context_.TryCancel();
  }

  // Called when a step is done. False: no step follows, so the Reader may go.
  bool proceed(bool ok) {
    if (step_ == Step::kBegin) {
      begin();
      return true;
    }
    if (step_ == Step::kFinish) {
      const auto& why = status_.error_message();
      inbox_->end(
          {Errc::kUnavailable, "feed: stream ended: " + (why.empty() ? "by the server" : why)});
      return false;
    }
    // A cancelled alarm is not the stream's end.
    if (step_ != Step::kRest && (!ok || (step_ == Step::kRead && !receive()))) {
      step_ = Step::kFinish;
      call_->Finish(&status_, this);
    } else if (step_ == Step::kStart) {
      step_ = Step::kRequest;
      call_->WriteLast(request_, grpc::WriteOptions(), this);
    } else {
      wait();
    }
    return true;
  }
  // Returns the reference that kept it alive.
  std::shared_ptr<Reader> release() { return std::move(self_); }

 private:
  enum class Step { kBegin, kStart, kRequest, kRead, kRest, kFinish };

  static TimePoint now() { return std::chrono::steady_clock::now(); }

  // On the network thread, which gives way: so do the threads that gRPC may start here.
  void begin() {
    grpc::ChannelArguments arguments;
    grpc::ResourceQuota quota("feed of a peer");
    quota.Resize(kPeerMemory);
    arguments.SetResourceQuota(quota);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kLookahead);
    arguments.SetMaxReceiveMessageSize(
        static_cast<int>(kMaxMessage + kMaxResumeToken + 16 + kMessageTag));
    arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 8192);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
    arguments.SetInt(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
    channel_ = grpc::CreateCustomInsecureChannelFromFd("feed", fd_.release(), arguments);
    const auto bytes = MessageTags(session_.caller_key).seal(query_);
    const grpc::Slice slice(bytes);
    request_ = grpc::ByteBuffer(&slice, 1);
    call_ = grpc::GenericStub(channel_).PrepareCall(&context_, kMethod, queue_);
    step_ = Step::kStart;
    call_->StartCall(this);
  }
  // Reads the next message once the budget has room for it.
  void wait() {
    const auto left = readable_ - now();
    if (left > Duration::zero() && !cancelled_) {
      step_ = Step::kRest;
      const auto pause = std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::min(left, kLongestPause));
      alarm_.Set(queue_, std::chrono::system_clock::now() + pause, this);
      return;
    }
    step_ = Step::kRead;
    response_.Clear();
    call_->Read(&response_, this);
  }

  // Hands over the message that was read. False: the stream must end.
  bool receive() {
    grpc::Slice slice;
    if (!response_.DumpToSingleSlice(&slice).ok()) {
      cancel();
      return false;
    }
    readable_ = now() + budget_->after(slice.size(), now());
    const auto bytes = tags_.open({reinterpret_cast<const char*>(slice.begin()), slice.size()});
    if (!bytes) return end(bytes.error());
    auto event = parse_event(*bytes, cluster_);
    if (!event) {
      inbox_->refuse(fault_of(*bytes, std::move(event.error())));
      return true;
    }
    if (std::holds_alternative<SnapshotBegin>(event->statement)) {
      const auto pause = budget_->snapshot(now());
      if (pause > Duration::zero()) {
        return end({Errc::kUnavailable, std::string(kTooManySnapshots)}, pause);
      }
    }
    if (inbox_->receive(std::move(*event))) return true;
    return end({Errc::kTooLarge, "feed: the cluster sends more exports than the limit"});
  }
  bool end(Error why, Duration pause = {}) {  // false
    inbox_->end(std::move(why), pause);
    cancel();
    return false;
  }

  std::shared_ptr<Inbox> inbox_;
  std::string cluster_;
  FeedSession session_;
  MessageTags tags_;
  std::shared_ptr<ReadBudget> budget_;
  TimePoint readable_{};
  std::atomic<bool> cancelled_{false};
  grpc::CompletionQueue* queue_ = nullptr;
  grpc::Alarm alarm_;
  Step step_ = Step::kBegin;
  UniqueFd fd_;
  std::string query_;
  std::shared_ptr<Reader> self_;  // until gRPC is done
  std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  grpc::Status status_;
};

}  // namespace

struct FeedNetwork::State {
  void run() {
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) {
      auto* reader = static_cast<Reader*>(tag);
      // Lets ThreadSanitizer see the hand-over from the thread that started the reader.
      { const std::lock_guard lock(mutex); }
      if (reader->proceed(ok)) continue;
      const auto last = reader->release();
      const std::lock_guard lock(mutex);
      if (--readers == 0) quiet.notify_all();
    }
  }

  grpc::CompletionQueue queue;
  std::mutex mutex;
  std::condition_variable quiet;
  std::size_t readers = 0;  // readers that may still start a step
  std::thread thread;
};

FeedNetwork::FeedNetwork() : state_(std::make_unique<State>()) {
  state_->thread = std::thread([s = state_.get()] {
    name_thread("cw-feed-read");
    give_way();
    s->run();
  });
}

FeedNetwork::~FeedNetwork() {
  {
    // No step may start after Shutdown(). All readers are cancelled, so they end.
    std::unique_lock lock(state_->mutex);
    state_->quiet.wait(lock, [this] { return state_->readers == 0; });
  }
  state_->queue.Shutdown();
  state_->thread.join();
}

struct FeedStream::State {
  State(Loop& on_loop, OnBatch callback)
      : loop(on_loop),
        on_batch(std::move(callback)),
        mailbox(loop, 1, [this](Wake) { schedule(); }) {}

  void schedule() {
    const auto wait = next_batch - loop.now();
    if (wait <= Duration::zero()) return deliver();
    timer = loop.after(wait, [this] { deliver(); });
  }
  void deliver() {
    next_batch = loop.now() + kBetweenBatches;
    auto batch = inbox->drain(kChangesPerBatch);
    const auto call = on_batch;  // a copy: the callback may destroy the stream
    call(std::move(batch));
  }

  Loop& loop;
  OnBatch on_batch;
  TimePoint next_batch{};
  Handle timer;
  Mailbox<Wake> mailbox;
  std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>(mailbox.sender());
  std::shared_ptr<Reader> reader;
};

Duration ReadBudget::snapshot(TimePoint now) {
  const auto wait = snapshots_.wait(now);
  if (wait == Duration::zero()) snapshots_.take(1, now);
  return wait;
}

Duration ReadBudget::after(std::size_t bytes, TimePoint now) {
  messages_.take(1, now);
  bytes_.take(static_cast<double>(bytes), now);
  return std::max(messages_.wait(now), bytes_.wait(now));
}

FeedStream::FeedStream(Loop& loop, FeedNetwork& network, Wire wire, const std::string& cluster,
                       const WatchQuery& query, OnBatch on_batch)
    : state_(std::make_unique<State>(loop, std::move(on_batch))) {
  state_->reader =
      std::make_shared<Reader>(state_->inbox, cluster, wire.session, std::move(wire.budget));
  auto& net = *network.state_;
  const std::lock_guard lock(net.mutex);
  ++net.readers;
  state_->reader->start(std::move(wire.connected), query, net.queue, state_->reader);
}

FeedStream::~FeedStream() { state_->reader->cancel(); }

}  // namespace cw::gateway
