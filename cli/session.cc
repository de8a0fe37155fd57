#include "cli/session.h"

#include "api/store/open.h"

namespace cw::cli {

namespace {

constexpr Duration kAnswerPatience = std::chrono::seconds(10);

}  // namespace

template <typename T, typename Start>
Result<T> Session::wait_for(Start start) {
  std::optional<Result<T>> answer;
  const auto request = start([&](Result<T> result) {
    answer = std::move(result);
    loop_.stop();
  });
  const auto patience = loop_.after(kAnswerPatience, [this] { loop_.stop(); });
  loop_.run();
  if (answer) return std::move(*answer);
  return fail(Errc::kUnavailable, "store " + address_ + " does not answer");
}

Result<std::unique_ptr<Session>> Session::open(const std::string& address) {
  // A word without ":" is a context of the user's kubeconfig: `causewayctl pair east west`.
  const auto full = address.find(':') == std::string::npos ? "kube:#" + address : address;
  std::unique_ptr<Session> session(new Session(full));
  auto store = api::open_store(session->loop_, session->random_, full);
  if (!store) return fail(std::move(store.error()));
  session->store_ = std::move(*store);
  return session;
}

Result<api::List> Session::list_objects(api::Kind kind, const std::string& name) {
  auto found = wait_for<api::List>([&](auto done) {
    return store_->list({kind, {}, {}, name}, std::move(done));
  });
  if (!found) return fail(std::move(found.error()).context(api::info(kind).plural));
  return found;
}

Result<api::Object> Session::get_object(api::Kind kind, const api::ObjectKey& key) {
  return wait_for<api::Object>([&](auto done) { return store_->get(kind, key, std::move(done)); });
}

Result<bool> Session::put_object(const api::Object& object) {
  auto created =
      wait_for<api::Object>([&](auto done) { return store_->create(object, std::move(done)); });
  if (created) return true;
  if (created.error().code != Errc::kExists) return fail(std::move(created.error()));
  auto updated =
      wait_for<api::Object>([&](auto done) { return store_->update(object, std::move(done)); });
  if (!updated) return fail(std::move(updated.error()));
  return false;
}

Result<std::string> Session::cluster_id() {
  auto found = get<api::ClusterProperty>({"", std::string(api::kClusterIdProperty)});
  if (!found) return fail(std::move(found.error()));
  return *found ? (*found)->value : std::string();
}

Result<> Session::remove(api::Kind kind, const api::ObjectKey& key) {
  return wait_for<void>([&](auto done) { return store_->remove(kind, key, {}, std::move(done)); });
}

}  // namespace cw::cli
