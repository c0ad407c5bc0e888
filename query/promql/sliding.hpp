// Range functions over windows that overlap: each sample is looked at a constant number of times however many windows it is in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "query/promql/functions.hpp"
#include "query/promql/numbers.hpp"
#include "query/promql/value.hpp"

namespace plumbline::query::promql {

// Answers evaluate_window() for windows (end - range, end], whose samples are samples[low, high), and whose ends only grow. min, max, their
// timestamps and quantiles are the same to the bit; sums are compensated in another order and differ from the direct sum by its own
// rounding at most. Whatever it is, the answer for a window depends on its samples and its end alone, to the last bit, not on the
// windows before: a part of a kept answer is what evaluating it anew would give.
// Threads: one. Borrows: the samples.
class Sliding {
 public:
  static bool supports(Fn fn);
  Sliding(Fn fn, std::span<const Sample> samples, std::int64_t range) : fn_(fn), samples_(samples), range_(range) {}

  // False: this window has to be evaluated directly (its sum is not finite). low < high; q is the quantile's.
  bool at(std::size_t low, std::size_t high, std::int64_t end, double q, double& out);

 private:
  bool extreme(std::size_t low, std::size_t high, double& out);
  bool sum(std::size_t low, std::size_t high, std::int64_t end, double& out);
  void begin_at_cut(std::size_t low, std::size_t high, std::int64_t end);
  bool quantile(std::size_t low, std::size_t high, double q, double& out);

  const Fn fn_;
  const std::span<const Sample> samples_;
  const std::int64_t range_;
  std::size_t low_ = 0, high_ = 0;  // of the window before

  // Extremes: indexes of samples that no later one in the window beats, the best first.
  std::vector<std::size_t> best_;
  std::size_t best_first_ = 0;

  // Sums: every window has one multiple of the range in it. Up to there, where tails_ end, the sums from each of its samples are known;
  // behind it they are added to front_ as they come.
  std::int64_t next_cut_ = std::numeric_limits<std::int64_t>::min();
  std::size_t tails_from_ = 0;
  std::vector<KahanSum> tails_;  // tails_[i - tails_from_]: sum of what follows from samples[i] to the cut
  KahanSum front_;               // up to samples[front_to_)
  std::size_t front_to_ = 0;

  // Quantiles: the window's values in order, NaN first.
  std::vector<double> sorted_;
};

}  // namespace plumbline::query::promql
