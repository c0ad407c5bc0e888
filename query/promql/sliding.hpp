// Range functions over windows that overlap: each sample is looked at a constant number of times however many windows it is in.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "query/promql/functions.hpp"
#include "query/promql/numbers.hpp"
#include "query/promql/value.hpp"

namespace plumbline::query::promql {

// Answers evaluate_window() for windows samples[low, high) whose ends both only grow. min, max and their timestamps
// are the same to the bit, quantiles but for the sign of a zero; sums are compensated in another order and differ from the direct sum by its own rounding at most.
// Threads: one. Borrows: the samples.
class Sliding {
 public:
  static bool supports(Fn fn);
  Sliding(Fn fn, std::span<const Sample> samples) : fn_(fn), samples_(samples) {}

  // False: this window has to be evaluated directly (its sum is not finite). low < high; q is the quantile's.
  bool at(std::size_t low, std::size_t high, double q, double& out);

 private:
  bool extreme(std::size_t low, std::size_t high, double& out);
  bool sum(std::size_t low, std::size_t high, double& out);
  bool quantile(std::size_t low, std::size_t high, double q, double& out);

  const Fn fn_;
  const std::span<const Sample> samples_;
  std::size_t low_ = 0, high_ = 0;  // of the window before

  // Extremes: indexes of samples that no later one in the window beats, the best first.
  std::vector<std::size_t> best_;
  std::size_t best_first_ = 0;

  // Sums: a window is samples[low, middle_), whose sums to middle_ are known from each of them, and samples[middle_, high).
  std::size_t middle_ = 0;
  std::size_t tails_from_ = 0;
  std::vector<KahanSum> tails_;  // tails_[i - tails_from_]: sum of samples[i, middle_)
  KahanSum front_;               // of samples[middle_, high_)

  // Quantiles: the window's values in order, NaN first.
  std::vector<double> sorted_;
};

}  // namespace plumbline::query::promql
