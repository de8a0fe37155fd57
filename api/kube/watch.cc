#include "api/kube/watch.h"

#include "api/kube/answer.h"
#include "api/kube/url.h"

namespace cw::api::kube {

namespace {

// The time limit is random, so that the watches of many processes do not end together.
constexpr unsigned kLeastSeconds = 300;
constexpr unsigned kSpreadSeconds = 300;
constexpr auto kTooShort = std::chrono::seconds(1);

struct Watch : std::enable_shared_from_this<Watch> {
  Watch(Loop& l, Random& r, Client& c, Selector s, std::string v, WatchHandler h)
      : loop(l),
        random(r),
        client(c),
        selector(std::move(s)),
        version(std::move(v)),
        handler(std::move(h)) {}

  Loop& loop;
  Random& random;
  Client& client;
  Selector selector;
  std::string version;
  WatchHandler handler;
  Lines lines{kMaxLine};
  TimePoint begun{};
  Handle stream;
  Handle again;
  bool ended = false;

  void begin() {
    begun = loop.now();
    lines = Lines(kMaxLine);
    HttpRequest request;
    request.path = watch_url(selector, version,
                             kLeastSeconds + static_cast<unsigned>(random.next() % kSpreadSeconds));
    const std::weak_ptr<Watch> weak = weak_from_this();
    const auto if_alive = [weak](auto what) {
      return [weak, what](auto&&... values) {
        if (const auto self = weak.lock(); self != nullptr && !self->ended) {
          what(*self, std::forward<decltype(values)>(values)...);
        }
      };
    };
    stream = client.stream(
        std::move(request),
        {if_alive([](Watch& self) {
           if (self.handler.on_open) self.handler.on_open();
         }),
         if_alive([](Watch& self, std::string_view bytes) { self.on_bytes(bytes); }),
         if_alive([](Watch& self, Result<HttpAnswer> answer) { self.over(std::move(answer)); })});
  }

  void on_bytes(std::string_view bytes) {
    std::optional<Error> broken;
    const auto fed = lines.feed(bytes, [&](std::string_view line) {
      auto event = parse_event(selector.kind, line);
      if (!event) {
        broken = event.error();
        return false;
      }
      version = event->object.resource_version;
      handler.on_event(std::move(*event));
      return !ended;
    });
    if (ended) return;
    if (!fed) broken = fed.error();
    if (!broken) return;
    // An event that cannot be read now may be readable after a new list, so the caller retries. An
    // expired version needs a new list in any case.
    if (broken->code != Errc::kExpired) broken->code = Errc::kUnavailable;
    end(*broken);
  }

  void over(Result<HttpAnswer> answer) {
    if (!answer) return end(answer.error());
    if (answer->status != 200) {
      return end(error_of(answer->status, answer->body,
                          "watch " + std::string(info(selector.kind).plural)));
    }
    // The time limit was reached or the server is stopping: continue, but not in a tight loop.
    const bool hasty = loop.now() - begun < kTooShort;
    const auto pause = std::chrono::milliseconds(hasty ? 1000 + random.next() % 1000 : 0);
    again = loop.after(pause, [this] { begin(); });
  }

  void end(const Error& error) {
    ended = true;
    stream.reset();
    handler.on_end(error);
  }
};

}  // namespace

Handle start_watch(Loop& loop, Random& random, Client& client, Selector selector,
                   std::string resource_version, WatchHandler handler) {
  auto watch = std::make_shared<Watch>(loop, random, client, std::move(selector),
                                       std::move(resource_version), std::move(handler));
  watch->begin();
  return Handle([watch] {
    watch->ended = true;
    watch->stream.reset();
    watch->again.reset();
  });
}

}  // namespace cw::api::kube
