// The daemon's own metrics. A Registry hands out named meters that live as long as it does; render() prints the
// Prometheus text exposition for /metrics. Names start plumbline_, counters end _total.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/mutex.hpp"

namespace plumbline {

using MeterLabels = std::vector<std::pair<std::string, std::string>>;

// Threads: any. Blocks: never.
class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(double v) { value_.store(v, std::memory_order_relaxed); }
  void add(double v) {
    double old = value_.load(std::memory_order_relaxed);
    while (!value_.compare_exchange_weak(old, old + v, std::memory_order_relaxed)) {
    }
  }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Seconds, in fixed buckets 0.001 .. 60.
class Histogram {
 public:
  static constexpr std::array<double, 12> bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 15, 60};
  void observe(double seconds);

 private:
  friend class Registry;
  std::array<std::atomic<std::uint64_t>, bounds.size() + 1> counts_{};
  Gauge sum_;
};

// Threads: any. counter() with the same name and labels returns the same meter.
// Fails: never; a name used with two kinds is a bug of ours and stops the process.
class Registry {
 public:
  Counter& counter(std::string_view name, std::string_view help, MeterLabels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, MeterLabels labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, MeterLabels labels = {});
  // Read at render time; the function must be callable from any thread as long as the registry lives.
  void gauge_function(std::string_view name, std::string_view help, MeterLabels labels, std::function<double()> read);
  std::string render() const;

 private:
  struct Family {
    std::string help;
    char kind = 'c';  // c counter, g gauge, h histogram
    std::map<MeterLabels, std::unique_ptr<Counter>> counters;
    std::map<MeterLabels, std::unique_ptr<Gauge>> gauges;
    std::map<MeterLabels, std::unique_ptr<Histogram>> histograms;
    std::map<MeterLabels, std::function<double()>> functions;
  };
  Family& family(std::string_view name, std::string_view help, char kind) PLUMBLINE_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Family, std::less<>> families_ PLUMBLINE_GUARDED_BY(mutex_);
};

}  // namespace plumbline
