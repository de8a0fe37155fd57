#include "tunnel/link.h"

#include <fmt/format.h>
#include <netlink/route/link.h>

#include <memory>

namespace cw::tunnel {

namespace {

struct Free {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  void operator()(rtnl_link* link) const { rtnl_link_put(link); }
};

Error nl_error(int code, const std::string& clause) {
  return {code == -NLE_PERM || code == -NLE_NOACCESS ? Errc::kDenied : Errc::kInternal,
          fmt::format("{}: netlink: {}", clause, nl_geterror(code))};
}

}  // namespace

Result<std::optional<std::string>> link_kind(const std::string& name) {
  const std::unique_ptr<nl_sock, Free> socket(nl_socket_alloc());
  CW_CHECK(socket != nullptr);
  if (const int err = nl_connect(socket.get(), NETLINK_ROUTE); err != 0) {
    return fail(nl_error(err, "connect"));
  }
  rtnl_link* raw = nullptr;
  const int err = rtnl_link_get_kernel(socket.get(), 0, name.c_str(), &raw);
  if (err == -NLE_NODEV || err == -NLE_OBJ_NOTFOUND) return std::optional<std::string>();
  if (err != 0) return fail(nl_error(err, "link " + name));
  const std::unique_ptr<rtnl_link, Free> link(raw);
  const char* kind = rtnl_link_get_type(link.get());
  return std::optional<std::string>(kind != nullptr ? kind : "");
}

Result<> remove_link(const std::string& name, const std::string& kind) {
  const auto found = link_kind(name);
  if (!found) return fail(found.error());
  if (!*found) return {};
  if (**found != kind) {
    return fail(Errc::kExists, fmt::format("link {} is of kind \"{}\", not \"{}\": left alone",
                                           name, **found, kind));
  }
  const std::unique_ptr<nl_sock, Free> socket(nl_socket_alloc());
  CW_CHECK(socket != nullptr);
  if (const int err = nl_connect(socket.get(), NETLINK_ROUTE); err != 0) {
    return fail(nl_error(err, "connect"));
  }
  const std::unique_ptr<rtnl_link, Free> link(rtnl_link_alloc());
  rtnl_link_set_name(link.get(), name.c_str());
  const int err = rtnl_link_delete(socket.get(), link.get());
  if (err != 0 && err != -NLE_NODEV && err != -NLE_OBJ_NOTFOUND) {
    return fail(nl_error(err, "remove link " + name));
  }
  return {};
}

}  // namespace cw::tunnel
