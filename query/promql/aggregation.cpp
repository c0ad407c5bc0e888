// Aggregations over series. sum, avg, count, min, max, group, stddev and stdvar fold columns as they come; the others
// need all series of a group side by side.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "query/promql/evaluator.hpp"
#include "query/promql/numbers.hpp"

namespace plumbline::query::promql {

namespace {

Labels group_labels(const Aggregate& a, const Labels& labels) {
  return a.without ? drop_labels(labels, a.grouping, true) : keep_labels(labels, a.grouping);
}

// What is known of one group at one step.
struct Cell {
  KahanMean mean;     // sum, avg (a sum is its accumulator)
  double value = 0;   // min, max; sum of squared distances for stddev
  double center = 0;  // running mean for stddev
  double count = 0;
};

void fold_value(Tok op, Cell& c, double v) {
  c.count += 1;
  const bool first = c.count == 1;
  switch (op) {
    case Tok::sum:
      if (first) c.mean.acc.sum = v;
      else c.mean.acc.add(v);
      break;
    case Tok::avg: c.mean.add(v); break;
    case Tok::min:
      if (first || c.value > v || std::isnan(c.value)) c.value = v;
      break;
    case Tok::max:
      if (first || c.value < v || std::isnan(c.value)) c.value = v;
      break;
    case Tok::stddev:
    case Tok::stdvar: {
      // Welford, without compensation, as upstream; an infinite first value makes the group NaN.
      if (first) {
        c.center = v;
        c.value = std::isfinite(v) ? 0 : nan_value;
        break;
      }
      const double delta = v - c.center;
      c.center += delta / c.count;
      c.value += delta * (v - c.center);
      break;
    }
    default: break;
  }
}

// The histograms of one group at one step.
struct HistogramCell {
  std::shared_ptr<NativeHistogram> sum;
  double count = 0;
  bool incompatible = false, reset = false, no_reset = false;
};

bool adds_histograms(Tok op) { return op == Tok::sum || op == Tok::avg; }

struct FoldedGroup {
  Labels labels;
  std::vector<Cell> cells;
  std::vector<HistogramCell> histograms;  // empty until there is one
};

double finish(Tok op, const Cell& c) {
  switch (op) {
    case Tok::sum: return c.mean.acc.total();
    case Tok::avg: return c.mean.value();
    case Tok::count: return c.count;
    case Tok::group: return 1;
    case Tok::stdvar: return c.value / c.count;
    case Tok::stddev: return std::sqrt(c.value / c.count);
    default: return c.value;
  }
}

// Input columns of each group, groups in order of appearance.
struct Groups {
  std::vector<Labels> labels;
  std::vector<std::vector<std::size_t>> members;
  Groups(const Aggregate& a, const Columns& columns) {
    LabelIndex index;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      Labels key = group_labels(a, columns[i].labels);
      const auto [at, fresh] = index.try_emplace(key, labels.size());
      if (fresh) {
        labels.push_back(std::move(key));
        members.emplace_back();
      }
      members[at->second].push_back(i);
    }
  }
};

}  // namespace

Result<Columns> Evaluator::aggregate(const Aggregate& a, const Grid& grid) {
  switch (a.op) {
    case Tok::topk:
    case Tok::bottomk:
    case Tok::limitk:
    case Tok::limit_ratio: return pick(a, grid);
    case Tok::quantile: return quantile(a, grid);
    case Tok::count_values: return count_values(a, grid);
    default: return fold(a, grid);
  }
}

