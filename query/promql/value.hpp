// What evaluation works on: a grid of steps, and one column of values per series over the whole grid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/error.hpp"
#include "query/promql/native_histogram.hpp"
#include "storage/model/labels.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::query::promql {

using model::Labels;
using model::Sample;

// Evaluation times start, start + step, ...; count of them.
struct Grid {
  std::int64_t start = 0;
  std::int64_t step = 1;
  std::size_t count = 1;
  std::int64_t at(std::size_t i) const { return start + static_cast<std::int64_t>(i) * step; }
  std::int64_t last() const { return count == 0 ? start : at(count - 1); }
};

// One series over a grid: at each step a float where `present` says so, a histogram where there is one, or nothing. NaN is a
// value like any other. Who knows floats alone passes over histograms, as most functions shall.
struct Column {
  Labels labels;
  std::vector<double> values;
  std::vector<std::uint8_t> present;
  std::vector<HistogramPtr> histograms;  // empty, or one for each step

  Column() = default;
  Column(Labels l, std::size_t count) : labels(std::move(l)), values(count), present(count) {}
  // Empty, with the memory that it had. What is not present has any value.
  void reset(std::size_t count) {
    labels = {};
    values.resize(count);
    present.assign(count, 0);
    histograms.clear();
  }
  void set(std::size_t i, double v) {
    values[i] = v;
    present[i] = 1;
  }
  void set(std::size_t i, HistogramPtr h) {
    if (histograms.empty()) histograms.resize(values.size());
    histograms[i] = std::move(h);
  }
  const NativeHistogram* histogram(std::size_t i) const { return histograms.empty() ? nullptr : histograms[i].get(); }
  bool has(std::size_t i) const { return present[i] || histogram(i) != nullptr; }
  void drop(std::size_t i) {
    present[i] = 0;
    if (!histograms.empty()) histograms[i].reset();
  }
  bool any() const {
    for (std::size_t i = 0; i < present.size(); ++i)
      if (has(i)) return true;
    return false;
  }
};
using Columns = std::vector<Column>;
using Scalars = std::vector<double>;  // one per step

// Takes columns one at a time, so that an aggregation never holds what it aggregates.
using Sink = std::function<Status(Column&&)>;

using LabelIndex = std::unordered_map<Labels, std::size_t, model::LabelsHash>;

}  // namespace plumbline::query::promql
