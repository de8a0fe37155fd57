#include "api/kube/kube_store.h"

#include <fmt/format.h>

#include "api/kube/answer.h"
#include "api/kube/url.h"
#include "api/kube/watch.h"
#include "api/store/object.h"

namespace cw::api::kube {

using nlohmann::json;

namespace {

constexpr int kListAttempts = 3;       // a list's version can expire between its pages
constexpr int kOverwriteAttempts = 5;  // tries of an update without a version, on conflicts
constexpr const char* kJson = "application/json";
constexpr const char* kApply = "application/apply-patch+yaml";  // JSON is YAML

std::string described(std::string_view verb, Kind kind, const ObjectKey& key) {
  return fmt::format("{} {} {}", verb, info(kind).name, key.to_string());
}

std::string text_of(const json& body) {
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Removes the fields that only the server sets.
void without_server_fields(json& body) {
  if (!body.is_object() || !body.contains("metadata")) return;
  auto& meta = body["metadata"];
  for (const auto* field :
       {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"}) {
    meta.erase(field);
  }
}

HttpRequest request_to(std::string method, std::string path, const json& body,
                       const char* type = kJson) {
  HttpRequest request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.body = text_of(body);
  request.content_type = type;
  return request;
}

std::string user_agent(const std::string& field_manager) {
  return fmt::format("{}/{}", field_manager, CW_VERSION);
}

}  // namespace

struct KubeStore::Listing {
  Selector selector;
  PageDone on_page;
  ListDone done;
  std::string token;
  int attempts = 0;
  Handle request;
};

// An update without a version: it overwrites the current object.
struct KubeStore::Overwriting {
  Object object;
  WriteDone done;
  int attempts = 0;
  Handle request;
};

KubeStore::KubeStore(Loop& loop, Random& random, Access access, std::string field_manager,
                     Patience patience)
    : loop_(loop),
      random_(random),
      field_manager_(std::move(field_manager)),
      client_(loop, std::move(access), user_agent(field_manager_), patience) {}

Handle KubeStore::list(const Selector& selector, ListDone done) {
  auto all = std::make_shared<std::vector<Object>>();
  return list_pages(
      selector,
      [all](std::vector<Object> items, bool first) {
        if (first) all->clear();
        std::move(items.begin(), items.end(), std::back_inserter(*all));
      },
      [all, done = std::move(done)](Result<List> list) {
        if (list) list->items = std::move(*all);
        const auto call = done;  // the callback may destroy the handle that owns this closure
        call(std::move(list));
      });
}

Handle KubeStore::list_pages(const Selector& selector, PageDone on_page, ListDone done) {
  auto listing = std::make_shared<Listing>();
  listing->selector = selector;
  listing->on_page = std::move(on_page);
  listing->done = std::move(done);
  next_page(listing);
  return Handle([listing] { listing->request.reset(); });
}

void KubeStore::next_page(const std::shared_ptr<Listing>& listing) {
  HttpRequest request;
  request.path = list_url(listing->selector, {kPage, listing->token});
  const std::weak_ptr<Listing> weak = listing;
  listing->request = client_.send(std::move(request), [this, weak](Result<HttpAnswer> answer) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    const auto kind = self->selector.kind;
    if (!answer) return self->done(fail(std::move(answer.error())));
    if (answer->status == 410 && ++self->attempts < kListAttempts) {
      // The version of the pages so far has expired: list again from the start.
      self->token.clear();
      return next_page(self);
    }
    if (answer->status != 200) {
      return self->done(
          fail(error_of(answer->status, answer->body, fmt::format("list {}", info(kind).plural))));
    }
    auto page = parse_page(kind, answer->body);
    if (!page) return self->done(fail(std::move(page.error())));
    answer->body = {};
    const bool first = self->token.empty();
    self->token = page->continue_token;
    if (!self->token.empty()) next_page(self);  // fetch the next page while this one is processed
    self->on_page(std::exchange(page->list.items, {}), first);
    if (!self->token.empty()) return;
    self->done(std::move(page->list));
  });
}

Handle KubeStore::watch(const Selector& selector, const std::string& resource_version,
                        WatchHandler handler) {
  return start_watch(loop_, random_, client_, selector, resource_version, std::move(handler));
}

Handle KubeStore::write(HttpRequest request, Kind kind, std::string what, WriteDone done) {
  return client_.send(std::move(request), [kind, what = std::move(what),
                                           done = std::move(done)](Result<HttpAnswer> answer) {
    const auto call = done;  // the callback may destroy the handle that owns this closure
    if (!answer) return call(fail(std::move(answer.error()).context(what)));
    if (answer->status < 200 || answer->status > 299) {
      return call(fail(error_of(answer->status, answer->body, what)));
    }
    call(parse_object(kind, answer->body));
  });
}

Handle KubeStore::refuse(Error error, WriteDone done) {
  return loop_.after(Duration::zero(), [error = std::move(error), done = std::move(done)] {
    const auto call = done;
    call(fail(error));
  });
}

Handle KubeStore::get(Kind kind, const ObjectKey& key, WriteDone done) {
  if (auto ok = check_key(kind, key); !ok) return refuse(ok.error(), std::move(done));
  HttpRequest request;
  request.path = object_path(kind, key);
  return write(std::move(request), kind, described("get", kind, key), std::move(done));
}

// fieldValidation=Ignore: checking for unknown fields costs the server time on each write, and
// Causeway does not read the warnings.
std::string KubeStore::writer_query() const {
  return "?fieldManager=" + escaped(field_manager_) + "&fieldValidation=Ignore";
}

Handle KubeStore::create(Object object, WriteDone done) {
  if (auto ok = check_key(object.kind, object.key); !ok) return refuse(ok.error(), std::move(done));
  without_server_fields(object.body);
  return write(
      request_to("POST", collection_path(object.kind, object.key.ns) + writer_query(), object.body),
      object.kind, described("create", object.kind, object.key), std::move(done));
}

Handle KubeStore::update(Object object, WriteDone done) {
  if (auto ok = check_key(object.kind, object.key); !ok) return refuse(ok.error(), std::move(done));
  if (object.resource_version.empty()) {
    auto work = std::make_shared<Overwriting>();
    work->object = std::move(object);
    work->done = std::move(done);
    overwrite(work);
    return Handle([work] { work->request.reset(); });
  }
  object.body["metadata"]["resourceVersion"] = object.resource_version;
  return write(
      request_to("PUT", object_path(object.kind, object.key) + writer_query(), object.body),
      object.kind, described("update", object.kind, object.key), std::move(done));
}

void KubeStore::overwrite(const std::shared_ptr<Overwriting>& work) {
  const std::weak_ptr<Overwriting> weak = work;
  work->request = get(work->object.kind, work->object.key, [this, weak](Result<Object> found) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    if (!found) return self->done(std::move(found));
    auto next = self->object;
    next.resource_version = found->resource_version;
    if (next.body.contains("metadata"))
      next.body["metadata"]["uid"] = found->body["metadata"]["uid"];
    self->request = update(std::move(next), [this, weak](Result<Object> stored) {
      const auto still = weak.lock();
      if (still == nullptr) return;
      const bool conflict = !stored && stored.error().code == Errc::kConflict;
      if (conflict && ++still->attempts < kOverwriteAttempts) return overwrite(still);
      still->done(std::move(stored));
    });
  });
}

Handle KubeStore::update_status(Object object, WriteDone done) {
  if (auto ok = check_key(object.kind, object.key); !ok) return refuse(ok.error(), std::move(done));
  const auto what = described("update status of", object.kind, object.key);
  auto path = object_path(object.kind, object.key) + "/status" + writer_query();
  if (!object.resource_version.empty()) {
    object.body["metadata"]["resourceVersion"] = object.resource_version;
    return write(request_to("PUT", std::move(path), object.body), object.kind, what,
                 std::move(done));
  }
  // Without a version the whole status is ours, whoever wrote it before: force=true.
  json body{{"apiVersion", info(object.kind).api_version}, {"kind", info(object.kind).name}};
  body["metadata"]["name"] = object.key.name;
  if (!object.key.ns.empty()) body["metadata"]["namespace"] = object.key.ns;
  body["status"] = object.body.value("status", json::object());
  return write(request_to("PATCH", path + "&force=true", body, kApply), object.kind, what,
               std::move(done));
}

Handle KubeStore::remove(Kind kind, const ObjectKey& key, const std::string& resource_version,
                         RemoveDone done) {
  const auto what = described("remove", kind, key);
  if (auto ok = check_key(kind, key); !ok) {
    return loop_.after(Duration::zero(), [error = ok.error(), done = std::move(done)] {
      const auto call = done;
      call(fail(error));
    });
  }
  json body{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", "Background"}};
  if (!resource_version.empty()) body["preconditions"]["resourceVersion"] = resource_version;
  return client_.send(request_to("DELETE", object_path(kind, key), body),
                      [what, done = std::move(done)](Result<HttpAnswer> answer) {
                        const auto call = done;
                        if (!answer) return call(fail(std::move(answer.error()).context(what)));
                        if (answer->status < 200 || answer->status > 299) {
                          return call(fail(error_of(answer->status, answer->body, what)));
                        }
                        call({});
                      });
}

}  // namespace cw::api::kube
