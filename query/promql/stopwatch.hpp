// Measures a part of a query for its statistics, when somebody wants them.
#pragma once

#include "query/promql/evaluator.hpp"

namespace plumbline::query::promql {

// Adds the time until it is destroyed.
class Evaluator::Stopwatch {
 public:
  Stopwatch(const Context& context, double QueryStats::* into)
      : context_(context), into_(into), began_(context.stats != nullptr ? context.clock.steady() : Steady{}) {}
  ~Stopwatch() {
    if (context_.stats != nullptr) context_.stats->*into_ += std::chrono::duration<double>(context_.clock.steady() - began_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  const Context& context_;
  double QueryStats::* const into_;
  const Steady began_;
};

}  // namespace plumbline::query::promql
