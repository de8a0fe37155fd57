#include "gateway/feed/server.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <functional>
#include <mutex>
#include <set>
#include <utility>

#include "base/log.h"
#include "feed.grpc.pb.h"
#include "gateway/feed/feed_log.h"
#include "gateway/feed/grpc_log.h"
#include "gateway/feed/messages.h"
#include "gateway/feed/peer_address.h"

namespace cw::gateway {
namespace {

constexpr std::size_t kMaxQuery = 4096;            // bytes of a WatchRequest
constexpr std::size_t kServerMemory = 16U << 20U;  // of gRPC's buffers, all streams together

class Stream;

// What the loop thread and gRPC's threads share.
struct Shared {
  Shared(std::string instance, std::size_t max_withdrawn)
      : log(std::move(instance), max_withdrawn) {}
  std::mutex mutex;
  FeedLog log;
  std::map<IpAddress, GatewayId> callers;
  std::set<std::shared_ptr<Stream>> streams;
};

grpc::ByteBuffer buffer_of(const std::string& message) {
  const grpc::Slice slice(message);
  return {&slice, 1};
}

// One caller's stream. At most one write is under way, by whoever set `writing_`; Finish() is only
// called when none is, so the reactor lives until then. All members but buffer_ are under the
// shared mutex; gRPC is never called under it.
class Stream final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  Stream(std::shared_ptr<Shared> shared, GatewayId caller, IpAddress address,
         FeedLog::Cursor cursor)
      : shared_(std::move(shared)),
        caller_(std::move(caller)),
        address_(address),
        cursor_(cursor) {}

  [[nodiscard]] const GatewayId& caller() const { return caller_; }
  [[nodiscard]] const IpAddress& address() const { return address_; }

  // Under the mutex; pump() afterwards.
  void close(grpc::Status status) {
    if (!closing_) status_ = std::move(status);
    closing_ = true;
  }
  void beat() { beat_due_ = true; }

  // Writes the next message unless one is being written. Not under the mutex.
  void pump() {
    bool finish = false;
    {
      const std::lock_guard lock(shared_->mutex);
      if (writing_ || finished_) return;
      if (closing_) {
        finish = finished_ = true;
      } else {
        auto message = shared_->log.next(cursor_);
        if (!message && beat_due_) message = shared_->log.heartbeat(cursor_);
        if (!message) return;
        beat_due_ = false;
        writing_ = true;
        buffer_ = buffer_of(*message);
      }
    }
    if (finish) {
      Finish(status_);
    } else {
      StartWrite(&buffer_);
    }
  }

  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard lock(shared_->mutex);
      writing_ = false;
      if (!ok) close(grpc::Status::CANCELLED);
    }
    pump();
  }
  void OnCancel() override {
    {
      const std::lock_guard lock(shared_->mutex);
      close(grpc::Status::CANCELLED);
    }
    pump();
  }
  void OnDone() override {
    log_debug("feed stream ended", {{"cluster", caller_.cluster}, {"gateway", caller_.ordinal}});
    std::shared_ptr<Stream> self;  // dies last, outside the lock
    const std::lock_guard lock(shared_->mutex);
    self = std::move(self_);
    shared_->streams.erase(self);
  }

  void keep(std::shared_ptr<Stream> self) { self_ = std::move(self); }

 private:
  const std::shared_ptr<Shared> shared_;
  const GatewayId caller_;
  const IpAddress address_;
  std::shared_ptr<Stream> self_;  // until OnDone
  FeedLog::Cursor cursor_;
  grpc::ByteBuffer buffer_;
  grpc::Status status_;
  bool writing_ = false;
  bool closing_ = false;
  bool finished_ = false;
  bool beat_due_ = false;
};

class Denied final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  explicit Denied(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }  // gRPC's own pattern: a reactor ends itself
};

using Service =
    causeway::feed::v1::Feed::WithRawCallbackMethod_Watch<causeway::feed::v1::Feed::Service>;

