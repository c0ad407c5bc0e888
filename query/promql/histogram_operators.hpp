// One binary operator on two values that may be histograms. Internal to binary operators.
#pragma once

#include "query/promql/evaluator.hpp"

namespace plumbline::query::promql {

struct Evaluator::Operand {
  double v = 0;
  const NativeHistogram* h = nullptr;  // when there is one, it is the value
};

struct Evaluator::Combined {
  bool keep = false;
  double v = 0;
  HistogramPtr h;
};

}  // namespace plumbline::query::promql
