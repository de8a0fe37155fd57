#include "discovery/kept_names.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/state_file.h"

namespace cw::discovery {

namespace {

// Until when the file was current. kNotFound: there is no file. kExpired: it is older than
// `max_age`.
Result<WallTime> current_until(const std::string& path, WallTime now, Duration max_age) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fail(errno_error(errno, path));
  // If the clock was set back, the file ages from now on. It must not stay young for ever.
  const auto until = std::min(WallTime(std::chrono::seconds(status.st_mtim.tv_sec) +
                                       std::chrono::nanoseconds(status.st_mtim.tv_nsec)),
                              now);
  if (now - until > max_age) {
    return fail(Errc::kExpired,
                fmt::format("{} is {} s old", path, (now - until) / std::chrono::seconds(1)));
  }
  return until;
}

Result<LastKnown> read_known(const std::string& path) {
  const auto text = read_state_file(path, kMostKnownBytes);
  if (!text) return fail(text.error());
  auto known = parse_last_known(*text);
  if (!known) return fail(std::move(known.error()).context(path));
  return known;
}

}  // namespace

KeptNames::KeptNames(Loop& loop, const Config& config, Outlet& outlet)
    : loop_(loop), config_(config), outlet_(outlet) {
  const auto& path = config.table_file;
  if (path.empty()) {
    why_none_ = "no tableFile is configured";
    return;
  }
  const auto now = loop.wall_now();
  const auto until = current_until(path, now, config.table_max_age);
  auto known = until ? read_known(path) : fail(until.error());
  if (!known) {
    why_none_ = known.error().text;
    log_info("no table on disk: all queries get SERVFAIL until the store answers",
             {{"why", why_none_}});
    return;
  }
  served_ = std::make_unique<Served>(
      Served{std::move(*known), *until, ServedNames(loop, config, outlet)});
  fill(served_->names.book(), served_->known);
  outlet.serial = served_->known.serial;
  outlet.allow(clients_of(served_->known.nodes));
  const auto changed = served_->names.book().update(now);
  (void)served_->names.publish(changed, served_->known.services);
  log_warn("names are served from the table on disk until the store answers",
           {{"file", path},
            {"age_s", (now - *until) / std::chrono::seconds(1)},
            {"services", served_->names.view().services.size()}});
  expiry_ = loop.after(config.table_max_age - (now - *until), [this] { expire(); });
}

void KeptNames::expire() {
  log_warn("the table on disk is too old: all queries get SERVFAIL until the store answers",
           {{"file", config_.table_file}});
  why_none_ = "it is older than tableMaxAge";
  stop();
  outlet_.publish(std::make_shared<const dns::Table>());
}

std::optional<Duration> KeptNames::age() const {
  if (served_ == nullptr) return std::nullopt;
  return std::max(Duration::zero(), loop_.wall_now() - served_->current_until);
}

void KeptNames::update(const AgentReach& reach) {
  if (served_ == nullptr) return;
  auto& [known, until, names] = *served_;
  names.book().set_away(reach.corrected(api::disconnected(known.peers)));
  (void)names.publish(names.book().update(loop_.wall_now()), known.services);
}

void KeptNames::stop() {
  served_.reset();
  expiry_.reset();
}

}  // namespace cw::discovery
