// A store, opened for one command. Every call waits for its answer, at most 10 s (kUnavailable).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/store/store.h"
#include "api/types/codec.h"
#include "base/event_loop.h"
#include "base/random.h"

namespace cw::cli {

class Session {
 public:
  // `address`: as in api::open_store(), or a context of the user's kubeconfig. kInvalid: neither.
  [[nodiscard]] static Result<std::unique_ptr<Session>> open(const std::string& address);

  // All objects of a kind, or those with one name, in the store's order. Objects that do not decode
  // are reported in problems(). kNotFound: the cluster does not have the kind.
  template <typename T>
  [[nodiscard]] Result<std::vector<T>> list(const std::string& name = {}) {
    auto found = list_objects(T::kKind, name);
    if (!found) return fail(std::move(found.error()));
    std::vector<T> values;
    for (const auto& object : found->items) {
      auto value = api::decode<T>(object.body);
      if (value) {
        values.push_back(std::move(*value));
      } else {
        problems_.push_back(std::string(api::info(T::kKind).name) + " " + object.key.to_string() +
                            ": " + value.error().text);
      }
    }
    return values;
  }
  // No value: there is no such object.
  template <typename T>
  [[nodiscard]] Result<std::optional<T>> get(const api::ObjectKey& key) {
    auto found = get_object(T::kKind, key);
    if (!found && found.error().code == Errc::kNotFound) return std::optional<T>{};
    if (!found) return fail(std::move(found.error()));
    auto value = api::decode<T>(found->body);
    if (!value) return fail(std::move(value.error()).context(key.to_string()));
    return std::optional<T>(std::move(*value));
  }
  // Creates the object, or replaces all but the status of an existing one. True: it was created.
  template <typename T>
  [[nodiscard]] Result<bool> put(const T& object) {
    return put_object({T::kKind, object.meta.key, {}, api::encode(object)});
  }
  [[nodiscard]] Result<> remove(api::Kind kind, const api::ObjectKey& key);

  // Empty: the cluster has no ClusterProperty yet.
  [[nodiscard]] Result<std::string> cluster_id();

  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }
  [[nodiscard]] EventLoop& loop() { return loop_; }
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  explicit Session(std::string address) : address_(std::move(address)) {}
  [[nodiscard]] Result<api::List> list_objects(api::Kind kind, const std::string& name);
  [[nodiscard]] Result<api::Object> get_object(api::Kind kind, const api::ObjectKey& key);
  [[nodiscard]] Result<bool> put_object(const api::Object& object);
  template <typename T, typename Start>
  [[nodiscard]] Result<T> wait_for(Start start);

  std::string address_;
  EventLoop loop_;
  SystemRandom random_;
  std::unique_ptr<api::Store> store_;
  std::vector<std::string> problems_;
};

// Reads all objects of each list's kind, until the first error.
template <typename... T>
[[nodiscard]] Result<> read_all(Session& session, std::vector<T>&... lists) {
  Result<> good;
  const auto read = [&]<typename One>(std::vector<One>& list) {
    auto found = session.list<One>();
    if (found) {
      list = std::move(*found);
    } else {
      good = fail(std::move(found.error()));
    }
    return good.has_value();
  };
  (void)(read(lists) && ...);
  return good;
}

}  // namespace cw::cli
