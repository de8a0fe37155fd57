// Requests to one API server with an identity: Http with Credentials. After a 401 the credentials
// are read again and the request is repeated once. Loop thread only. No callback runs inside a
// call.
#pragma once

#include "api/kube/credentials.h"
#include "api/kube/http.h"

namespace cw::api::kube {

class Client {
 public:
  // `user_agent`: such as "causeway-gateway/0.1.0".
  Client(Loop& loop, Access access, std::string user_agent, Patience patience = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `done` gets the server's answer, whatever its status.
  [[nodiscard]] Handle send(HttpRequest request, Http::Done done);
  [[nodiscard]] Handle stream(HttpRequest request, Http::Stream stream);
  [[nodiscard]] const Access& access() const { return access_; }
  [[nodiscard]] const std::string& silence() const { return http_.silence(); }

 private:
  struct Call;
  Handle start(const std::shared_ptr<Call>& call);
  void go(const std::shared_ptr<Call>& call);
  void on_answer(const std::shared_ptr<Call>& call, Result<HttpAnswer> answer);

  Loop& loop_;
  Access access_;
  Credentials credentials_;
  Http http_;
};

// `where`: "" (the pod's own service account, else the user's kubeconfig), "/path/to/kubeconfig",
// "#context", or a path with a context. kInvalid: the kubeconfig cannot be read or used.
[[nodiscard]] Result<Access> find_access(const std::string& where);

}  // namespace cw::api::kube
