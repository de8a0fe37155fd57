// A Store in memory for tests: the full semantics, injected faults, and a log of writes.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "api/store/local_store.h"
#include "api/types/codec.h"

namespace cw::api {

class MemoryBackend : public Backend {
 public:
  [[nodiscard]] Result<std::shared_ptr<void>> lock() override;
  [[nodiscard]] Result<std::optional<nlohmann::json>> read(Kind kind,
                                                           const ObjectKey& key) override;
  [[nodiscard]] Result<> write(Kind kind, const ObjectKey& key,
                               const nlohmann::json& body) override;
  [[nodiscard]] Result<> erase(Kind kind, const ObjectKey& key) override;
  // The next write or remove fails with `error`, once.
  void fail_next(Error error) { failures_.push_back(std::move(error)); }
  // The writes since the last call: "write ClusterPeer east\nerase Lease kube-system/x\n".
  [[nodiscard]] std::string take_log();

 private:
  std::map<std::pair<Kind, ObjectKey>, nlohmann::json> objects_;
  std::deque<Error> failures_;
  std::string log_;
};

class MemoryStore final : private MemoryBackend, public LocalStore {
 public:
  MemoryStore(Loop& loop, Random& random)
      : LocalStore(loop, random, static_cast<MemoryBackend&>(*this)), loop_(loop) {}
  using MemoryBackend::fail_next;
  using MemoryBackend::take_log;
  [[nodiscard]] bool keeps_events() const override { return true; }
  // From now on creations and updates of that kind fail with `why`. No value: they work again.
  void refuse(Kind kind, std::optional<Error> why) {
    refused_kind_ = kind;
    why_ = std::move(why);
  }
  [[nodiscard]] std::size_t refused() const { return refused_; }  // calls so far
  // The cluster does not have this kind, until it is called with false: a list gets kNotFound, as
  // from an API server without the CRD.
  void set_absent(Kind kind, bool absent) {
    if (absent) {
      absent_.insert(kind);
    } else {
      absent_.erase(kind);
    }
  }
  [[nodiscard]] Handle list(const Selector& selector, ListDone done) override {
    if (absent_.count(selector.kind) == 0) return LocalStore::list(selector, std::move(done));
    return loop_.after(Duration::zero(), [done = std::move(done)] {
      done(fail(Errc::kNotFound, "the server could not find the requested resource"));
    });
  }
  // From now on each created or updated object passes `schema` first. It stands for an API server
  // whose schema prunes unknown fields.
  void set_schema(std::function<void(Object&)> schema) { schema_ = std::move(schema); }
  [[nodiscard]] Handle create(Object object, WriteDone done) override {
    if (schema_) schema_(object);
    if (why_ && object.kind == refused_kind_) return refuse_one(std::move(done));
    return LocalStore::create(std::move(object), std::move(done));
  }
  [[nodiscard]] Handle update(Object object, WriteDone done) override {
    if (schema_) schema_(object);
    if (why_ && object.kind == refused_kind_) return refuse_one(std::move(done));
    return LocalStore::update(std::move(object), std::move(done));
  }

  // For set-up: creates or replaces the object including its status, as another writer would.
  template <typename T>
  void put(const T& object) {
    auto body = encode(object);
    auto& meta = body["metadata"];
    if (!meta.contains("uid")) meta["uid"] = "uid-" + object.meta.key.to_string();
    if (!meta.contains("generation")) meta["generation"] = 1;
    if (!meta.contains("creationTimestamp")) meta["creationTimestamp"] = "2026-01-01T00:00:00Z";
    put_body(T::kKind, object.meta.key, body);
  }
  void put_body(Kind kind, const ObjectKey& key, const nlohmann::json& body);
  void drop(Kind kind, const ObjectKey& key);
  // The stored object. Aborts if it is missing or does not decode.
  template <typename T>
  [[nodiscard]] T must_get(const ObjectKey& key) {
    auto body = read(T::kKind, key);
    CW_CHECK(body && *body);
    auto object = decode<T>(**body);
    CW_CHECK(object.has_value());
    return *object;
  }
  [[nodiscard]] bool has(Kind kind, const ObjectKey& key) {
    const auto body = read(kind, key);
    return body && body->has_value();
  }

 private:
  Handle refuse_one(WriteDone done) {
    ++refused_;
    return loop_.after(Duration::zero(),
                       [done = std::move(done), why = *why_] { done(fail(why)); });
  }

  Loop& loop_;
  std::function<void(Object&)> schema_;
  std::set<Kind> absent_;
  Kind refused_kind_{};
  std::optional<Error> why_;
  std::size_t refused_ = 0;
};

}  // namespace cw::api
