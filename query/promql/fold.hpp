// One group of an aggregation that takes its series one after another: sum, avg, count, min, max, group, stddev, stdvar.
#pragma once

#include <cstdint>
#include <vector>

#include "query/promql/lexer.hpp"
#include "query/promql/numbers.hpp"
#include "query/promql/value.hpp"

namespace plumbline::query::promql {

// Floats of a group at every step. sum and avg are compensated (Kahan-Neumaier), stddev and stdvar Welford's without compensation, as
// upstream's are.
class Fold {
 public:
  Fold(Tok op, std::size_t steps);
  // Whether groups of parts of the series, brought together by merge(), are as good as one that saw all of them in order.
  static bool merges(Tok op) { return op != Tok::stddev && op != Tok::stdvar; }

  void add(const Column& column);
  // What `other` saw comes after what this one saw. Both of one operation that merges.
  void merge(const Fold& other);
  void add_one(std::size_t step) { ++counts_[step]; }  // something that count and group count, too
  bool any(std::size_t step) const { return counts_[step] > 0; }
  double value(std::size_t step) const;

 private:
  Tok op_;
  std::vector<std::uint32_t> counts_;  // of series
  // By operation: sums and what they lost; means; extremes; sums of squared distances and centers.
  std::vector<double> values_, others_;
  std::vector<KahanMean> means_;
};

}  // namespace plumbline::query::promql
