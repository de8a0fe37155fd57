#include "gateway/feed/stream.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <mutex>
#include <utility>

#include "base/mailbox.h"

namespace cw::gateway {
namespace {

constexpr std::size_t kMaxRefused = 16;
constexpr const char* kMethod = "/causeway.feed.v1.Feed/Watch";

struct Wake {};

// Between gRPC's threads and the loop.
class Inbox {
 public:
  explicit Inbox(Mailbox<Wake>::Sender wake) : wake_(std::move(wake)) {}

  // False: over the limits, the stream must end.
  bool take(FeedEvent event, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    bytes_ += bytes;
    if (!event.resume_token.empty()) {
      pending_.resume_token = std::move(event.resume_token);
      pending_.live = true;
    }
    std::visit([this](auto& statement) { apply(std::move(statement)); }, event.statement);
    wake();
    const auto assembled = assembling_ ? assembling_->size() : 0;
    return assembled <= kMaxExports && pending_.changes.size() <= kMaxExports &&
           bytes_ <= kMaxExportBytes + kMaxMessage;
  }
  void refuse(Error error) {
    const std::lock_guard lock(mutex_);
    if (pending_.refused.size() < kMaxRefused) pending_.refused.push_back(std::move(error));
    wake();
  }
  void end(Error error) {
    const std::lock_guard lock(mutex_);
    if (!pending_.ended) pending_.ended = std::move(error);
    wake();
  }
  FeedBatch drain() {
    const std::lock_guard lock(mutex_);
    if (!assembling_) bytes_ = 0;
    return std::exchange(pending_, {});
  }

 private:
  // False from push() means that a wake is waiting already (or nobody is left to wake).
  void wake() { (void)wake_.push({}); }

  void apply(SnapshotBegin) {
    assembling_.emplace();
    bytes_ = 0;
  }
  void apply(SnapshotEnd) {
    if (!assembling_) return;
    pending_.snapshot = std::move(*assembling_);
    pending_.changes.clear();
    assembling_.reset();
  }
  void apply(Heartbeat) {}
  void apply(Announcement&& announcement) { pending_.announcement = std::move(announcement); }
  void apply(api::ExportRecord&& record) {
    auto key = record.service;
    if (assembling_) {
      assembling_->insert_or_assign(std::move(key), std::move(record));
    } else {
      pending_.changes.insert_or_assign(std::move(key), std::move(record));
    }
  }
  void apply(Withdrawn&& withdrawn) {
    if (assembling_) {
      assembling_->erase(withdrawn.service);
    } else {
      pending_.changes.insert_or_assign(std::move(withdrawn.service), std::nullopt);
    }
  }

  std::mutex mutex_;
  Mailbox<Wake>::Sender wake_;
  FeedBatch pending_;
  std::optional<ExportMap> assembling_;
  std::size_t bytes_ = 0;  // of messages in pending_ and assembling_
};

// Owns the call; lives until gRPC is done with it, whatever happens to the FeedStream.
class Reader final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Reader(std::shared_ptr<Inbox> inbox, std::string cluster)
      : inbox_(std::move(inbox)), cluster_(std::move(cluster)) {}

  void start(int fd, const WatchQuery& query, std::shared_ptr<Reader> self) {
    self_ = std::move(self);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(static_cast<int>(kMaxMessage + kMaxResumeToken + 16));
    arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 8192);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
    arguments.SetInt(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
    channel_ = grpc::CreateCustomInsecureChannelFromFd("feed", fd, arguments);
    const auto bytes = encode_query(query);
    const grpc::Slice slice(bytes);
    request_ = grpc::ByteBuffer(&slice, 1);
    grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(channel_);
    stub.PrepareBidiStreamingCall(&context_, kMethod, grpc::StubOptions(), this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&response_);
    StartCall();
  }
  void cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;  // OnDone follows
    grpc::Slice slice;
    if (!response_.DumpToSingleSlice(&slice).ok()) return cancel();
    auto event =
        parse_event({reinterpret_cast<const char*>(slice.begin()), slice.size()}, cluster_);
    if (!event) {
      inbox_->refuse(std::move(event.error()));
    } else if (!inbox_->take(std::move(*event), slice.size())) {
      inbox_->end({Errc::kTooLarge, "feed: more exports than are taken from one cluster"});
      return cancel();
    }
    response_.Clear();
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    inbox_->end({Errc::kUnavailable,
                 "feed: stream ended: " +
                     (status.error_message().empty() ? "by the server" : status.error_message())});
    const auto self = std::move(self_);  // the last reference, perhaps
  }

 private:
  std::shared_ptr<Inbox> inbox_;
  std::string cluster_;
  std::shared_ptr<Reader> self_;  // until OnDone
  std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
};

}  // namespace

struct FeedStream::State {
  State(Loop& loop, OnBatch callback)
      : on_batch(std::move(callback)), mailbox(loop, 1, [this](Wake) {
          auto batch = inbox->drain();
          const auto call = on_batch;  // outlives us, should the callback destroy the stream
          call(std::move(batch));
        }) {}

  OnBatch on_batch;
  Mailbox<Wake> mailbox;
  std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>(mailbox.sender());
  std::shared_ptr<Reader> reader;
};

FeedStream::FeedStream(Loop& loop, UniqueFd connected, const std::string& cluster,
                       const WatchQuery& query, OnBatch on_batch)
    : state_(std::make_unique<State>(loop, std::move(on_batch))) {
  state_->reader = std::make_shared<Reader>(state_->inbox, cluster);
  state_->reader->start(connected.release(), query, state_->reader);
}

FeedStream::~FeedStream() { state_->reader->cancel(); }

}  // namespace cw::gateway
