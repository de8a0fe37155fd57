#include "gateway/feed/server.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_posix.h>

#include <functional>
#include <mutex>
#include <set>
#include <utility>

#include "base/log.h"
#include "base/token_bucket.h"
#include "feed.grpc.pb.h"
#include "gateway/feed/feed_log.h"
#include "gateway/feed/grpc_process.h"
#include "gateway/feed/message_tag.h"
#include "gateway/feed/messages.h"
#include "gateway/feed/refusal_board.h"

namespace cw::gateway {
namespace {

constexpr std::size_t kMaxQuery = 4096;            // bytes of a WatchRequest
constexpr std::size_t kServerMemory = 16U << 20U;  // for gRPC's buffers, all streams together

class Stream;

// Shared by the loop thread and gRPC's threads.
struct Shared {
  Shared(std::string instance, const FeedServerConfig& c)
      : config(c), log(std::move(instance), c.max_withdrawn) {}
  const FeedServerConfig config;
  std::mutex mutex;
  FeedLog log;
  RefusalBoard refusals;
  // By gRPC's name for the connection, "fd:12". The door ends connections that are no longer
  // allowed.
  std::map<std::string, std::weak_ptr<const FeedCaller>> callers;
  std::map<tunnel::Key, GatewayId> known;
  std::set<std::shared_ptr<Stream>> streams;
  std::map<GatewayId, TokenBucket> starts;  // of streams, for each gateway that ever called
  std::set<GatewayId> liars;                // gateways whose false requests were logged

  // A mutex of its own, because gRPC may call back while it takes a connection.
  std::mutex handing_over;
  grpc::Server* server = nullptr;  // null: it stops and takes no connection
};

grpc::ByteBuffer buffer_of(const std::string& message) {
  const grpc::Slice slice(message);
  return {&slice, 1};
}

// The stream of one caller. `writing_` makes sure that at most one write is under way. Finish() is
// called only when none is, so the reactor lives until then. The shared mutex guards all members
// but buffer_ and tags_. gRPC is never called under it.
class Stream final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  Stream(std::shared_ptr<Shared> shared, std::shared_ptr<const FeedCaller> caller,
         FeedLog::Cursor cursor)
      : shared_(std::move(shared)),
        caller_(std::move(caller)),
        tags_(caller_->session.server_key),
        cursor_(std::move(cursor)) {}

  [[nodiscard]] const FeedCaller& caller() const { return *caller_; }

  // Call it under the mutex, and pump() afterwards without it.
  void close(grpc::Status status) {
    if (!closing_) status_ = std::move(status);
    closing_ = true;
  }
  void beat() { beat_due_ = true; }

  // Writes the next message, unless a write is under way. Not under the mutex.
  void pump() {
    bool finish = false;
    std::optional<std::string> message;
    {
      const std::lock_guard lock(shared_->mutex);
      if (writing_ || finished_) return;
      if (closing_) {
        finish = finished_ = true;
      } else {
        message = shared_->refusals.next(caller_->id.cluster, reported_);
        if (!message) message = shared_->log.next(cursor_);
        if (!message && beat_due_) message = shared_->log.heartbeat(cursor_);
        if (!message) return;
        beat_due_ = false;
        writing_ = true;
      }
    }
    if (finish) {
      Finish(status_);
    } else {
      buffer_ = buffer_of(tags_.seal(*message));
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
    log_debug("feed stream ended",
              {{"cluster", caller_->id.cluster}, {"gateway", caller_->id.ordinal}});
    std::shared_ptr<Stream> self;  // destroyed last, outside the lock
    const std::lock_guard lock(shared_->mutex);
    self = std::move(self_);
    shared_->streams.erase(self);
  }

  void live(std::shared_ptr<Stream> self) { self_ = std::move(self); }

 private:
  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<const FeedCaller> caller_;
  MessageTags tags_;
  std::shared_ptr<Stream> self_;  // until OnDone
  FeedLog::Cursor cursor_;
  std::uint64_t reported_ = 0;  // version of the refusal report that was sent
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
  void OnDone() override { delete this; }  // gRPC's own pattern: a reactor deletes itself
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
    const auto caller = caller_of(context->peer());
    if (caller == nullptr) {
      return deny(grpc::StatusCode::PERMISSION_DENIED, "the connection has no proven key");
    }
    grpc::Slice slice;
    if (request->Length() > kMaxQuery || !request->DumpToSingleSlice(&slice).ok()) {
      return deny(grpc::StatusCode::INVALID_ARGUMENT, "feed request: too large");
    }
    // Each call's request is the first message of its direction, so its tag has number 0.
    const auto bytes = MessageTags(caller->session.caller_key)
                           .open({reinterpret_cast<const char*>(slice.begin()), slice.size()});
    if (!bytes) return deny(grpc::StatusCode::PERMISSION_DENIED, bytes.error().text);
    const auto query = parse_query(*bytes);
    if (!query) return deny(grpc::StatusCode::INVALID_ARGUMENT, query.error().text);
    std::shared_ptr<Stream> stream;
    if (const auto status = admit(*query, caller, stream); !status.ok()) return new Denied(status);
    stream->pump();
    return stream.get();
  }

