// Prometheus metrics of one process, kept by prometheus-cpp. Names:
// causeway_<thing>_<unit>[_total]. A Counter or Gauge lives as long as the Metrics. Updating it is
// thread-safe. Creating one is for the loop thread only.
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

// A histogram at one moment. counts[i] has the values up to bounds[i] and above the bound before.
// The last element of `counts` has the values above all bounds.
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

  // The same name and labels return the same object.
  Counter& counter(const std::string& name, const std::string& help,
                   const MetricLabels& labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  // A histogram that other code counts: `read` is called at each scrape.
  void histogram(const std::string& name, const std::string& help, const MetricLabels& labels,
                 std::function<HistogramReading()> read);
  // Removes one labelled series. A removed peer must not stay "connected" for ever.
  void forget(const std::string& name, const MetricLabels& labels);
  // `refresh` is called before each text(), to set gauges that are read rather than counted.
  void before_scrape(std::function<void()> refresh);
  // In the Prometheus text exposition format.
  [[nodiscard]] std::string text();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw
