#include "gateway/app.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "api/store/open.h"
#include "api/store/trouble.h"
#include "base/memory.h"
#include "base/unique_fd.h"
#include "gateway/identity.h"
#include "netlink/reconcile.h"
#include "netlink/rtnl/rtnl_kernel.h"

namespace cw::gateway {
namespace {

bool has_link(netlink::Kernel& kernel, const std::string& name) {
  const auto links = kernel.all_links();
  return links && std::any_of(links->begin(), links->end(),
                              [&](const auto& link) { return link.name == name; });
}

// WireGuard says a port is taken only when its device goes up, and a userspace one only in its own
// log: asked beforehand it is one clear line.
Result<> udp_port_is_free(std::uint16_t port) {
  for (const auto& any : {IpAddress::v4({}), IpAddress::v6({})}) {
    const UniqueFd fd(::socket(any.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) continue;  // a host without that family
    sockaddr_storage storage{};
    const auto size = Endpoint{any, port}.to_sockaddr(storage);
    const int only = 1;
    if (!any.is_v4()) (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage),
               static_cast<socklen_t>(size)) != 0 &&
        errno == EADDRINUSE) {
      return fail(Errc::kInvalid, fmt::format("listenPort {}: the UDP port is taken", port));
    }
  }
  return {};
}

// The key of privateKeyFile, if there is such a file. In the chart's pods the file comes from the
// gateway's Secret.
Result<std::optional<tunnel::Key>> file_key(const Config& config) {
  if (config.private_key_file.empty()) return std::optional<tunnel::Key>();
  auto key = key_from_file(config.private_key_file);
  if (key) return std::optional(*key);
  if (api::daemons_make_secrets(config.store)) return fail(std::move(key.error()));
  return fail(
      std::move(key.error()).context(missing_secret(config.ns, key_secret(config.ordinal))));
}

}  // namespace

Result<std::unique_ptr<App>> App::start(const Config& config) {
  const auto key = file_key(config);
  if (!key) return fail(key.error());
  std::unique_ptr<App> app(new App);
  auto& process = app->process_;
  auto& loop = process.loop;
  if (auto opened = process.open_store(config); !opened) return fail(std::move(opened.error()));
  auto kernel = netlink::RtnlKernel::open(loop);
  if (!kernel) return fail(std::move(kernel.error()).context("netlink"));
  app->kernel_ = std::move(*kernel);
  auto slow = netlink::RtnlKernel::open(loop);
  if (!slow) return fail(std::move(slow.error()).context("netlink"));
  app->slow_kernel_ = std::move(*slow);
  app->worker_ = std::make_unique<Worker>(loop, 4);
  // A device that is there has the port itself: an earlier run of ours left it.
  if (!has_link(*app->kernel_, config.tunnel.interface)) {
    if (auto free = udp_port_is_free(config.listen_port); !free) return fail(free.error());
  }
  auto driver = tunnel::make_driver(config.tunnel);
  if (!driver) return fail(std::move(driver.error()).context("tunnel"));
  app->driver_ = std::move(*driver);
  // Moves of a uapi driver run there, and the program that it starts carries packets.
  app->tunnel_worker_ = std::make_unique<Worker>(loop, 4, Worker::Pace::kAsTheLoop);
  app->name_worker_ = std::make_unique<Worker>(loop, 1);
  const auto readiness = [raw = app.get()] {
    if (raw->coordinator_ == nullptr) return std::vector<std::string>{"starting"};
    return api::with_store(raw->coordinator_->not_ready(), *raw->process_.store);
  };
  if (auto served = process.serve_status(config, readiness); !served) {
    return fail(std::move(served.error()));
  }
  const auto open_prober = [&process](tunnel::ProberConfig prober, tunnel::ProberHooks hooks) {
    return tunnel::Prober::open(process.loop, process.random, std::move(prober), std::move(hooks));
  };
  const auto open_echo = [&loop](const Endpoint& local, const std::string& device) {
    return tunnel::EchoServer::open(loop, local, device);
  };
  app->coordinator_ = std::make_unique<Coordinator>(
      Deps{loop, process.random, *process.store, *app->kernel_, *app->driver_, process.metrics,
           open_prober, open_echo, api::daemons_make_secrets(config.store),
           background_of(*app->worker_), app->slow_kernel_.get(),
           background_of(*app->tunnel_worker_), addresses_of_name,
           background_of(*app->name_worker_)},
      config, *key);
  log_info("gateway started", {{"gateway", config.ordinal},
                               {"node", config.node},
                               {"driver", app->driver_->name()},
                               {"store", config.store}});
  return app;
}

void App::run() {
  GrowthWatch growth;
  const auto give_back = process_.loop.every(GrowthWatch::kEvery, [&growth] { growth.look(); });
  process_.run([this](const std::function<void()>& done) {
    coordinator_->drain([done] {
      log_info("gateway stops; tunnels and routes stay in place");
      done();
    });
  });
}

Result<> clean_up(const Config& config) {
  EventLoop loop;
  auto kernel = netlink::RtnlKernel::open(loop);
  if (!kernel) return fail(std::move(kernel.error()).context("netlink"));
  // The device first: as long as it is there, it needs its guard.
  auto driver = tunnel::make_driver(config.tunnel);
  const auto gone = driver ? (*driver)->remove() : Result<>(fail(driver.error()));
  netlink::PassReport report;
  (void)report.read(gone, "remove tunnel device");
  if (!has_link(**kernel, config.tunnel.interface)) {
    report.add(netlink::remove_all(**kernel, netlink::gateway_owner()));
  }
  log_info("cleaned up", {{"removed", report.steps}, {"errors", report.errors.size()}});
  if (report.errors.empty()) return {};
  return fail(Errc::kInternal, fmt::format("{}", fmt::join(report.errors, "; ")));
}

}  // namespace cw::gateway