 private:
  std::shared_ptr<const FeedCaller> caller_of(const std::string& connection) {
    const std::lock_guard lock(shared_->mutex);
    const auto found = shared_->callers.find(connection);
    return found == shared_->callers.end() ? nullptr : found->second.lock();
  }

  // Makes the caller's stream, which replaces the one before.
  grpc::Status admit(const WatchQuery& query, const std::shared_ptr<const FeedCaller>& caller,
                     std::shared_ptr<Stream>& stream) {
    std::vector<std::shared_ptr<Stream>> replaced;
    {
      const std::lock_guard lock(shared_->mutex);
      const auto now = std::chrono::steady_clock::now();
      const auto& config = shared_->config;
      auto& tokens =
          shared_->starts.try_emplace(caller->id, config.streams_per_second, config.stream_burst)
              .first->second;
      if (tokens.wait(now) > Duration::zero()) {
        return {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many new streams"};
      }
      tokens.take(1, now);
      const auto known = shared_->known.find(caller->session.other);
      if (known == shared_->known.end() || known->second != query.caller) {
        if (shared_->liars.insert(caller->id).second) {
          log_warn("feed request refused: it names another gateway than the proven key",
                   {{"cluster", caller->id.cluster}, {"gateway", caller->id.ordinal}});
        }
        return {grpc::StatusCode::PERMISSION_DENIED,
                "the request names another gateway than the proven key"};
      }
      for (const auto& other : shared_->streams) {
        if (other->caller().id != query.caller) continue;
        other->close({grpc::StatusCode::ABORTED, "replaced by a newer stream"});
        replaced.push_back(other);
      }
      stream = std::make_shared<Stream>(shared_, caller, shared_->log.start(query.resume_token));
      stream->live(stream);
      shared_->streams.insert(stream);
    }
    for (const auto& other : replaced) other->pump();
    log_debug("feed stream began",
              {{"cluster", query.caller.cluster}, {"gateway", query.caller.ordinal}});
    return grpc::Status::OK;
  }

  std::shared_ptr<Shared> shared_;
};

void configure(grpc::ServerBuilder& builder) {
  grpc::ResourceQuota quota("feed");
  quota.Resize(kServerMemory);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(static_cast<int>(kMaxQuery));
  builder.SetMaxSendMessageSize(static_cast<int>(kMaxMessage + kMaxResumeToken + 16 + kMessageTag));
  const std::pair<const char*, int> arguments[] = {
      {GRPC_ARG_MAX_CONCURRENT_STREAMS, 4},
      {GRPC_ARG_MAX_METADATA_SIZE, 8192},
      {GRPC_ARG_KEEPALIVE_TIME_MS, 5000},  // also sets TCP_USER_TIMEOUT, for callers that vanish
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000},
      {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0},
      {GRPC_ARG_MAX_CONNECTION_IDLE_MS, 30000},
      {GRPC_ARG_ENABLE_CHANNELZ, 0},
      {GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0},
  };
  for (const auto& [name, value] : arguments) builder.AddChannelArgument(name, value);
}

// Runs on the door's thread.
void adopt_connection(Shared& shared, UniqueFd fd,
                      const std::shared_ptr<const FeedCaller>& caller) {
  const std::lock_guard handing_over(shared.handing_over);
  if (shared.server == nullptr) return;
  {
    const std::lock_guard lock(shared.mutex);
    std::erase_if(shared.callers, [](const auto& entry) { return entry.second.expired(); });
    shared.callers[fmt::format("fd:{}", fd.get())] = caller;
  }
  grpc::AddInsecureChannelFromFd(shared.server, fd.release());
}

}  // namespace

struct FeedServer::State {
  State(Loop& loop, Random& random, const tunnel::Key& own, const FeedServerConfig& c)
      : private_key(own),
        shared(std::make_shared<Shared>(fmt::format("{:016x}", random.next()), c)),
        service(shared) {
    heartbeat = loop.every(c.heartbeat, [this] {
      for (const auto& stream : all([](Stream& s) { s.beat(); })) stream->pump();
    });
  }
  ~State() { stop(); }

