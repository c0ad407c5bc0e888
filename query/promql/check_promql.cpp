#include "query/promql/ast.hpp"
#include "query/query.hpp"

namespace plumbline::query {

Status check_promql(std::string_view expression) {
  PLUMBLINE_TRY([[maybe_unused]] const promql::ExprPtr expr, promql::parse(expression));
  return {};
}

Result<std::string> format_promql(std::string_view expression) {
  PLUMBLINE_TRY(const promql::ExprPtr expr, promql::parse(expression));
  return promql::print(*expr);
}

}  // namespace plumbline::query
