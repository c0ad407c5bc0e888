// Native histograms for tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "storage/model/histogram.hpp"

namespace plumbline::test {

// The one that the documents of storage/format work out.
inline model::Histogram document_histogram() {
  model::Histogram h;
  h.layout = {3, 0.001, {{-2, 2}, {1, 1}}, {{0, 1}}, {}};
  h.positive = {1, 2, 3};
  h.negative = {4};
  h.zero_count = 5;
  h.count = 15;
  h.sum = 1.25;
  return h;
}

// A series as an instrumented process makes it: counters that grow, layouts that widen, now and then a reset or stale marker.
class HistogramMaker {
 public:
  explicit HistogramMaker(std::uint64_t s) : random_(s) {}
  std::uint64_t below(std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random_); }

  std::vector<model::HistogramSample> series(std::size_t n) {
    std::vector<model::HistogramSample> out;
    model::Histogram h = fresh();
    for (std::size_t i = 0; i < n; ++i) {
      if (below(20) == 0) h = fresh();
      grow(h);
      model::HistogramSample s{1'700'000'000'000 + static_cast<std::int64_t>(i) * 15'000 + static_cast<std::int64_t>(below(5)), h};
      if (below(30) == 0) s.h.sum = model::stale_nan;
      if (below(30) == 0) s.h.sum = below(2) == 0 ? -0.0 : std::numeric_limits<double>::quiet_NaN();
      out.push_back(std::move(s));
    }
    return out;
  }

 private:
  using Histogram = model::Histogram;
  using HistogramSample = model::HistogramSample;
  using BucketSpan = model::BucketSpan;
  std::vector<BucketSpan> spans(std::size_t& buckets, bool from_zero) {
    std::vector<BucketSpan> out;
    buckets = 0;
    for (std::uint64_t i = below(4); i > 0; --i) {
      const auto length = static_cast<std::uint32_t>(below(6));
      const auto offset = static_cast<std::int32_t>(below(5)) - (out.empty() && !from_zero ? 100 : 0);
      out.push_back({offset, length});
      buckets += length;
    }
    return out;
  }
  Histogram fresh() {
    Histogram h;
    h.is_integer = below(3) != 0;
    std::size_t buckets = 0;
    if (below(3) == 0) {
      h.layout.schema = model::histogram_schema_custom;
      for (int i = 0; i < 40; ++i) h.layout.custom_bounds.push_back(i * 0.1 + 0.005);
      h.layout.positive_spans = spans(buckets, true);
      h.positive.resize(buckets);
      return h;
    }
    h.layout.schema = static_cast<int>(below(13)) - 4;
    h.layout.zero_threshold = std::ldexp(1, -static_cast<int>(below(130)));
    h.layout.positive_spans = spans(buckets, false);
    h.positive.resize(buckets);
    h.layout.negative_spans = spans(buckets, false);
    h.negative.resize(buckets);
    return h;
  }
  double step(const Histogram& h) {
    const auto n = static_cast<double>(below(50));
    return h.is_integer ? n : n * 0.37;
  }
  void grow(Histogram& h) {
    h.reset = static_cast<model::ResetHint>(below(4));
    if (!h.layout.is_custom()) h.zero_count += step(h);
    for (double& v : h.positive) v += step(h);
    for (double& v : h.negative) v += step(h);
    h.count = h.zero_count;
    for (const double v : h.positive) h.count += v;
    for (const double v : h.negative) h.count += v;
    h.sum = h.count * 0.123;
  }
  std::mt19937_64 random_;
};

}  // namespace plumbline::test
