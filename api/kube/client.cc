#include "api/kube/client.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace cw::api::kube {

struct Client::Call {
  HttpRequest request;
  Http::Done done;
  Http::Stream stream;
  bool streams = false;
  bool repeated = false;
  Handle identity;
  Handle transfer;
};

namespace {

HttpServer server_of(const Access& access, std::string user_agent, Patience patience) {
  return {access.server,         access.tls_server_name, access.proxy_url,
          std::move(user_agent), access.insecure,        patience};
}

}  // namespace

Client::Client(Loop& loop, Access access, std::string user_agent, Patience patience)
    : loop_(loop),
      access_(std::move(access)),
      credentials_(loop, access_),
      http_(loop, server_of(access_, std::move(user_agent), patience)) {}

Handle Client::send(HttpRequest request, Http::Done done) {
  auto call = std::make_shared<Call>();
  call->request = std::move(request);
  call->done = std::move(done);
  return start(call);
}

Handle Client::stream(HttpRequest request, Http::Stream stream) {
  auto call = std::make_shared<Call>();
  call->request = std::move(request);
  call->done = stream.done;
  call->stream = std::move(stream);
  call->streams = true;
  return start(call);
}

// The handle owns the call. Callbacks hold it weakly, so nothing is called after the handle is
// destroyed.
Handle Client::start(const std::shared_ptr<Call>& call) {
  go(call);
  return Handle([call] {
    call->identity.reset();
    call->transfer.reset();
  });
}

void Client::go(const std::shared_ptr<Call>& call) {
  const std::weak_ptr<Call> weak = call;
  call->identity = credentials_.with_identity([this, weak](const Result<Identity>& identity) {
    const auto still = weak.lock();
    if (still == nullptr) return;
    if (!identity) {
      still->transfer = loop_.after(Duration::zero(), [weak, error = identity.error()] {
        if (const auto waiting = weak.lock()) waiting->done(fail(error));
      });
      return;
    }
    auto done = [this, weak](Result<HttpAnswer> answer) {
      if (const auto waiting = weak.lock()) on_answer(waiting, std::move(answer));
    };
    if (still->streams) {
      still->transfer =
          http_.stream(still->request, *identity,
                       {still->stream.on_open, still->stream.on_data, std::move(done)});
    } else {
      still->transfer = http_.send(still->request, *identity, std::move(done));
    }
  });
}

void Client::on_answer(const std::shared_ptr<Call>& call, Result<HttpAnswer> answer) {
  if (answer && answer->status == 401) {
    credentials_.refused();
    if (!std::exchange(call->repeated, true)) return go(call);
  }
  call->done(std::move(answer));
}

namespace {

constexpr const char* kMounted = "/var/run/secrets/kubernetes.io/serviceaccount";

std::string from_environment(const char* name) {
  const auto* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): read at start only
  return value == nullptr ? "" : value;
}

}  // namespace

Result<Access> find_access(const std::string& where) {
  const auto hash = where.find('#');
  auto path = where.substr(0, hash);
  const auto context = hash == std::string::npos ? "" : where.substr(hash + 1);
  if (path.empty() && context.empty()) {
    const auto host = from_environment("KUBERNETES_SERVICE_HOST");
    std::error_code ignored;
    if (!host.empty() && std::filesystem::exists(std::string(kMounted) + "/token", ignored)) {
      return in_cluster_access(host, from_environment("KUBERNETES_SERVICE_PORT"), kMounted);
    }
  }
  if (path.empty()) path = from_environment("KUBECONFIG");
  if (path.empty()) path = from_environment("HOME") + "/.kube/config";
  std::ifstream file(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open()) {
    return fail(Errc::kInvalid, fmt::format("kubeconfig {}: cannot be read", path));
  }
  auto folder = std::filesystem::path(path).parent_path().string();
  auto access = parse_kubeconfig(text, context, folder.empty() ? "." : folder);
  if (!access) {
    return fail(Errc::kInvalid, fmt::format("{}: {}", path, access.error().text));
  }
  return access;
}

}  // namespace cw::api::kube
