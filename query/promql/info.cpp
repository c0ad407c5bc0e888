// info(): labels of info metrics (target_info and its like) put on series with the same `instance` and `job`,
// step by step.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "query/promql/evaluator.hpp"

namespace plumbline::query::promql {

namespace {

// What tells which info series belongs to a series; upstream has them fixed, too.
constexpr std::array<std::string_view, 2> identifying{"instance", "job"};
constexpr std::string_view default_metric = "target_info";
constexpr std::string_view default_pattern = ".+_info";  // where it is only said which metrics not to take
// More values than these are not made a regex for the index: it would be slower than to look at every info
// series.
constexpr std::size_t regex_values_max = 1000;

using Values = std::set<std::string, std::less<>>;

std::string literal(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = is_alpha(c) || is_digit(c) || static_cast<unsigned char>(c) >= 0x80;
    if (!plain) out += '\\';
    out += c;
  }
  return out;
}

// What a base series and its info series have in common.
std::pair<std::string, std::string> identity(const Labels& labels) {
  return {std::string(labels.get(identifying[0])), std::string(labels.get(identifying[1]))};
}

// Narrows the read; which series are wanted is decided by their labels all the same.
void narrow(model::Matchers& matchers, std::string_view label, const Values& values) {
  if (values.empty() || values.size() > regex_values_max) return;
  if (values.size() == 1)
    return matchers.push_back(model::Matcher::equal(std::string(label), *values.begin()));
  std::vector<std::string> literals;
  for (const std::string& v : values) literals.push_back(literal(v));
  auto m = model::Matcher::make(model::MatchOp::regex, std::string(label),
                                fmt::format("{}", fmt::join(literals, "|")));
  if (m) matchers.push_back(std::move(*m));
}

}  // namespace

// The second argument: which info metrics, and which of their labels.
struct Evaluator::InfoSelector {
  model::Matchers names;  // what they match is an info metric, and is not enriched
  std::map<std::string, model::Matchers, std::less<>> data;  // by label; none: all labels
  bool takes(const std::string& label) const { return data.empty() || data.contains(label); }
  bool may_be_missing() const {
    return std::ranges::all_of(
        data, [](const auto& d) { return std::ranges::all_of(d.second, &model::Matcher::matches_empty); });
  }
  bool is_info(const Labels& labels) const { return model::matches_all(names, labels); }
};

// Of one info metric and identity: its series, and at each step the one with the newest sample.
struct Evaluator::InfoGroup {
  std::vector<const LoadedSeries*> series;
  std::vector<const LoadedSeries*> newest;
};

Result<Evaluator::InfoSelector> Evaluator::info_selector(const Call& c) {
  InfoSelector out;
  if (c.arguments.size() > 1)
    for (const model::Matcher& m : static_cast<const Selector&>(*c.arguments[1]).matchers)
      (m.name() == model::metric_name_label ? out.names : out.data[m.name()]).push_back(m);
  const std::string name(model::metric_name_label);
  const auto negative = [](const model::Matcher& m) {
    return m.op() == model::MatchOp::not_equal || m.op() == model::MatchOp::not_regex;
  };
  if (out.names.empty()) {
    out.names.push_back(model::Matcher::equal(name, std::string(default_metric)));
  } else if (std::ranges::all_of(out.names, negative)) {
    PLUMBLINE_TRY(model::Matcher pattern,
                  model::Matcher::make(model::MatchOp::regex, name, std::string(default_pattern)));
    out.names.push_back(std::move(pattern));
  }
  return out;
}

// Reads the info series of what is in `base`. The time is that of the first selector in the argument.
Result<Evaluator::Source> Evaluator::info_source(const Call& c, const InfoSelector& selector,
                                                 const Columns& base, const Grid& grid) {
  Source source;
  std::array<Values, identifying.size()> values;
  for (const Column& column : base) {
    if (selector.is_info(column.labels)) continue;
    for (std::size_t i = 0; i < identifying.size(); ++i)
      if (const std::string_view v = column.labels.get(identifying[i]); !v.empty()) values[i].emplace(v);
  }
  if (std::ranges::all_of(values, &Values::empty)) return source;
  source.matchers = selector.names;
  for (const auto& [label, matchers] : selector.data)
    source.matchers.insert(source.matchers.end(), matchers.begin(), matchers.end());
  for (std::size_t i = 0; i < identifying.size(); ++i) narrow(source.matchers, identifying[i], values[i]);
  Timing timing;
  if (const auto selectors = selectors_of(*c.arguments[0]); !selectors.empty()) {
    PLUMBLINE_TRY(timing, resolve(selectors[0]->modifiers));
  }
  source.range = {timing.reference(grid.start) - context_.options.lookback.count() + 1,
                  timing.reference(grid.last())};
  PLUMBLINE_CHECK_OK(read_source(source, [&](const Labels& labels) {
    for (std::size_t i = 0; i < identifying.size(); ++i)
      if (!values[i].empty() && !values[i].contains(labels.get(identifying[i]))) return false;
    return true;
  }));
  return source;
}

