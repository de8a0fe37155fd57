#include "routeagent/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

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
    : loop_(loop),
      spec_(std::move(spec)),
      keeper_(loop, store, random,
              {[this](const auto&) { return step(); }, [this](const auto&) { return stored_; },
               [this](const auto&, auto verb, const auto& answer) { receive(verb, answer); }},
              {.in_flight = 1, .first = std::chrono::seconds(1)}) {
  keeper_.look({api::Kind::kRouteAgent, {"", spec_.node}});
}

bool StatusWriter::announced() const {
  return stored_ != nullptr && (stored_->spec == spec_ || stored_->spec == kept_);
}

std::string StatusWriter::trouble() const {
  if (announced()) return {};
  const auto error = keeper_.error();
  return fmt::format("waiting to publish this node's key in RouteAgent {}{}{}", spec_.node,
                     error.empty() ? "" : ": ", error);
}

std::optional<api::ObjectMeta> StatusWriter::stored() const {
  if (stored_ == nullptr) return std::nullopt;
  return stored_->meta;
}

void StatusWriter::publish(api::RouteAgent::Status status) {
  desired_ = std::move(status);
  keeper_.look({api::Kind::kRouteAgent, {"", spec_.node}});
}

api::Step StatusWriter::step() {
  if (!read_) return {api::Verb::kRead};
  api::RouteAgent agent;
  agent.meta.key.name = spec_.node;
  agent.spec = spec_;
  if (stored_ == nullptr) return api::write_step(api::Verb::kCreate, agent);
  if (!announced()) {
    agent.meta.resource_version = stored_->meta.resource_version;
    return api::write_step(api::Verb::kUpdate, agent);
  }
  if (!desired_ || (written_ && !tells_more(*written_, *desired_))) return {};
  if (loop_.now() < not_before_) return {.wait = not_before_ - loop_.now()};
  agent.status = asked_ = *desired_;
  // Without a version the write is unconditional: only this node writes its status.
  return api::write_step(api::Verb::kStatus, agent);
}

void StatusWriter::receive(api::Verb verb, const Result<api::Object>& answer) {
  if (!answer) {
    written_.reset();  // it may have taken effect or not
    const auto code = answer.error().code;
    if (code == Errc::kConflict || code == Errc::kExists) read_ = false;
    if (code != Errc::kNotFound) return;
    read_ = true;
    stored_.reset();
    return;
  }
  read_ = true;
  const bool was = announced();
  // An object that cannot be read is replaced.
  auto agent = api::decode<api::RouteAgent>(answer->body).value_or(api::RouteAgent());
  agent.meta.resource_version = answer->resource_version;
  stored_ = std::make_shared<const api::RouteAgent>(std::move(agent));
  if (verb == api::Verb::kCreate || verb == api::Verb::kUpdate) kept_ = stored_->spec;
  if (verb == api::Verb::kStatus) {
    written_ = asked_;
    not_before_ = loop_.now() + kPause;
  }
  if (announced() && !was) {
    log_info("node key published", {{"node", spec_.node}, {"key", spec_.public_key}});
  }
}

}  // namespace cw::routeagent