  // Applies `change` to every stream under the mutex, and returns the streams.
  template <typename Change>
  std::vector<std::shared_ptr<Stream>> all(const Change& change) {
    const std::lock_guard lock(shared->mutex);
    for (const auto& stream : shared->streams) change(*stream);
    return {shared->streams.begin(), shared->streams.end()};
  }
  void pump_all() {
    for (const auto& stream : all([](Stream&) {})) stream->pump();
  }
  // Changes the log, and wakes the streams only if it changed: most calls publish the same again.
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
    if (server != nullptr) {
      const auto closing = all([](Stream& stream) {
        stream.close({grpc::StatusCode::UNAVAILABLE, "the gateway stops"});
      });
      for (const auto& stream : closing) stream->pump();
      {
        const std::lock_guard lock(shared->handing_over);
        shared->server = nullptr;
      }
      // Cancels writes to callers that do not read.
      server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
      server->Wait();
    }
    door.reset();
    server.reset();
  }

  const tunnel::Key private_key;
  std::shared_ptr<Shared> shared;
  FeedService service;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<FeedDoor> door;
  Endpoint local;  // as asked for
  Handle heartbeat;
};

FeedServer::FeedServer(Loop& loop, Random& random, const tunnel::Key& private_key,
                       FeedServerConfig config) {
  prepare_grpc();
  state_ = std::make_unique<State>(loop, random, private_key, config);
}

FeedServer::~FeedServer() = default;

Result<> FeedServer::listen(const IpAddress& address, std::uint16_t port) {
  auto& s = *state_;
  const Endpoint local{address, port};
  if (s.door != nullptr && s.local == local) return {};
  s.stop();
  auto door = FeedDoor::open(
      local, s.private_key,
      [shared = s.shared](UniqueFd fd, const std::shared_ptr<const FeedCaller>& caller) {
        adopt_connection(*shared, std::move(fd), caller);
      },
      s.shared->config.door);
  if (!door) return fail(door.error());
  grpc::ServerBuilder builder;
  configure(builder);
  builder.RegisterService(&s.service);
  start_giving_way([&] { s.server = builder.BuildAndStart(); });
  if (s.server == nullptr) return fail(Errc::kUnavailable, "feed: the server does not start");
  s.door = std::move(*door);
  {
    const std::lock_guard handing_over(s.shared->handing_over);
    s.shared->server = s.server.get();
  }
  {
    const std::lock_guard lock(s.shared->mutex);
    s.door->set_callers(s.shared->known);
  }
  s.local = local;
  log_info("feed listens", {{"address", Endpoint{address, s.door->port()}.to_string()}});
  return {};
}

std::uint16_t FeedServer::port() const {
  return state_->door == nullptr ? 0 : state_->door->port();
}

void FeedServer::set_callers(std::map<tunnel::Key, GatewayId> callers) {
  auto& s = *state_;
  {
    const std::lock_guard lock(s.shared->mutex);
    s.shared->known = callers;
    for (const auto& stream : s.shared->streams) {
      const auto known = callers.find(stream->caller().session.other);
      if (known != callers.end() && known->second == stream->caller().id) continue;
      stream->close({grpc::StatusCode::PERMISSION_DENIED, "the gateway is no longer paired here"});
    }
  }
  if (s.door != nullptr) s.door->set_callers(std::move(callers));
  s.pump_all();
}

Result<> FeedServer::publish(const Announcement& announcement) {
  return state_->publish([&](FeedLog& log) { return log.announce(announcement); });
}

Result<> FeedServer::publish(const api::ExportRecord& record) {
  return state_->publish([&](FeedLog& log) { return log.put(record); });
}

void FeedServer::withdraw(const api::ObjectKey& service) {
  (void)state_->publish([&](FeedLog& log) { return log.remove(service); });  // true or not
}

void FeedServer::publish_refusals(const std::map<std::string, RefusalReport>& reports) {
  const auto changed = [&] {
    const std::lock_guard lock(state_->shared->mutex);
    return state_->shared->refusals.set(reports);
  }();
  if (changed) state_->pump_all();
}

void FeedServer::complete() {
  (void)state_->publish([](FeedLog& log) { return log.complete(); });  // true or not
}

std::size_t FeedServer::streams() const {
  const std::lock_guard lock(state_->shared->mutex);
  return state_->shared->streams.size();
}

}  // namespace cw::gateway