class FeedService final : public Service {
 public:
  explicit FeedService(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  grpc::ServerWriteReactor<grpc::ByteBuffer>* Watch(grpc::CallbackServerContext* context,
                                                    const grpc::ByteBuffer* request) override {
    const auto deny = [](grpc::StatusCode code, const std::string& why) {
      return new Denied(grpc::Status(code, why));
    };
    const auto address = peer_address(context->peer());
    if (!address) return deny(grpc::StatusCode::PERMISSION_DENIED, address.error().text);
    grpc::Slice slice;
    if (request->Length() > kMaxQuery || !request->DumpToSingleSlice(&slice).ok()) {
      return deny(grpc::StatusCode::INVALID_ARGUMENT, "feed request: too large");
    }
    const auto query = parse_query({reinterpret_cast<const char*>(slice.begin()), slice.size()});
    if (!query) return deny(grpc::StatusCode::INVALID_ARGUMENT, query.error().text);
    auto stream = admit(*query, *address);
    if (stream == nullptr) {
      log_warn("feed caller refused", {{"address", address->to_string()},
                                       {"cluster", query->caller.cluster},
                                       {"gateway", query->caller.ordinal}});
      return deny(grpc::StatusCode::PERMISSION_DENIED, "not the gateway that is known here");
    }
    stream->pump();
    return stream.get();
  }

 private:
  // The caller's stream, in place of the one it had; null: the caller is not who it says.
  std::shared_ptr<Stream> admit(const WatchQuery& query, const IpAddress& address) {
    std::shared_ptr<Stream> stream;
    std::vector<std::shared_ptr<Stream>> replaced;
    {
      const std::lock_guard lock(shared_->mutex);
      const auto known = shared_->callers.find(address);
      if (known == shared_->callers.end() || known->second != query.caller) return nullptr;
      for (const auto& other : shared_->streams) {
        if (other->caller() != query.caller) continue;
        other->close({grpc::StatusCode::ABORTED, "replaced by a newer stream"});
        replaced.push_back(other);
      }
      stream = std::make_shared<Stream>(shared_, query.caller, address,
                                        shared_->log.start(query.resume_token));
      stream->keep(stream);
      shared_->streams.insert(stream);
    }
    for (const auto& other : replaced) other->pump();
    log_debug("feed stream began",
              {{"cluster", query.caller.cluster}, {"gateway", query.caller.ordinal}});
    return stream;
  }

  std::shared_ptr<Shared> shared_;
};

void configure(grpc::ServerBuilder& builder) {
  grpc::ResourceQuota quota("feed");
  quota.Resize(kServerMemory);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(static_cast<int>(kMaxQuery));
  builder.SetMaxSendMessageSize(static_cast<int>(kMaxMessage + kMaxResumeToken + 16));
  const std::pair<const char*, int> arguments[] = {
      {GRPC_ARG_ALLOW_REUSEPORT, 0},  // a taken port is an error, not a share
      {GRPC_ARG_MAX_CONCURRENT_STREAMS, 4},
      {GRPC_ARG_MAX_METADATA_SIZE, 8192},
      {GRPC_ARG_KEEPALIVE_TIME_MS, 5000},  // also sets TCP_USER_TIMEOUT: callers that vanish
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000},
      {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0},
      {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5000},
      {GRPC_ARG_MAX_CONNECTION_IDLE_MS, 30000},
      {GRPC_ARG_ENABLE_CHANNELZ, 0},
      {GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0},
  };
  for (const auto& [name, value] : arguments) builder.AddChannelArgument(name, value);
}

}  // namespace

struct FeedServer::State {
  State(Loop& loop, Random& random, const FeedServerConfig& config)
      : shared(
            std::make_shared<Shared>(fmt::format("{:016x}", random.next()), config.max_withdrawn)),
        service(shared) {
    heartbeat = loop.every(config.heartbeat, [this] {
      for (const auto& stream : all([](Stream& s) { s.beat(); })) stream->pump();
    });
  }
  ~State() { stop(); }

