#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <utility>
#include <vector>

namespace cw {

namespace {

class PromCounter final : public Counter {
 public:
  explicit PromCounter(prometheus::Counter& from) : counter(from) {}
  void add(double amount) override { counter.Increment(amount); }
  prometheus::Counter& counter;
};

class PromGauge final : public Gauge {
 public:
  explicit PromGauge(prometheus::Gauge& from) : gauge(from) {}
  void set(double value) override { gauge.Set(value); }
  prometheus::Gauge& gauge;
};

struct ReadHistogram {
  std::string name;
  std::string help;
  MetricLabels labels;
  std::function<HistogramReading()> read;
};

prometheus::ClientMetric client_metric(const ReadHistogram& from) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : from.labels) metric.label.push_back({name, value});
  const auto now = from.read();
  auto& to = metric.histogram;
  for (std::size_t i = 0; i < now.counts.size(); ++i) {
    to.sample_count += now.counts[i];
    const bool last = i >= now.bounds.size();
    to.bucket.push_back(
        {to.sample_count, last ? std::numeric_limits<double>::infinity() : now.bounds[i]});
  }
  to.sample_sum = now.sum;
  return metric;
}

}  // namespace

struct Metrics::State {
  using Key = std::pair<std::string, MetricLabels>;
  prometheus::Registry registry;
  std::map<std::string, prometheus::Family<prometheus::Counter>*> counter_families;
  std::map<std::string, prometheus::Family<prometheus::Gauge>*> gauge_families;
  std::map<Key, std::unique_ptr<PromCounter>> counters;
  std::map<Key, std::unique_ptr<PromGauge>> gauges;
  std::vector<std::function<void()>> refreshers;
  std::vector<ReadHistogram> histograms;
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::counter(const std::string& name, const std::string& help,
                          const MetricLabels& labels) {
  auto& slot = state_->counters[{name, labels}];
  if (slot == nullptr) {
    auto& family = state_->counter_families[name];
    if (family == nullptr) {
      family = &prometheus::BuildCounter().Name(name).Help(help).Register(state_->registry);
    }
    slot = std::make_unique<PromCounter>(family->Add(labels));
  }
  return *slot;
}

Gauge& Metrics::gauge(const std::string& name, const std::string& help,
                      const MetricLabels& labels) {
  auto& slot = state_->gauges[{name, labels}];
  if (slot == nullptr) {
    auto& family = state_->gauge_families[name];
    if (family == nullptr) {
      family = &prometheus::BuildGauge().Name(name).Help(help).Register(state_->registry);
    }
    slot = std::make_unique<PromGauge>(family->Add(labels));
  }
  return *slot;
}

void Metrics::forget(const std::string& name, const MetricLabels& labels) {
  const State::Key key{name, labels};
  if (const auto found = state_->counters.find(key); found != state_->counters.end()) {
    state_->counter_families[name]->Remove(&found->second->counter);
    state_->counters.erase(found);
  }
  if (const auto found = state_->gauges.find(key); found != state_->gauges.end()) {
    state_->gauge_families[name]->Remove(&found->second->gauge);
    state_->gauges.erase(found);
  }
}

void Metrics::histogram(const std::string& name, const std::string& help,
                        const MetricLabels& labels, std::function<HistogramReading()> read) {
  state_->histograms.push_back({name, help, labels, std::move(read)});
}

void Metrics::before_scrape(std::function<void()> refresh) {
  state_->refreshers.push_back(std::move(refresh));
}

std::string Metrics::text() {
  for (const auto& refresh : state_->refreshers) refresh();
  auto families = state_->registry.Collect();
  std::map<std::string, std::size_t> at;  // all series of one name form one family
  for (const auto& one : state_->histograms) {
    const auto [known, added] = at.try_emplace(one.name, families.size());
    if (added) families.push_back({one.name, one.help, prometheus::MetricType::Histogram, {}});
    families[known->second].metric.push_back(client_metric(one));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace cw