Result<Columns> Evaluator::fold(const Aggregate& a, const Grid& grid) {
  LabelIndex index;
  std::vector<FoldedGroup> groups;
  const auto add_histogram = [&](FoldedGroup& group, std::size_t i, const NativeHistogram& h, std::string_view metric) {
    if (a.op == Tok::count || a.op == Tok::group) return void(group.cells[i].count += 1);
    if (!adds_histograms(a.op)) return inform(*a.inner, fmt::format("ignored histogram in {} aggregation", spelling(a.op)));
    if (group.histograms.empty()) group.histograms.resize(grid.count);
    HistogramCell& cell = group.histograms[i];
    cell.count += 1;
    cell.reset |= h.reset == model::ResetHint::reset;
    cell.no_reset |= h.reset == model::ResetHint::no_reset;
    if (!cell.sum)
      cell.sum = std::make_shared<NativeHistogram>(h);
    else if (!cell.incompatible)
      cell.incompatible = !add_noted(*cell.sum, h, 1, *a.inner, metric, "aggregation");
  };
  const Sink add = [&](Column&& c) -> Status {
    Labels key = group_labels(a, c.labels);
    const auto [at, fresh] = index.try_emplace(key, groups.size());
    if (fresh) {
      PLUMBLINE_CHECK_OK(charge(grid.count));
      groups.push_back({std::move(key), std::vector<Cell>(grid.count), {}});
    }
    FoldedGroup& group = groups[at->second];
    for (std::size_t i = 0; i < grid.count; ++i)
      if (c.present[i])
        fold_value(a.op, group.cells[i], c.values[i]);
      else if (const NativeHistogram* h = c.histogram(i))
        add_histogram(group, i, *h, c.labels.metric());
    release(c.values.size());
    return {};
  };
  PLUMBLINE_CHECK_OK(each(*a.inner, grid, add));
  Columns out;
  for (FoldedGroup& group : groups) {
    Column c(std::move(group.labels), grid.count);
    for (std::size_t i = 0; i < grid.count; ++i) {
      HistogramCell none;
      HistogramCell& h = group.histograms.empty() ? none : group.histograms[i];
      if (h.count > 0 && group.cells[i].count > 0) {
        warn(*a.inner, "encountered a mix of histograms and floats for aggregation");
      } else if (h.count > 0) {
        if (h.incompatible) continue;
        if (h.reset && h.no_reset) warn(*a.inner, "conflicting counter resets during histogram aggregation");
        if (a.op == Tok::avg) divide(*h.sum, h.count);
        c.set(i, std::move(h.sum));
      } else if (group.cells[i].count > 0) {
        c.set(i, finish(a.op, group.cells[i]));
      }
    }
    std::vector<Cell>().swap(group.cells);
    std::vector<HistogramCell>().swap(group.histograms);
    out.push_back(std::move(c));
  }
  return out;
}

Result<Columns> Evaluator::pick(const Aggregate& a, const Grid& grid) {
  PLUMBLINE_TRY(Scalars parameter, scalar(*a.parameter, grid));
  PLUMBLINE_TRY(Columns columns, collect(*a.inner, grid));
  const Groups groups(a, columns);
  if (a.op == Tok::limit_ratio) {
    for (double& r : parameter) {
      if (std::isnan(r)) return execution_error("Ratio value is NaN");
      const double capped = std::clamp(r, -1.0, 1.0);
      if (capped != r)
        warn(*a.parameter, fmt::format("ratio value should be between -1 and 1, got {:g}, capping to {:g}", r, capped));
      r = capped;
    }
    for (Column& c : columns) {
      // A series is in by its own hash, so that the choice is stable and r and r-1 complement each other.
      const double offset = static_cast<double>(c.labels.fingerprint()) / 18446744073709551616.0;
      for (std::size_t i = 0; i < grid.count; ++i) {
        const double r = parameter[i];
        if (!(r >= 0 ? offset < r : offset >= 1 + r)) c.drop(i);
      }
    }
    return columns;
  }
  for (const double k : parameter) {
    if (std::isnan(k)) return execution_error("Parameter value is NaN");
    if (!(k < 9.223372036854775e18 && k > -9.223372036854775e18))
      return execution_error(fmt::format("Scalar value {:g} {} int64", k, k > 0 ? "overflows" : "underflows"));
  }
  const bool top = a.op == Tok::topk;
  if (a.op != Tok::limitk) ignore_histograms(a, columns);
  // Best first; NaN is the worst of all, and of equals the earlier series wins.
  const auto better = [top](double l, double r) {
    if (std::isnan(r)) return !std::isnan(l);
    return top ? l > r : l < r;
  };
  std::vector<std::size_t> order;   // of an instant query's answer
  std::vector<std::size_t> there;
  for (const std::vector<std::size_t>& members : groups.members) {
    PLUMBLINE_CHECK_OK(tick());
    for (std::size_t i = 0; i < grid.count; ++i) {
      there.clear();
      for (const std::size_t c : members)
        if (columns[c].has(i)) there.push_back(c);
      const double k = std::trunc(parameter[i]);
      const std::size_t keep = k < 1 ? 0 : std::min(there.size(), k > 1e9 ? there.size() : static_cast<std::size_t>(k));
      if (a.op != Tok::limitk)
        std::ranges::sort(there, [&](std::size_t l, std::size_t r) {
          const double left = columns[l].values[i], right = columns[r].values[i];
          return better(left, right) || (!better(right, left) && l < r);
        });
      for (std::size_t n = keep; n < there.size(); ++n) columns[there[n]].drop(i);
      if (grid.count == 1) order.insert(order.end(), there.begin(), there.begin() + static_cast<std::ptrdiff_t>(keep));
    }
  }
  if (grid.count != 1) return columns;
  Columns sorted;
  for (const std::size_t c : order) sorted.push_back(std::move(columns[c]));
  return sorted;
}

