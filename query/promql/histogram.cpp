// histogram_quantile, histogram_quantiles and histogram_fraction over classic buckets (`le` labels) and native histograms, and
// the functions that read a number off a native histogram.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/evaluator.hpp"
#include "query/promql/numbers.hpp"

namespace plumbline::query::promql {

namespace {

struct Bucket {
  double upper = 0;
  double count = 0;  // cumulative
};

struct Group {
  Labels labels;        // without le and name
  std::string metric;
  std::vector<std::pair<double, const Column*>> columns;  // by upper bound
  std::vector<const Column*> native;
};

// Within a relative 1e-12 of the sum: rounding of what added the buckets up.
bool nearly_equal(double a, double b) {
  static constexpr double tolerance = 1e-12, smallest = std::numeric_limits<double>::min();
  if (a == b) return true;
  const double sum = std::fabs(a) + std::fabs(b), difference = std::fabs(a - b);
  if (a == 0 || b == 0 || sum < smallest) return difference < tolerance * smallest;
  return difference / std::min(sum, std::numeric_limits<double>::max()) < tolerance;
}

// Buckets with one bound become one, as "1" and "1.0" are.
void coalesce(std::vector<Bucket>& buckets) {
  std::size_t last = 0;
  for (std::size_t i = 1; i < buckets.size(); ++i) {
    if (buckets[i].upper == buckets[last].upper) buckets[last].count += buckets[i].count;
    else buckets[++last] = buckets[i];
  }
  buckets.resize(last + 1);
}

// Cumulative counts never go down; true when one had to be lifted that was not a rounding difference.
bool make_monotonic(std::vector<Bucket>& buckets) {
  bool forced = false;
  double before = buckets[0].count;
  for (std::size_t i = 1; i < buckets.size(); ++i) {
    const double now = buckets[i].count;
    if (now == before) continue;
    if (nearly_equal(before, now)) {
      buckets[i].count = before;
    } else if (now < before) {
      buckets[i].count = before;
      forced = true;
    } else {
      before = now;
    }
  }
  return forced;
}

double quantile_of_buckets(double q, std::vector<Bucket>& buckets, bool& forced) {
  if (std::isnan(q)) return nan_value;
  if (q < 0) return -infinity;
  if (q > 1) return infinity;
  if (buckets.empty() || buckets.back().upper != infinity) return nan_value;
  coalesce(buckets);
  forced |= make_monotonic(buckets);
  if (buckets.size() < 2) return nan_value;
  const double observations = buckets.back().count;
  if (observations == 0 || std::isnan(observations)) return nan_value;
  double rank = q * observations;
  std::size_t b = 0;
  // As a binary search, whose answer for NaN counts in between is the one to match.
  for (std::size_t low = 0, high = buckets.size() - 1; low < high;) {
    const std::size_t middle = (low + high) / 2;
    if (buckets[middle].count >= rank) high = middle;
    else low = middle + 1;
    b = low;
  }
  if (b == buckets.size() - 1) return buckets[b - 1].upper;
  if (b == 0 && buckets[0].upper <= 0) return buckets[0].upper;
  double start = 0, count = buckets[b].count;
  if (b > 0) {
    start = buckets[b - 1].upper;
    count -= buckets[b - 1].count;
    rank -= buckets[b - 1].count;
  }
  return start + (buckets[b].upper - start) * (rank / count);
}

double fraction_of_buckets(double lower, double upper, std::vector<Bucket>& buckets) {
  if (buckets.empty() || buckets.back().upper != infinity) return nan_value;
  coalesce(buckets);
  const double total = buckets.back().count;
  if (total == 0 || std::isnan(total) || std::isnan(lower) || std::isnan(upper)) return nan_value;
  if (lower >= upper) return 0;
  // Observations below a value: linear inside a bucket; the infinite ones have no inside.
  const auto below = [&](double v) {
    double rank = 0, bound = -infinity;
    for (const Bucket& b : buckets) {
      if (bound >= v) return rank;
      if (bound < v && b.upper > v)
        return bound == -infinity ? b.count : rank + (b.count - rank) * (v - bound) / (b.upper - bound);
      rank = b.count;
      bound = b.upper;
    }
    return total;
  };
  return (std::min(below(upper), total) - std::min(below(lower), total)) / total;
}

}  // namespace

Result<Columns> Evaluator::histogram_call(const Call& c, const Grid& grid) {
  const Fn fn = c.function->id;
  const Expr& buckets_argument = *c.arguments[fn == Fn::histogram_quantile ? 1 : fn == Fn::histogram_fraction ? 2 : 0];
  std::vector<Scalars> parameters;
  for (std::size_t i = 0; i < c.arguments.size(); ++i) {
    if (type_of(*c.arguments[i]) != Type::scalar) continue;
    PLUMBLINE_TRY(Scalars s, scalar(*c.arguments[i], grid));
    if (fn != Fn::histogram_fraction)
      for (const double q : s)
        if (!(q >= 0 && q <= 1)) {
          warn(*c.arguments[i], fmt::format("quantile value should be between 0 and 1, got {}", format_float(q)));
          break;
        }
    parameters.push_back(std::move(s));
  }
  PLUMBLINE_TRY(const Columns columns, collect(buckets_argument, grid));
  static const std::vector<std::string> bucket_label{"le"};
  std::vector<Group> groups;
  LabelIndex index;
  for (const Column& column : columns) {
    const std::string_view metric = column.labels.metric();
    const std::string of_metric = metric.empty() ? "" : fmt::format(" for metric name {}", quote(metric));
    if (std::ranges::any_of(column.histograms, [](const HistogramPtr& h) { return h != nullptr; })) {
      Labels key = column.labels.without(model::metric_name_label);
      const auto [at, fresh] = index.try_emplace(key, groups.size());
      if (fresh) groups.push_back({std::move(key), std::string(metric), {}, {}});
      groups[at->second].native.push_back(&column);
    }
    if (std::ranges::none_of(column.present, [](std::uint8_t p) { return p != 0; })) continue;
    const std::optional<double> upper = parse_number(column.labels.get("le"));
    if (!upper || std::isnan(*upper)) {
      warn(buckets_argument, fmt::format("bucket label \"le\" is missing or has a malformed value of {}{}",
                                         quote(column.labels.get("le")), of_metric));
      continue;
    }
    Labels key = drop_labels(column.labels, bucket_label, true);
    const auto [at, fresh] = index.try_emplace(key, groups.size());
    if (fresh) groups.push_back({std::move(key), std::string(metric), {}, {}});
    groups[at->second].columns.emplace_back(*upper, &column);
  }
  Columns out;
  std::vector<Bucket> buckets;
  for (Group& group : groups) {
    PLUMBLINE_CHECK_OK(tick());
    std::ranges::stable_sort(group.columns, {}, &std::pair<double, const Column*>::first);
    const std::size_t answers = fn == Fn::histogram_quantiles ? parameters.size() : 1;
    bool forced = false;
    for (std::size_t n = 0; n < answers; ++n) {
      Column column(group.labels, grid.count);
      for (std::size_t i = 0; i < grid.count; ++i) {
        buckets.clear();
        for (const auto& [upper, input] : group.columns)
          if (input->present[i]) buckets.push_back({upper, input->values[i]});
        const NativeHistogram* native = nullptr;
        for (const Column* input : group.native) {
          const NativeHistogram* h = input->histogram(i);
          if (h == nullptr) continue;
          if (native != nullptr) return execution_error(std::string(same_labelset));
          native = h;
        }
        if (native != nullptr) {
          const std::string of_metric = group.metric.empty() ? "" : fmt::format(" for metric name {}", quote(group.metric));
          if (!buckets.empty()) {
            warn(buckets_argument, "vector contains a mix of classic and native histograms" + of_metric);
            continue;
          }
          if (fn == Fn::histogram_fraction) {
            if (std::isnan(native->sum))
              inform(buckets_argument, "input to histogram_fraction has NaN observations, which are excluded from all fractions" + of_metric);
            column.set(i, fraction_of(*native, parameters[0][i], parameters[1][i]));
            continue;
          }
          const double v = quantile_of(*native, parameters[n][i]);
          if (std::isnan(native->sum) && native->count > 0 && parameters[n][i] >= 0 && parameters[n][i] <= 1)
            inform(buckets_argument, fmt::format("input to histogram_quantile has NaN observations, result is {}{}",
                                                 std::isnan(v) ? "NaN" : "skewed higher", of_metric));
          column.set(i, v);
          continue;
        }
        if (buckets.empty()) continue;
        column.set(i, fn == Fn::histogram_fraction ? fraction_of_buckets(parameters[0][i], parameters[1][i], buckets)
                                                   : quantile_of_buckets(parameters[n][i], buckets, forced));
      }
      if (fn == Fn::histogram_quantiles)
        column.labels = column.labels.with(string_of(*c.arguments[1]),
                                           format_float(parameters[n].empty() ? nan_value : parameters[n][0]));
      PLUMBLINE_CHECK_OK(charge(grid.count));
      if (column.any()) out.push_back(std::move(column));
    }
    if (forced)
      inform(buckets_argument,
             fmt::format("input to histogram_quantile needed to be fixed for monotonicity (see "
                         "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
                         group.metric.empty() ? "" : fmt::format(" for metric name {}", quote(group.metric))));
  }
  release(columns);
  return merged(std::move(out));
}

Result<Columns> Evaluator::histogram_number(const Call& c, const Grid& grid) {
  const auto number = [fn = c.function->id](const NativeHistogram& h) {
    switch (fn) {
      case Fn::histogram_count: return h.count;
      case Fn::histogram_sum: return h.sum;
      case Fn::histogram_avg: return mean_of(h);
      case Fn::histogram_stddev: return std::sqrt(variance_of(h));
      default: return variance_of(h);
    }
  };
  PLUMBLINE_TRY(Columns columns, collect(*c.arguments[0], grid));
  for (Column& column : columns) {
    column.labels = column.labels.without(model::metric_name_label);
    for (std::size_t i = 0; i < grid.count; ++i) {
      const NativeHistogram* h = column.histogram(i);
      column.present[i] = h != nullptr;
      if (h != nullptr) column.values[i] = number(*h);
    }
    column.histograms.clear();
  }
  return merged(std::move(columns));
}

}  // namespace plumbline::query::promql
