#include "routeagent/status.h"

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

StatusWriter::StatusWriter(Loop& loop, api::Store& store, Random& random, std::string node)
    : loop_(loop), store_(store), random_(random), node_(std::move(node)) {}

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
    if (wanted_ && !writing_) write();
  });
}

void StatusWriter::write() {
  api::RouteAgent agent;
  agent.meta.key.name = node_;
  agent.status = *wanted_;
  writing_ = std::exchange(wanted_, std::nullopt);
  request_ = store_.update_status({api::Kind::kRouteAgent, agent.meta.key, {}, api::encode(agent)},
                                  [this](auto result) {
                                    if (result) return written(*result);
                                    if (result.error().code == Errc::kNotFound) return create();
                                    failed(result.error());
                                  });
}

void StatusWriter::create() {
  api::RouteAgent agent;
  agent.meta.key.name = node_;
  request_ = store_.create({api::Kind::kRouteAgent, agent.meta.key, {}, api::encode(agent)},
                           [this](auto result) {
                             if (!result && result.error().code != Errc::kExists) {
                               return failed(result.error());
                             }
                             if (!wanted_) wanted_ = writing_;
                             writing_.reset();
                             write();
                           });
}

void StatusWriter::written(const api::Object& object) {
  if (auto agent = api::decode<api::RouteAgent>(object.body)) stored_ = std::move(agent->meta);
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
    log_warn("status not written", {{"node", node_}, {"error", error.text}});
    last_error_ = error.text;
  }
  schedule(backoff_.next(random_));
}

}  // namespace cw::routeagent