void Evaluator::ignore_histograms(const Aggregate& a, Columns& columns) {
  for (Column& c : columns) {
    if (std::ranges::any_of(c.histograms, [](const HistogramPtr& h) { return h != nullptr; }))
      inform(*a.inner, fmt::format("ignored histogram in {} aggregation", spelling(a.op)));
    c.histograms.clear();
  }
}

Result<Columns> Evaluator::quantile(const Aggregate& a, const Grid& grid) {
  PLUMBLINE_TRY(const Scalars q, scalar(*a.parameter, grid));
  for (const double v : q)
    if (!(v >= 0 && v <= 1)) {
      warn(*a.parameter, fmt::format("quantile value should be between 0 and 1, got {}", format_float(v)));
      break;
    }
  PLUMBLINE_TRY(Columns columns, collect(*a.inner, grid));
  ignore_histograms(a, columns);
  const Groups groups(a, columns);
  Columns out;
  std::vector<double> values;
  for (std::size_t g = 0; g < groups.labels.size(); ++g) {
    PLUMBLINE_CHECK_OK(tick());
    PLUMBLINE_CHECK_OK(charge(grid.count));
    Column c(groups.labels[g], grid.count);
    for (std::size_t i = 0; i < grid.count; ++i) {
      values.clear();
      for (const std::size_t m : groups.members[g])
        if (columns[m].present[i]) values.push_back(columns[m].values[i]);
      if (!values.empty()) c.set(i, quantile_of(q[i], values));
    }
    out.push_back(std::move(c));
  }
  release(columns);
  return out;
}

Result<Columns> Evaluator::count_values(const Aggregate& a, const Grid& grid) {
  const std::string& label = string_of(*a.parameter);
  if (label.empty()) return execution_error("invalid label name " + quote(label));
  PLUMBLINE_TRY(const Columns columns, collect(*a.inner, grid));
  LabelIndex index;
  Columns out;
  for (const Column& c : columns) {
    PLUMBLINE_CHECK_OK(tick());
    const Labels base = group_labels(a, c.labels).without(label);
    // Values repeat from step to step: look one up only when it changes.
    std::string last_text;
    std::size_t last = 0;
    for (std::size_t i = 0; i < grid.count; ++i) {
      if (!c.has(i)) continue;
      std::string text = c.present[i] ? format_float(c.values[i]) : text_of(*c.histogram(i));
      if (text != last_text) {
        const Labels labels = base.with(label, text);
        const auto [at, fresh] = index.try_emplace(labels, out.size());
        if (fresh) {
          PLUMBLINE_CHECK_OK(charge(grid.count));
          out.emplace_back(labels, grid.count);
        }
        last = at->second;
        last_text = std::move(text);
      }
      out[last].set(i, out[last].values[i] + 1);
    }
  }
  release(columns);
  return out;
}

}  // namespace plumbline::query::promql