  // Every stream, after `change` under the mutex.
  template <typename Change>
  std::vector<std::shared_ptr<Stream>> all(const Change& change) {
    const std::lock_guard lock(shared->mutex);
    for (const auto& stream : shared->streams) change(*stream);
    return {shared->streams.begin(), shared->streams.end()};
  }
  void pump_all() {
    for (const auto& stream : all([](Stream&) {})) stream->pump();
  }
  // A change of the log, then the streams if it was one: most of what is published again is not.
  Result<> publish(const std::function<Result<bool>(FeedLog&)>& change) {
    const auto changed = [&] {
      const std::lock_guard lock(shared->mutex);
      return change(shared->log);
    }();
    if (!changed) return fail(changed.error());
    if (*changed) pump_all();
    return {};
  }

  void stop() {
    if (server == nullptr) return;
    const auto closing = all([](Stream& stream) {
      stream.close({grpc::StatusCode::UNAVAILABLE, "the gateway stops"});
    });
    for (const auto& stream : closing) stream->pump();
    // What is still being written to a caller that does not read is cancelled.
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
    server->Wait();
    server.reset();
    port = 0;
  }

  std::shared_ptr<Shared> shared;
  FeedService service;
  std::unique_ptr<grpc::Server> server;
  std::optional<IpAddress> address;
  std::uint16_t wanted_port = 0;
  std::uint16_t port = 0;
  Handle heartbeat;
};

FeedServer::FeedServer(Loop& loop, Random& random, FeedServerConfig config) {
  quiet_grpc();
  state_ = std::make_unique<State>(loop, random, config);
}

FeedServer::~FeedServer() = default;

Result<> FeedServer::listen(const IpAddress& address, std::uint16_t port) {
  auto& s = *state_;
  if (s.server != nullptr && s.address == address && s.wanted_port == port) return {};
  s.stop();
  grpc::ServerBuilder builder;
  configure(builder);
  int bound = 0;
  const auto name = Endpoint{address, port}.to_string();
  builder.AddListeningPort(name, grpc::InsecureServerCredentials(), &bound);
  builder.RegisterService(&s.service);
  s.server = builder.BuildAndStart();
  if (s.server == nullptr || bound == 0) {
    s.stop();
    return fail(Errc::kUnavailable, "feed: cannot listen on " + name);
  }
  s.address = address;
  s.wanted_port = port;
  s.port = static_cast<std::uint16_t>(bound);
  log_info("feed listens", {{"address", Endpoint{address, s.port}.to_string()}});
  return {};
}

bool FeedServer::listening() const { return state_->server != nullptr; }
std::uint16_t FeedServer::port() const { return state_->port; }

void FeedServer::set_callers(std::map<IpAddress, GatewayId> callers) {
  auto& s = *state_;
  {
    const std::lock_guard lock(s.shared->mutex);
    s.shared->callers = std::move(callers);
    for (const auto& stream : s.shared->streams) {
      const auto known = s.shared->callers.find(stream->address());
      if (known != s.shared->callers.end() && known->second == stream->caller()) continue;
      stream->close({grpc::StatusCode::PERMISSION_DENIED, "no longer known here"});
    }
  }
  s.pump_all();
}

Result<> FeedServer::publish(const Announcement& announcement) {
  return state_->publish([&](FeedLog& log) { return log.announce(announcement); });
}

Result<> FeedServer::publish(const api::ExportRecord& record) {
  return state_->publish([&](FeedLog& log) { return log.put(record); });
}

void FeedServer::withdraw(const api::ObjectKey& service) {
  (void)state_->publish([&](FeedLog& log) { return log.remove(service); });  // known or not
}

void FeedServer::complete() {
  (void)state_->publish([](FeedLog& log) {
    log.complete();
    return true;
  });
}

std::size_t FeedServer::streams() const {
  const std::lock_guard lock(state_->shared->mutex);
  return state_->shared->streams.size();
}

}  // namespace cw::gateway
