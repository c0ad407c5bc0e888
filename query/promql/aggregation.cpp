// Aggregations over series. sum, avg, count, min, max, group, stddev and stdvar fold columns as they come; the others
// need all series of a group side by side.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"
#include "query/promql/evaluator.hpp"
#include "query/promql/fold.hpp"
#include "query/promql/numbers.hpp"

namespace plumbline::query::promql {

namespace {

// Whether a label is one of those by which series are grouped.
bool groups_by(const Aggregate& a, const model::Label& l) {
  const bool named = std::ranges::find(a.grouping, l.name) != a.grouping.end();
  return a.without ? !named && l.name != model::metric_name_label : named;
}

Labels group_labels(const Aggregate& a, const Labels& labels) {
  std::vector<model::Label> out;
  std::ranges::copy_if(labels, std::back_inserter(out), [&](const model::Label& l) { return groups_by(a, l); });
  return Labels::trusted(std::move(out));
}

// To which group a series belongs, without making the labels of the group for each series.
class GroupIndex {
 public:
  explicit GroupIndex(const Aggregate& a) : a_(&a) {}
  // The group's number, and whether it is a new one. What is given may also be the labels of a group.
  std::pair<std::size_t, bool> of(const Labels& labels) {
    std::uint64_t mark = 0;
    for (const model::Label& l : labels)
      if (groups_by(*a_, l)) mark = (mark ^ hash64(l.value)) * 0x9e37'79b9'7f4a'7c15;
    const auto [from, to] = groups_.equal_range(mark);
    for (auto at = from; at != to; ++at)
      if (holds(labels_[at->second], labels)) return {at->second, false};
    groups_.emplace(mark, labels_.size());
    labels_.push_back(group_labels(*a_, labels));
    return {labels_.size() - 1, true};
  }
  const std::vector<Labels>& labels() const { return labels_; }

 private:
  bool holds(const Labels& group, const Labels& labels) const {
    auto at = group.begin();
    for (const model::Label& l : labels)
      if (groups_by(*a_, l) && (at == group.end() || *at++ != l)) return false;
    return at == group.end();
  }

