#include "query/promql/functions.hpp"

#include <algorithm>
#include <array>

namespace plumbline::query::promql {

namespace {

// Sorted by name, for the binary search.
constexpr std::array table{
    Function{"abs", Fn::abs, "v"},
    Function{"absent", Fn::absent, "v"},
    Function{"absent_over_time", Fn::absent_over_time, "m"},
    Function{"acos", Fn::acos, "v"},
    Function{"acosh", Fn::acosh, "v"},
    Function{"asin", Fn::asin, "v"},
    Function{"asinh", Fn::asinh, "v"},
    Function{"atan", Fn::atan, "v"},
    Function{"atanh", Fn::atanh, "v"},
    Function{"avg_over_time", Fn::avg_over_time, "m"},
    Function{"ceil", Fn::ceil, "v"},
    Function{"changes", Fn::changes, "m"},
    Function{"clamp", Fn::clamp, "vss"},
    Function{"clamp_max", Fn::clamp_max, "vs"},
    Function{"clamp_min", Fn::clamp_min, "vs"},
    Function{"cos", Fn::cos, "v"},
    Function{"cosh", Fn::cosh, "v"},
    Function{"count_over_time", Fn::count_over_time, "m"},
    Function{"day_of_month", Fn::day_of_month, "v", 1},
    Function{"day_of_week", Fn::day_of_week, "v", 1},
    Function{"day_of_year", Fn::day_of_year, "v", 1},
    Function{"days_in_month", Fn::days_in_month, "v", 1},
    Function{"deg", Fn::deg, "v"},
    Function{"delta", Fn::delta, "m"},
    Function{"deriv", Fn::deriv, "m"},
    Function{"double_exponential_smoothing", Fn::double_exponential_smoothing, "mss"},
    Function{"end", Fn::end, "", 0, Type::scalar},
    Function{"exp", Fn::exp, "v"},
    Function{"first_over_time", Fn::first_over_time, "m"},
    Function{"floor", Fn::floor, "v"},
    Function{"histogram_avg", Fn::histogram_avg, "v"},
    Function{"histogram_count", Fn::histogram_count, "v"},
    Function{"histogram_fraction", Fn::histogram_fraction, "ssv"},
    Function{"histogram_quantile", Fn::histogram_quantile, "sv"},
    Function{"histogram_quantiles", Fn::histogram_quantiles, "vtss", 9},
    Function{"histogram_stddev", Fn::histogram_stddev, "v"},
    Function{"histogram_stdvar", Fn::histogram_stdvar, "v"},
    Function{"histogram_sum", Fn::histogram_sum, "v"},
    Function{"hour", Fn::hour, "v", 1},
    Function{"idelta", Fn::idelta, "m"},
    Function{"increase", Fn::increase, "m"},
    Function{"info", Fn::info, "vv", 1},
    Function{"irate", Fn::irate, "m"},
    Function{"label_join", Fn::label_join, "vttt", -1},
    Function{"label_replace", Fn::label_replace, "vtttt"},
    Function{"last_over_time", Fn::last_over_time, "m"},
    Function{"ln", Fn::ln, "v"},
    Function{"log10", Fn::log10, "v"},
    Function{"log2", Fn::log2, "v"},
    Function{"mad_over_time", Fn::mad_over_time, "m"},
    Function{"max_of", Fn::max_of, "ss", 0, Type::scalar},
    Function{"max_over_time", Fn::max_over_time, "m"},
    Function{"min_of", Fn::min_of, "ss", 0, Type::scalar},
    Function{"min_over_time", Fn::min_over_time, "m"},
    Function{"minute", Fn::minute, "v", 1},
    Function{"month", Fn::month, "v", 1},
    Function{"pi", Fn::pi, "", 0, Type::scalar},
    Function{"predict_linear", Fn::predict_linear, "ms"},
    Function{"present_over_time", Fn::present_over_time, "m"},
    Function{"quantile_over_time", Fn::quantile_over_time, "sm"},
    Function{"rad", Fn::rad, "v"},
    Function{"range", Fn::range, "", 0, Type::scalar},
    Function{"rate", Fn::rate, "m"},
    Function{"resets", Fn::resets, "m"},
    Function{"round", Fn::round, "vs", 1},
    Function{"scalar", Fn::scalar, "v", 0, Type::scalar},
    Function{"sgn", Fn::sgn, "v"},
    Function{"sin", Fn::sin, "v"},
    Function{"sinh", Fn::sinh, "v"},
    Function{"sort", Fn::sort, "v"},
    Function{"sort_by_label", Fn::sort_by_label, "vt", -1},
    Function{"sort_by_label_desc", Fn::sort_by_label_desc, "vt", -1},
    Function{"sort_desc", Fn::sort_desc, "v"},
    Function{"sqrt", Fn::sqrt, "v"},
    Function{"start", Fn::start, "", 0, Type::scalar},
    Function{"start_timestamp", Fn::start_timestamp, "v"},
    Function{"stddev_over_time", Fn::stddev_over_time, "m"},
    Function{"stdvar_over_time", Fn::stdvar_over_time, "m"},
    Function{"step", Fn::step, "", 0, Type::scalar},
    Function{"sum_over_time", Fn::sum_over_time, "m"},
    Function{"tan", Fn::tan, "v"},
    Function{"tanh", Fn::tanh, "v"},
    Function{"time", Fn::time, "", 0, Type::scalar},
    Function{"timestamp", Fn::timestamp, "v"},
    Function{"ts_of_first_over_time", Fn::ts_of_first_over_time, "m"},
    Function{"ts_of_last_over_time", Fn::ts_of_last_over_time, "m"},
    Function{"ts_of_max_over_time", Fn::ts_of_max_over_time, "m"},
    Function{"ts_of_min_over_time", Fn::ts_of_min_over_time, "m"},
    Function{"vector", Fn::vector, "s"},
    Function{"year", Fn::year, "v", 1},
};
static_assert(std::ranges::is_sorted(table, {}, &Function::name));

}  // namespace

Type Function::argument(std::size_t i) const {
  switch (arguments[std::min(i, arguments.size() - 1)]) {
    case 'v': return Type::vector;
    case 'm': return Type::matrix;
    case 's': return Type::scalar;
    default: return Type::string;
  }
}

std::span<const Function> functions() { return table; }

const Function* find_function(std::string_view name) {
  const auto* at = std::ranges::lower_bound(table, name, {}, &Function::name);
  return at != table.end() && at->name == name ? at : nullptr;
}

}  // namespace plumbline::query::promql
