#include <fmt/format.h>

#include "query/promql/evaluator.hpp"
#include "query/query.hpp"

namespace plumbline::query {

namespace {
// Beyond +-2^61 ms (73 million years) arithmetic on times could overflow.
constexpr std::int64_t time_bound = 1ll << 61;
bool bounded(std::int64_t t) { return t >= -time_bound && t <= time_bound; }
}  // namespace

Engine::Engine(const storage::Reader& reader, const Clock& clock, EngineOptions options)
    : reader_(reader), clock_(clock), options_(options) {}
Engine::~Engine() = default;

namespace {

// The steps of a query, or why there are none.
Result<promql::Grid> grid_of(const promql::Expr& expr, const EngineOptions& options, std::int64_t start_ms, std::int64_t end_ms,
                             std::int64_t step_ms) {
  if (const promql::Type t = promql::type_of(expr); t != promql::Type::scalar && t != promql::Type::vector)
    return fail(Code::invalid_input,
                fmt::format("invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                            promql::documented(t)));
  if (!bounded(start_ms) || !bounded(end_ms)) return fail(Code::invalid_input, "start or end time is out of range");
  if (end_ms < start_ms) return fail(Code::invalid_input, "end timestamp must not be before start time");
  if (step_ms <= 0)
    return fail(Code::invalid_input, "zero or negative query resolution step widths are not accepted. Try a positive integer");
  if ((end_ms - start_ms) / step_ms > options.points_max)
    return fail(Code::invalid_input,
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
                "(?step=XX)");
  return promql::Grid{start_ms, step_ms, static_cast<std::size_t>((end_ms - start_ms) / step_ms) + 1};
}

Result<promql::Grid> grid_of(std::int64_t t_ms) {
  if (!bounded(t_ms)) return fail(Code::invalid_input, "evaluation time is out of range");
  return promql::Grid{t_ms, 1, 1};
}

}  // namespace

Result<Answer> Engine::instant(std::string_view expression, std::int64_t t_ms, QueryStats* stats) const {
  PLUMBLINE_TRY(const promql::ExprPtr expr, promql::parse(expression));
  PLUMBLINE_TRY(const promql::Grid grid, grid_of(t_ms));
  promql::Evaluator evaluator({reader_, clock_, options_, expression, grid, t_ms, true, stats});
  return evaluator.run(*expr);
}

Result<Answer> Engine::range(std::string_view expression, std::int64_t start_ms, std::int64_t end_ms,
                             std::int64_t step_ms, QueryStats* stats) const {
  PLUMBLINE_TRY(const promql::ExprPtr expr, promql::parse(expression));
  PLUMBLINE_TRY(const promql::Grid grid, grid_of(*expr, options_, start_ms, end_ms, step_ms));
  promql::Evaluator evaluator({reader_, clock_, options_, expression, grid, end_ms, false, stats});
  return evaluator.run(*expr);
}

Result<PlanNode> Engine::plan(std::string_view expression, std::int64_t start_ms, std::int64_t end_ms, std::int64_t step_ms) const {
  PLUMBLINE_TRY(const promql::ExprPtr expr, promql::parse(expression));
  const bool instant = step_ms == 0;
  PLUMBLINE_TRY(const promql::Grid grid, instant ? grid_of(start_ms) : grid_of(*expr, options_, start_ms, end_ms, step_ms));
  promql::Evaluator evaluator({reader_, clock_, options_, expression, grid, instant ? start_ms : end_ms, instant});
  return evaluator.plan(*expr);
}

}  // namespace plumbline::query
