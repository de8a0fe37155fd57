// The resource store on a Kubernetes API server, over one connection. Lists are read in pages. A
// watch asks for bookmarks, and continues by itself when the server ends it after its time limit.
// An update without a version reads the object first and retries on a conflict. A status without a
// version is a server-side apply: the field manager owns it. Retrying after an outage is left to
// the caller (Informer), which gets kUnavailable.
#pragma once

#include "api/kube/client.h"
#include "api/store/store.h"
#include "base/random.h"

namespace cw::api::kube {

class KubeStore final : public Store {
 public:
  static constexpr std::size_t kPage = 500;  // objects per list request

  // `field_manager`: the writer's name in managedFields, e.g. "causeway-gateway".
  KubeStore(Loop& loop, Random& random, Access access, std::string field_manager,
            Patience patience = {});

  [[nodiscard]] bool keeps_events() const override { return true; }
  [[nodiscard]] StoreTrouble trouble() const override { return {client_.silence(), 0}; }
  [[nodiscard]] Handle list(const Selector& selector, ListDone done) override;
  [[nodiscard]] Handle list_pages(const Selector& selector, PageDone on_page,
                                  ListDone done) override;
  [[nodiscard]] Handle watch(const Selector& selector, const std::string& resource_version,
                             WatchHandler handler) override;
  [[nodiscard]] Handle get(Kind kind, const ObjectKey& key, WriteDone done) override;
  [[nodiscard]] Handle create(Object object, WriteDone done) override;
  [[nodiscard]] Handle update(Object object, WriteDone done) override;
  [[nodiscard]] Handle update_status(Object object, WriteDone done) override;
  [[nodiscard]] Handle remove(Kind kind, const ObjectKey& key, const std::string& resource_version,
                              RemoveDone done) override;

 private:
  struct Listing;
  void next_page(const std::shared_ptr<Listing>& listing);
  struct Overwriting;
  void overwrite(const std::shared_ptr<Overwriting>& work);
  [[nodiscard]] std::string writer_query() const;
  Handle write(HttpRequest request, Kind kind, std::string what, WriteDone done);
  Handle refuse(Error error, WriteDone done);

  Loop& loop_;
  Random& random_;
  std::string field_manager_;
  Client client_;
};

}  // namespace cw::api::kube