// Which series tells the labels at each step: the newest sample wins, and two of the same time are a
// conflict.
Status Evaluator::choose_info(InfoGroup& group, const Grid& grid, const std::vector<std::uint8_t>& live) {
  const std::int64_t lookback = context_.options.lookback.count();
  group.newest.assign(grid.count, nullptr);
  std::vector<std::int64_t> times(grid.count);
  for (const LoadedSeries* series : group.series) {
    PLUMBLINE_CHECK_OK(tick());
    std::size_t next = 0, next_histogram = 0;
    for (std::size_t i = 0; i < grid.count; ++i) {
      const std::int64_t t = grid.at(i);
      while (next < series->samples.size() && series->samples[next].t <= t) ++next;
      while (next_histogram < series->histograms.size() && series->histograms[next_histogram].t <= t)
        ++next_histogram;
      const Sample* sample = next > 0 ? &series->samples[next - 1] : nullptr;
      const HistogramPoint* histogram =
          next_histogram > 0 ? &series->histograms[next_histogram - 1] : nullptr;
      if (histogram != nullptr && (sample == nullptr || histogram->t > sample->t)) {
        if (live[i] && histogram->t > t - lookback && histogram->h)
          return execution_error("info sample should be float");
        continue;
      }
      if (!live[i] || sample == nullptr || sample->t <= t - lookback || model::is_stale(sample->v)) continue;
      if (group.newest[i] != nullptr && times[i] == sample->t)
        return execution_error(
            fmt::format("found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                        braces(group.newest[i]->labels), times[i], braces(series->labels), sample->t));
      if (group.newest[i] != nullptr && times[i] > sample->t) continue;
      group.newest[i] = series;
      times[i] = sample->t;
    }
  }
  return {};
}

// The labels of `base` with those of the info series; what `base` has already stays.
Result<Labels> Evaluator::enriched(const Labels& base, const std::vector<const LoadedSeries*>& infos,
                                   const InfoSelector& selector) {
  Labels added;
  for (const LoadedSeries* info : infos)
    for (const model::Label& l : info->labels) {
      if (l.name == model::metric_name_label || !selector.takes(l.name)) continue;
      if (const std::string_view before = added.get(l.name); !before.empty() && before != l.value)
        return execution_error("conflicting label: " + l.name);
      if (!base.has(l.name)) added = added.with(l.name, l.value);
    }
  Labels out = base;
  for (const model::Label& l : added) out = out.with(l.name, l.value);
  return out;
}

Result<Columns> Evaluator::info(const Call& c, const Grid& grid) {
  PLUMBLINE_TRY(const InfoSelector selector, info_selector(c));
  PLUMBLINE_TRY(const Columns base, collect(*c.arguments[0], grid));
  PLUMBLINE_TRY(const Source source, info_source(c, selector, base, grid));
  std::vector<std::uint8_t> live(grid.count);
  for (const Column& column : base)
    for (std::size_t i = 0; i < grid.count; ++i) live[i] |= column.has(i) ? 1 : 0;

  // By identity, then by metric.
  std::map<std::pair<std::string, std::string>, std::map<std::string, InfoGroup, std::less<>>> groups;
  for (const LoadedSeries& series : source.series)
    groups[identity(series.labels)][std::string(series.labels.metric())].series.push_back(&series);
  std::size_t held = 0;
  for (auto& [id, metrics] : groups)
    for (auto& [name, group] : metrics) {
      held += grid.count;
      PLUMBLINE_CHECK_OK(charge(grid.count));
      PLUMBLINE_CHECK_OK(choose_info(group, grid, live));
    }

  LabelIndex index;
  Columns out;
  for (const Column& column : base) {
    PLUMBLINE_CHECK_OK(tick());
    const auto found = selector.is_info(column.labels) ? groups.end() : groups.find(identity(column.labels));
    std::vector<const LoadedSeries*> infos, before;
    std::size_t at = 0;
    bool first = true;
    for (std::size_t i = 0; i < grid.count; ++i) {
      if (!column.has(i)) continue;
      infos.clear();
      if (found != groups.end())
        for (const auto& [name, group] : found->second)
          if (group.newest[i] != nullptr) infos.push_back(group.newest[i]);
      if (infos.empty() && !selector.is_info(column.labels) && !selector.may_be_missing()) continue;
      if (first || infos != before) {
        PLUMBLINE_TRY(Labels labels, enriched(column.labels, infos, selector));
        const auto [entry, fresh] = index.try_emplace(labels, out.size());
        at = entry->second;
        if (fresh) {
          PLUMBLINE_CHECK_OK(charge(grid.count));
          out.emplace_back(std::move(labels), grid.count);
        }
        before = infos;
        first = false;
      }
      if (out[at].has(i)) return execution_error(std::string(same_labelset));
      if (column.present[i])
        out[at].set(i, column.values[i]);
      else
        out[at].set(i, column.histograms[i]);
    }
  }
  release(base);
  held_ -= std::min<std::uint64_t>(held_, held);
  return out;
}

}  // namespace plumbline::query::promql
