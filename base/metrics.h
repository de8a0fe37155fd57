// Prometheus metrics of one process, kept by prometheus-cpp. Names:
// causeway_<thing>_<unit>[_total]. Counters and gauges are references that live as long as the
// Metrics; updating them is thread-safe, making them is for the loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace cw {

using MetricLabels = std::map<std::string, std::string>;

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void add(double amount = 1) = 0;
};
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void set(double value) = 0;
};

// A histogram as it stands: counts[i] of bounds[i] or less (and more than the bound before), the
// last of `counts` of what exceeds all bounds.
struct HistogramReading {
  std::vector<double> bounds;
  std::vector<std::uint64_t> counts;
  double sum = 0;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same object.
  Counter& counter(const std::string& name, const std::string& help,
                   const MetricLabels& labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  // A histogram that is counted elsewhere: `read` is called at each scrape.
  void histogram(const std::string& name, const std::string& help, const MetricLabels& labels,
                 std::function<HistogramReading()> read);
  // Drops one labelled series (a peer that went away must not stay "connected" for ever).
  void forget(const std::string& name, const MetricLabels& labels);
  // Called before each text(): the place to set gauges that are read, not counted.
  void before_scrape(std::function<void()> refresh);
  // Prometheus text exposition format.
  [[nodiscard]] std::string text();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw
