// What evaluation works on: a grid of steps, and one column of values per series over the whole grid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/error.hpp"
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

// One series over a grid: a value where `present` says so. NaN is a value like any other.
struct Column {
  Labels labels;
  std::vector<double> values;
  std::vector<std::uint8_t> present;

  Column() = default;
  Column(Labels l, std::size_t count) : labels(std::move(l)), values(count), present(count) {}
  void set(std::size_t i, double v) {
    values[i] = v;
    present[i] = 1;
  }
  bool any() const {
    for (const std::uint8_t p : present)
      if (p) return true;
    return false;
  }
};
using Columns = std::vector<Column>;
using Scalars = std::vector<double>;  // one per step

// Takes columns one at a time, so that an aggregation never holds what it aggregates.
using Sink = std::function<Status(Column&&)>;

using LabelIndex = std::unordered_map<Labels, std::size_t, model::LabelsHash>;

}  // namespace plumbline::query::promql