  const Aggregate* a_;
  std::unordered_multimap<std::uint64_t, std::size_t> groups_;
  std::vector<Labels> labels_;
};

// The histograms of one group at one step.
struct HistogramCell {
  std::shared_ptr<NativeHistogram> sum;
  double count = 0;
  bool incompatible = false, reset = false, no_reset = false;
};

bool adds_histograms(Tok op) { return op == Tok::sum || op == Tok::avg; }

struct FoldedGroup {
  Labels labels;
  Labels first;  // of its series, the one that sorts first: groups come in this order
  Fold floats;
  std::vector<HistogramCell> histograms;  // empty until there is one
};

struct FoldedGroups {
  GroupIndex index;
  std::vector<FoldedGroup> groups;
  Columns later;  // whose histograms are to be added in order: their sums are not compensated
};

// Input columns of each group, groups in order of appearance.
struct Groups {
  std::vector<Labels> labels;
  std::vector<std::vector<std::size_t>> members;
  Groups(const Aggregate& a, const Columns& columns) {
    GroupIndex index(a);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto [group, fresh] = index.of(columns[i].labels);
      if (fresh) members.emplace_back();
      members[group].push_back(i);
    }
    labels = index.labels();
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
  std::vector<FoldedGroups> parts(Fold::merges(a.op) ? storage::parts_max : 1, FoldedGroups{GroupIndex(a), {}, {}});
  const auto add_histogram = [&](FoldedGroup& group, std::size_t i, const NativeHistogram& h, std::string_view metric) {
    if (a.op == Tok::count || a.op == Tok::group) return group.floats.add_one(i);
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
  const auto group_of = [&](FoldedGroups& to, const Labels& labels) -> Result<FoldedGroup*> {
    const auto [number, fresh] = to.index.of(labels);
    if (fresh) {
      PLUMBLINE_CHECK_OK(charge(grid.count));
      to.groups.push_back({to.index.labels().back(), labels, Fold(a.op, grid.count), {}});
    }
    FoldedGroup& group = to.groups[number];
    if (labels < group.first) group.first = labels;
    return &group;
  };
  const auto add_floats = [&](FoldedGroups& to, const Column& c) -> Status {
    PLUMBLINE_TRY(FoldedGroup* const group, group_of(to, c.labels));
    group->floats.add(c);
    return {};
  };
  const auto add_histograms = [&](FoldedGroups& to, const Column& c) -> Status {
    PLUMBLINE_TRY(FoldedGroup* const group, group_of(to, c.labels));
    for (std::size_t i = 0; i < grid.count; ++i)
      if (const NativeHistogram* h = c.histogram(i); h != nullptr && !c.present[i]) add_histogram(*group, i, *h, c.labels.metric());
    return {};
  };
  const auto take = [&](Column&& c) -> Status {
    PLUMBLINE_CHECK_OK(add_floats(parts[0], c));
    if (!c.histograms.empty()) PLUMBLINE_CHECK_OK(add_histograms(parts[0], c));
    release(c.values.size());
    return {};
  };
  const auto take_part = [&](std::size_t part, Column&& c) -> Status {
    PLUMBLINE_CHECK_OK(add_floats(parts[part], c));
    if (c.histograms.empty())
      release(c.values.size());
    else
      parts[part].later.push_back(std::move(c));
    return {};
  };
  PLUMBLINE_CHECK_OK(parts.size() == 1 ? each(*a.inner, grid, take) : each_part(*a.inner, grid, take_part));
  FoldedGroups& all = parts[0];
  for (std::size_t p = 1; p < parts.size(); ++p) {
    for (FoldedGroup& group : parts[p].groups) {
      const auto [number, fresh] = all.index.of(group.labels);
      if (fresh) {
        all.groups.push_back(std::move(group));
        continue;
      }
      FoldedGroup& to = all.groups[number];
      to.floats.merge(group.floats);
      if (group.first < to.first) to.first = std::move(group.first);
      release(grid.count);
    }
    std::ranges::move(parts[p].later, std::back_inserter(all.later));
    parts[p] = {GroupIndex(a), {}, {}};
  }
  std::ranges::sort(all.later, {}, &Column::labels);
  for (const Column& c : all.later) {
    PLUMBLINE_CHECK_OK(add_histograms(all, c));
    release(c.values.size());
  }
  std::vector<FoldedGroup>& groups = all.groups;
  std::ranges::sort(groups, {}, &FoldedGroup::first);
  Columns out;
  for (FoldedGroup& group : groups) {
    Column c(std::move(group.labels), grid.count);
    for (std::size_t i = 0; i < grid.count; ++i) {
      HistogramCell none;
      HistogramCell& h = group.histograms.empty() ? none : group.histograms[i];
      if (h.count > 0 && group.floats.any(i)) {
        warn(*a.inner, "encountered a mix of histograms and floats for aggregation");
      } else if (h.count > 0) {
        if (h.incompatible) continue;
        if (h.reset && h.no_reset) warn(*a.inner, "conflicting counter resets during histogram aggregation");
        if (a.op == Tok::avg) divide(*h.sum, h.count);
        c.set(i, std::move(h.sum));
      } else if (group.floats.any(i)) {
        c.set(i, group.floats.value(i));
      }
    }
    group = FoldedGroup{{}, {}, Fold(Tok::group, 0), {}};  // its memory, while the columns grow
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
  struct Candidate {
    double v = 0;
    std::size_t column = 0;
  };
  // A heap of the best so far, the worst of them on top.
  const auto before = [&](const Candidate& l, const Candidate& r) { return better(l.v, r.v) || (!better(r.v, l.v) && l.column < r.column); };
  std::vector<Candidate> best;
  std::vector<std::size_t> order;  // of an instant query's answer
  for (const std::vector<std::size_t>& members : groups.members) {
    PLUMBLINE_CHECK_OK(tick());
    for (std::size_t i = 0; i < grid.count; ++i) {
      const double k = std::trunc(parameter[i]);
      const std::size_t keep = k < 1 ? 0 : k > 1e9 ? members.size() : static_cast<std::size_t>(k);
      best.clear();
      for (const std::size_t c : members) {
        Column& column = columns[c];
        if (!column.has(i)) continue;
        const Candidate candidate{column.values[i], c};
        if (best.size() < keep) {
          best.push_back(candidate);
          if (a.op != Tok::limitk) std::ranges::push_heap(best, before);
          continue;
        }
        // Equal ones come later, and lose.
        if (a.op == Tok::limitk || keep == 0 || !better(candidate.v, best.front().v)) {
          column.drop(i);
          continue;
        }
        std::ranges::pop_heap(best, before);
        columns[best.back().column].drop(i);
        best.back() = candidate;
        std::ranges::push_heap(best, before);
      }
      if (grid.count != 1) continue;
      if (a.op != Tok::limitk) std::ranges::sort_heap(best, before);
      for (const Candidate& candidate : best) order.push_back(candidate.column);
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
  if (label.empty() || !valid_utf8(label)) return execution_error("invalid label name " + quote(label));
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
