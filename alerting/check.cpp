#include "alerting/plan.hpp"

namespace plumbline::alerting {

std::vector<std::string> check(const RuleSet& rules) {
  std::vector<std::string> errors;
  make_plan(rules, query::check_promql, errors);
  return errors;
}

}  // namespace plumbline::alerting
