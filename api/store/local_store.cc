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

namespace {

constexpr int kAttempts = 5;  // of a write, while others change the object without the lock

Object object_of(Kind kind, const ObjectKey& key, json body) {
  auto version = version_of(body);
  body["metadata"]["resourceVersion"] = version;
  return {kind, key, std::move(version), std::move(body)};
}

std::string describe(Kind kind, const ObjectKey& key) {
  return fmt::format("{} {}", info(kind).name, key.to_string());
}

}  // namespace

LocalStore::LocalStore(Loop& loop, Random& random, Backend& backend)
    : loop_(loop), random_(random), backend_(backend) {
  const auto epoch = fmt::format("{:x}", random.next());
  for (const auto& kind : all_kinds()) {
    logs_.emplace(kind.kind, std::make_unique<WatchLog>(loop, epoch));
  }
}

template <typename T, typename Done>
Handle LocalStore::later(T result, Done done) {
  return loop_.after(Duration::zero(), [result = std::move(result), done = std::move(done)] {
    const auto call = done;  // the callback may drop its own handle, and with it this closure
    call(result);
  });
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
  const auto answer = [&]() -> Result<Object> {
    if (away_) return fail(*away_);
    auto body = backend_.read(kind, key);
    if (!body) return fail(std::move(body.error()));
    if (!*body) return fail(Errc::kNotFound, describe(kind, key) + ": not found");
    return object_of(kind, key, std::move(**body));
  };
  return later(answer(), std::move(done));
}

Handle LocalStore::create(Object object, WriteDone done) {
  return later(do_create(std::move(object)), std::move(done));
}

Handle LocalStore::update(Object object, WriteDone done) {
  const auto merge = [](const json& stored, const json& next) {
    return merged_update(stored, next);
  };
  return later(do_update(object, merge), std::move(done));
}

Handle LocalStore::update_status(Object object, WriteDone done) {
  const auto merge = [](const json& stored, const json& next) {
    return merged_status(stored, next);
  };
  return later(do_update(object, merge), std::move(done));
}

Handle LocalStore::remove(Kind kind, const ObjectKey& key, const std::string& resource_version,
                          RemoveDone done) {
  return later(do_remove(kind, key, resource_version), std::move(done));
}

Result<Object> LocalStore::do_create(Object object) {
  if (away_) return fail(*away_);
  if (auto ok = check_key(object.kind, object.key); !ok) return fail(ok.error());
  if (key_of(object.body) != object.key) {
    return fail(Errc::kInvalid,
                describe(object.kind, object.key) + ": metadata names another object");
  }
  const auto lock = backend_.lock();
  if (!lock) return fail(lock.error());
  const auto stored = backend_.read(object.kind, object.key);
  if (!stored) return fail(stored.error());
  if (*stored) return fail(Errc::kExists, describe(object.kind, object.key) + ": exists");
  auto body = stamped_new(object.kind, std::move(object.body), new_uid(random_), loop_.wall_now());
  if (auto ok = backend_.write(object.kind, object.key, body); !ok) {
    if (ok.error().code != Errc::kConflict) return fail(ok.error());
    return fail(Errc::kExists, describe(object.kind, object.key) + ": exists");
  }
  observe(object.kind, object.key, body);
  return object_of(object.kind, object.key, std::move(body));
}

Result<Object> LocalStore::do_update(const Object& object, Merge merge) {
  if (away_) return fail(*away_);
  if (auto ok = check_key(object.kind, object.key); !ok) return fail(ok.error());
  for (int attempt = 1;; ++attempt) {
    auto result = try_update(object, merge);
    if (result || result.error().code != Errc::kConflict) return result;
    // Who does not say what he has read wants it whatever there is.
    if (!object.resource_version.empty() || attempt == kAttempts) return result;
  }
}

Result<Object> LocalStore::try_update(const Object& object, Merge merge) {
  const auto lock = backend_.lock();
  if (!lock) return fail(lock.error());
  auto stored = backend_.read(object.kind, object.key);
  if (!stored) return fail(stored.error());
  if (!*stored) return fail(Errc::kNotFound, describe(object.kind, object.key) + ": not found");
  if (!object.resource_version.empty() && object.resource_version != version_of(**stored)) {
    return fail(Errc::kConflict, describe(object.kind, object.key) + ": changed since it was read");
  }
  auto body = merge(**stored, object.body);
  if (!same_content(body, **stored)) {
    if (auto ok = backend_.write(object.kind, object.key, body); !ok) return fail(ok.error());
  }
  observe(object.kind, object.key, body);
  return object_of(object.kind, object.key, std::move(body));
}

Result<> LocalStore::do_remove(Kind kind, const ObjectKey& key,
                               const std::string& resource_version) {
  if (away_) return fail(*away_);
  if (auto ok = check_key(kind, key); !ok) return fail(ok.error());
  const auto lock = backend_.lock();
  if (!lock) return fail(lock.error());
  const auto stored = backend_.read(kind, key);
  // A broken file may be removed too, but not by somebody who says he has read it.
  if (!stored && (stored.error().code != Errc::kInvalid || !resource_version.empty())) {
    return fail(stored.error());
  }
  if (stored && !*stored) return fail(Errc::kNotFound, describe(kind, key) + ": not found");
  if (stored && !resource_version.empty() && resource_version != version_of(**stored)) {
    return fail(Errc::kConflict, describe(kind, key) + ": changed since it was read");
  }
  if (auto ok = backend_.erase(kind, key); !ok) return fail(ok.error());
  observe(kind, key, std::nullopt);
  return {};
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
  auto object = object_of(kind, key, *body);
  if (found == objects.end()) {
    objects.emplace(key, object);
    log.append(EventType::kAdded, std::move(object));
  } else if (found->second.resource_version != object.resource_version) {
    found->second = object;
    log.append(EventType::kModified, std::move(object));
  }
}

void LocalStore::unavailable(const Error& why) {
  away_ = why;
  for (auto& [kind, log] : logs_) log->end_all(why);
}

void LocalStore::available() { away_.reset(); }

void LocalStore::expire_watches() {
  for (auto& [kind, log] : logs_) log->end_all({Errc::kExpired, "watch expired; list again"});
}

std::vector<ObjectKey> LocalStore::keys(Kind kind) const {
  std::vector<ObjectKey> out;
  if (const auto found = table_.find(kind); found != table_.end()) {
    for (const auto& [key, object] : found->second) out.push_back(key);
  }
  return out;
}

}  // namespace cw::api
