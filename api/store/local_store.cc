#include "api/store/local_store.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

namespace cw::api {

using nlohmann::json;

std::string version_of(json body) {
  if (body.contains("metadata")) body["metadata"].erase("resourceVersion");
  const auto text = body.dump(-1, ' ', false, json::error_handler_t::replace);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  CW_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) ==
           1);
  std::string out;
  for (std::size_t i = 0; i < 12; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

Object object_of(Kind kind, const ObjectKey& key, json body) {
  auto version = version_of(body);
  body["metadata"]["resourceVersion"] = version;
  return {kind, key, std::move(version), std::move(body)};
}

namespace {

// Tries of a write without a version, while other programs change the object without the lock.
constexpr int kAttempts = 5;

std::string describe(Kind kind, const ObjectKey& key) {
  return fmt::format("{} {}", info(kind).name, key.to_string());
}

}  // namespace

// Each function is one piece of work for the backend. Any thread.
struct LocalStore::Writes {
  static Outcome<Object> get(Backend& backend, Kind kind, const ObjectKey& key) {
    auto body = backend.read(kind, key);
    if (!body) return {fail(std::move(body.error()))};
    if (!*body) return {fail(Errc::kNotFound, describe(kind, key) + ": not found")};
    return {object_of(kind, key, std::move(**body))};
  }

  static Outcome<Object> stored(Object object) { return {object, std::move(object)}; }

  static Outcome<Object> create(Backend& backend, Kind kind, const ObjectKey& key, json body) {
    const auto lock = backend.lock();
    if (!lock) return {fail(lock.error())};
    const auto before = backend.read(kind, key);
    if (!before) return {fail(before.error())};
    if (*before) return {fail(Errc::kExists, describe(kind, key) + ": exists")};
    if (auto ok = backend.write(kind, key, body); !ok) {
      if (ok.error().code != Errc::kConflict) return {fail(ok.error())};
      return {fail(Errc::kExists, describe(kind, key) + ": exists")};
    }
    return stored(object_of(kind, key, std::move(body)));
  }

  static Outcome<Object> update(Backend& backend, const Object& object, Merge merge) {
    for (int attempt = 1;; ++attempt) {
      auto outcome = try_update(backend, object, merge);
      if (outcome.result || outcome.result.error().code != Errc::kConflict) return outcome;
      // Without a resourceVersion the write is unconditional, so it is tried again.
      if (!object.resource_version.empty() || attempt == kAttempts) return outcome;
    }
  }

  static Outcome<Object> try_update(Backend& backend, const Object& object, Merge merge) {
    const auto name = describe(object.kind, object.key);
    const auto lock = backend.lock();
    if (!lock) return {fail(lock.error())};
    auto before = backend.read(object.kind, object.key);
    if (!before) return {fail(before.error())};
    if (!*before) return {fail(Errc::kNotFound, name + ": not found")};
    if (!object.resource_version.empty() && object.resource_version != version_of(**before)) {
      return {fail(Errc::kConflict, name + ": changed since it was read")};
    }
    auto body = merge(**before, object.body);
    if (!same_content(body, **before)) {
      if (auto ok = backend.write(object.kind, object.key, body); !ok) return {fail(ok.error())};
    }
    return stored(object_of(object.kind, object.key, std::move(body)));
  }

  static Outcome<void> remove(Backend& backend, Kind kind, const ObjectKey& key,
                              const std::string& resource_version) {
    const auto lock = backend.lock();
    if (!lock) return {fail(lock.error())};
    const auto before = backend.read(kind, key);
    // A broken file may be removed too, but not by a caller that gives a version: it cannot have
    // read it.
    if (!before && (before.error().code != Errc::kInvalid || !resource_version.empty())) {
      return {fail(before.error())};
    }
    if (before && !*before) return {fail(Errc::kNotFound, describe(kind, key) + ": not found")};
    if (before && !resource_version.empty() && resource_version != version_of(**before)) {
      return {fail(Errc::kConflict, describe(kind, key) + ": changed since it was read")};
    }
    if (auto ok = backend.erase(kind, key); !ok) return {fail(ok.error())};
    return {Result<>{}, std::nullopt, true};
  }
};

LocalStore::LocalStore(Loop& loop, Random& random, Backend& backend, RunWork run)
    : loop_(loop), random_(random), backend_(backend), run_(std::move(run)) {
  if (!run_) {
    run_ = [](const Work& work) {
      work()();
      return true;
    };
  }
  const auto epoch = fmt::format("{:x}", random.next());
  for (const auto& kind : all_kinds()) {
    logs_.emplace(kind.kind, std::make_unique<WatchLog>(loop, epoch));
  }
}

template <typename T, typename Done>
Handle LocalStore::later(T result, Done done) {
  return loop_.after(Duration::zero(), [result = std::move(result), done = std::move(done)] {
    const auto call = done;  // the callback may destroy its own handle, and with it this closure
    call(result);
  });
}

template <typename T, typename Done>
Handle LocalStore::perform(Kind kind, const ObjectKey& key,
                           std::function<Outcome<T>(Backend&)> work, Done done) {
  if (away_) return later(Result<T>(fail(*away_)), std::move(done));
  struct Pending {
    Done done;
    Handle answer;
  };
  const auto pending = std::make_shared<Pending>(Pending{std::move(done), {}});
  const bool taken =
      run_([this, kind, key, work = std::move(work), pending = std::weak_ptr<Pending>(pending)] {
        auto outcome = std::make_shared<Outcome<T>>(work(backend_));
        return [this, kind, key, outcome, pending] {
          if (outcome->stored) observe(std::move(*outcome->stored));
          if (outcome->gone) observe(kind, key, std::nullopt);
          if (const auto asker = pending.lock()) {
            asker->answer = later(std::move(outcome->result), asker->done);
          }
        };
      });
  if (!taken) {
    pending->answer = later(
        Result<T>(fail(Errc::kUnavailable, "too many writes wait for the disk")), pending->done);
  }
  return Handle([pending] { pending->answer.reset(); });
}

Handle LocalStore::list(const Selector& selector, ListDone done) {
  if (away_) return later(Result<List>(tl::make_unexpected(*away_)), std::move(done));
  List list;
  list.resource_version = logs_.at(selector.kind)->version();
  for (const auto& [key, object] : table_[selector.kind]) {
    if (selected(selector, object)) list.items.push_back(object);
  }
  return later(Result<List>(std::move(list)), std::move(done));
}

Handle LocalStore::watch(const Selector& selector, const std::string& resource_version,
                         WatchHandler handler) {
  if (away_) return later(*away_, std::move(handler.on_end));
  return logs_.at(selector.kind)->watch(selector, resource_version, std::move(handler));
}

Handle LocalStore::get(Kind kind, const ObjectKey& key, WriteDone done) {
  return perform<Object>(
      kind, key, [kind, key](Backend& backend) { return Writes::get(backend, kind, key); },
      std::move(done));
}

Handle LocalStore::create(Object object, WriteDone done) {
  const auto kind = object.kind;
  const auto key = object.key;
  if (auto ok = check_key(kind, key); !ok) return later(Result<Object>(fail(ok.error())), done);
  if (key_of(object.body) != key) {
    return later(Result<Object>(
                     fail(Errc::kInvalid, describe(kind, key) + ": metadata names another object")),
                 done);
  }
  auto body = stamped_new(kind, std::move(object.body), new_uid(random_), loop_.wall_now());
  return perform<Object>(
      kind, key,
      [kind, key, body = std::move(body)](Backend& backend) {
        return Writes::create(backend, kind, key, body);
      },
      std::move(done));
}

Handle LocalStore::update(Object object, WriteDone done) {
  return change(std::move(object), std::move(done),
                [](const json& stored, const json& next) { return merged_update(stored, next); });
}

Handle LocalStore::update_status(Object object, WriteDone done) {
  return change(std::move(object), std::move(done),
                [](const json& stored, const json& next) { return merged_status(stored, next); });
}

Handle LocalStore::change(Object object, WriteDone done, Merge merge) {
  const auto kind = object.kind;
  const auto key = object.key;
  if (auto ok = check_key(kind, key); !ok) return later(Result<Object>(fail(ok.error())), done);
  return perform<Object>(
      kind, key,
      [object = std::move(object), merge](Backend& backend) {
        return Writes::update(backend, object, merge);
      },
      std::move(done));
}

Handle LocalStore::remove(Kind kind, const ObjectKey& key, const std::string& resource_version,
                          RemoveDone done) {
  if (auto ok = check_key(kind, key); !ok) return later(Result<>(fail(ok.error())), done);
  return perform<void>(
      kind, key,
      [kind, key, resource_version](Backend& backend) {
        return Writes::remove(backend, kind, key, resource_version);
      },
      std::move(done));
}

void LocalStore::observe(Object object) {
  auto& objects = table_[object.kind];
  const auto found = objects.find(object.key);
  auto& log = *logs_.at(object.kind);
  if (found == objects.end()) {
    objects.emplace(object.key, object);
    log.append(EventType::kAdded, std::move(object));
  } else if (found->second.resource_version != object.resource_version) {
    found->second = object;
    log.append(EventType::kModified, std::move(object));
  }
}

void LocalStore::observe(Kind kind, const ObjectKey& key, const std::optional<json>& body) {
  auto& objects = table_[kind];
  const auto found = objects.find(key);
  auto& log = *logs_.at(kind);
  if (!body) {
    if (found == objects.end()) return;
    auto gone = std::move(found->second);
    objects.erase(found);
    log.append(EventType::kDeleted, std::move(gone));
    return;
  }
  observe(object_of(kind, key, *body));
}

void LocalStore::unavailable(const Error& why) {
  away_ = why;
  for (auto& [kind, log] : logs_) log->end_all(why);
}

void LocalStore::available() { away_.reset(); }

std::vector<ObjectKey> LocalStore::keys(Kind kind) const {
  std::vector<ObjectKey> out;
  if (const auto found = table_.find(kind); found != table_.end()) {
    for (const auto& [key, object] : found->second) out.push_back(key);
  }
  return out;
}

}  // namespace cw::api
