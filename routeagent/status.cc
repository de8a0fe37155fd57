#include "routeagent/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "api/types/codec.h"
#include "base/log.h"

namespace cw::routeagent {

namespace {

bool same_measurements(const api::GatewayProbe& a, const api::GatewayProbe& b) {
  if (std::abs(a.loss - b.loss) >= 0.05) return false;
  const double apart = std::abs(a.rtt_ms - b.rtt_ms);
  return apart < 1 || apart < std::max(a.rtt_ms, b.rtt_ms) / 2;
}

}  // namespace

bool tells_more(const api::RouteAgent::Status& a, const api::RouteAgent::Status& b) {
  auto bare_a = a;
  auto bare_b = b;
  for (auto* status : {&bare_a, &bare_b}) {
    for (auto& gateway : status->gateways) gateway.rtt_ms = gateway.loss = 0;
  }
  if (bare_a != bare_b) return true;
  return !std::equal(a.gateways.begin(), a.gateways.end(), b.gateways.begin(), b.gateways.end(),
                     same_measurements);
}

StatusWriter::StatusWriter(Loop& loop, api::Store& store, Random& random,
                           api::RouteAgent::Spec spec)
    : loop_(loop), store_(store), random_(random), spec_(std::move(spec)) {
  schedule(Duration::zero());
}

std::string StatusWriter::trouble() const {
  if (announced_) return {};
  return fmt::format("waiting to publish this node's key in RouteAgent {}{}{}", spec_.node,
                     last_error_.empty() ? "" : ": ", last_error_);
}

void StatusWriter::want(api::RouteAgent::Status status) {
  if (!wanted_) {
    const auto& last = writing_ ? writing_ : written_;
    if (last && !tells_more(*last, status)) return;
  }
  wanted_ = std::move(status);
  if (!timer_.active() && !request_.active()) schedule(Duration::zero());
}

void StatusWriter::schedule(Duration delay) {
  timer_ = loop_.after(delay, [this] {
    timer_.reset();
    if (!announced_) return announce();
    if (wanted_ && !writing_) write();
  });
}

api::Object StatusWriter::object(const api::RouteAgent::Status& status,
                                 const std::string& resource_version) const {
  api::RouteAgent agent;
  agent.meta.key.name = spec_.node;
  agent.meta.resource_version = resource_version;
  agent.spec = spec_;
  agent.status = status;
  return {api::Kind::kRouteAgent, agent.meta.key, resource_version, api::encode(agent)};
}

void StatusWriter::announce() {
  request_ = store_.get(api::Kind::kRouteAgent, {"", spec_.node}, [this](auto result) {
    if (result) return compare(*result);
    if (result.error().code == Errc::kNotFound) return create();
    failed(result.error());
  });
}

void StatusWriter::compare(const api::Object& object) {
  const auto agent = api::decode<api::RouteAgent>(object.body);
  if (!agent || agent->spec != spec_) return update(object.resource_version);
  announced(object);
}

void StatusWriter::create() {
  request_ = store_.create(object({}, {}), [this](auto result) { announced(result); });
}

void StatusWriter::update(const std::string& resource_version) {
  request_ =
      store_.update(object({}, resource_version), [this](auto result) { announced(result); });
}

void StatusWriter::announced(const Result<api::Object>& result) {
  if (!result) return failed(result.error());
  request_.reset();
  announced_ = true;
  log_info("node key published", {{"node", spec_.node}, {"key", spec_.public_key}});
  backoff_.reset();
  last_error_.clear();
  schedule(Duration::zero());
}

void StatusWriter::write() {
  writing_ = std::exchange(wanted_, std::nullopt);
  request_ = store_.update_status(object(*writing_, {}), [this](auto result) {
    if (result) return written(*result);
    // Without the object no gateway knows this node.
    if (result.error().code == Errc::kNotFound) announced_ = false;
    if (announced_) return failed(result.error());
    if (!wanted_) wanted_ = writing_;
    writing_.reset();
    request_.reset();
    schedule(Duration::zero());
  });
}

void StatusWriter::written(const api::Object& object) {
  if (auto agent = api::decode<api::RouteAgent>(object.body)) {
    announced_ = agent->spec == spec_;
    stored_ = std::move(agent->meta);
  }
  request_.reset();
  written_ = std::exchange(writing_, std::nullopt);
  backoff_.reset();
  last_error_.clear();
  schedule(kPause);  // what is wanted meanwhile is written then
}

void StatusWriter::failed(const Error& error) {
  request_.reset();
  if (!wanted_) wanted_ = writing_;
  writing_.reset();
  if (error.text != last_error_) {
    log_warn("RouteAgent not written", {{"node", spec_.node}, {"error", error.text}});
    last_error_ = error.text;
  }
  schedule(backoff_.next(random_));
}

}  // namespace cw::routeagent
