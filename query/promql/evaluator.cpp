#include "query/promql/evaluator.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "query/promql/binary_operators.hpp"
#include "query/promql/numbers.hpp"
#include "query/promql/range_functions.hpp"
#include "query/promql/stopwatch.hpp"
#include "query/stopping_reader.hpp"

namespace plumbline::query::promql {

std::unexpected<Error> execution_error(std::string message) { return fail(Code::execution, std::move(message)); }

const std::string& string_of(const Expr& e) { return static_cast<const String&>(unwrap(e)).value; }

std::string braces(const Labels& labels) {
  std::string out = "{";
  for (const model::Label& l : labels) {
    if (out.size() > 1) out += ", ";
    out += (is_legacy_label_name(l.name) ? l.name : quote(l.name)) + "=" + quote(l.value);
  }
  return out + "}";
}

Labels keep_labels(const Labels& labels, const std::vector<std::string>& names) {
  std::vector<model::Label> out;
  for (const model::Label& l : labels)
    if (std::ranges::find(names, l.name) != names.end()) out.push_back(l);
  return Labels::trusted(std::move(out));
}

Labels drop_labels(const Labels& labels, const std::vector<std::string>& names, bool drop_metric_name) {
  std::vector<model::Label> out;
  for (const model::Label& l : labels) {
    if (drop_metric_name && l.name == model::metric_name_label) continue;
    if (std::ranges::find(names, l.name) == names.end()) out.push_back(l);
  }
  return Labels::trusted(std::move(out));
}

Evaluator::Evaluator(const Context& context)
    : context_(context),
      deadline_(context.clock.steady() + context.options.timeout),
      tiers_(context.options.resolution_max == Millis(0) ? storage::Reader::Tiers{} : context.reader.tiers()) {}

Status Evaluator::charge(std::size_t points) {
  const std::uint64_t now = held_.fetch_add(points) + points;
  for (std::uint64_t peak = peak_; now > peak && !peak_.compare_exchange_weak(peak, now);) {
  }
  if (now > context_.options.samples_max)
    return fail(Code::over_limit, "query processing would load too many samples into memory in query execution");
  return {};
}

void Evaluator::release(std::size_t points) {
  for (std::uint64_t held = held_; !held_.compare_exchange_weak(held, held - std::min<std::uint64_t>(held, points));) {
  }
}

void Evaluator::release(const Columns& columns) {
  for (const Column& c : columns) release(c.values.size());
}

Status Evaluator::tick() const { return go_on(context_.options.stop, context_.clock, deadline_); }

void Evaluator::note(Note one) {
  Lock lock(notes_mutex_);
  std::set<std::string>& notes = one.warning ? warnings_ : infos_;
  notes.insert(fmt::format("PromQL {}: {} ({})", one.warning ? "warning" : "info", one.message, place(context_.text, one.at)));
  for (Notes* taker : note_takers_) taker->insert(one);
}
void Evaluator::warn(const Expr& at, std::string_view message) { note({true, at.pos.begin, std::string(message)}); }
void Evaluator::inform(const Expr& at, std::string_view message) { note({false, at.pos.begin, std::string(message)}); }

void Evaluator::inform_counter(const Call& c, const Labels& labels) {
  const std::string_view name = labels.metric();
  if (!name.empty() && !ends_like_counter(name))
    inform(*c.arguments[0], fmt::format("metric might not be a counter, name does not end in "
                                        "_total/_sum/_count/_bucket: {}", quote(name)));
}

Result<Columns> Evaluator::merged(Columns columns) {
  LabelIndex index;
  Columns out;
  out.reserve(columns.size());
  for (Column& c : columns) {
    const auto [at, fresh] = index.try_emplace(c.labels, out.size());
    if (fresh) {
      out.push_back(std::move(c));
      continue;
    }
    Column& into = out[at->second];
    for (std::size_t i = 0; i < c.values.size(); ++i) {
      if (!c.has(i)) continue;
      if (into.has(i)) return execution_error(std::string(same_labelset));
      if (c.present[i])
        into.set(i, c.values[i]);
      else
        into.set(i, std::move(c.histograms[i]));
    }
    release(c.values.size());
  }
  return out;
}

// ------------------------------------------------------------------------------------------------------------ dispatch

Status Evaluator::each(const Expr& e, const Grid& grid, const Sink& sink) {
  PLUMBLINE_CHECK_OK(tick());
  const auto shared = shared_.find(&unwrap(e));
  return shared == shared_.end() ? each_alone(e, grid, sink) : each_shared(*shared->second, unwrap(e), grid, sink);
}

Status Evaluator::each_alone(const Expr& e, const Grid& grid, const Sink& sink) {
  if (grid.count <= 1 || !constant(e)) return each_here(e, grid, sink);
  const Sink repeat = [&](Column&& one) -> Status {
    if (!one.has(0)) return {};
    PLUMBLINE_CHECK_OK(charge(grid.count));
    Column all(std::move(one.labels), 0);
    all.values.assign(grid.count, one.values[0]);
    all.present.assign(grid.count, one.present[0]);
    if (!one.histograms.empty()) all.histograms.assign(grid.count, one.histograms[0]);
    return sink(std::move(all));
  };
  return counted_once(grid, [&] { return each_here(e, {grid.start, grid.step, 1}, repeat); });
}

Status Evaluator::each_here(const Expr& e, const Grid& grid, const Sink& sink) {
  const auto push = [&](Result<Columns> columns) { return hand_over(std::move(columns), sink); };
  switch (e.kind) {
    case Kind::selector: return selector(static_cast<const Selector&>(e), grid, false, sink);
    case Kind::paren: return each_here(*static_cast<const Paren&>(e).inner, grid, sink);
    case Kind::unary: return push(unary(static_cast<const Unary&>(e), grid));
    case Kind::aggregate: return push(aggregate(static_cast<const Aggregate&>(e), grid));
    case Kind::binary: return push(binary(static_cast<const Binary&>(e), grid));
    case Kind::call: return call(static_cast<const Call&>(e), grid, sink);
    case Kind::number:
    case Kind::string:
    case Kind::matrix:
    case Kind::subquery: break;  // the type check leaves none of these here
  }
  return execution_error(fmt::format("an instant vector was expected, got {}", documented(type_of(e))));
}

Status Evaluator::hand_over(Result<Columns> columns, const Sink& sink) const {
  if (!columns) return fail(std::move(columns).error());
  // In a range query the order of two columns, which ties and the last bits of sums depend on, must not depend on which others there are
  // and when they have values: a step is to have the same value whatever the range.
  if (!context_.instant && !std::ranges::is_sorted(*columns, {}, &Column::labels)) std::ranges::sort(*columns, {}, &Column::labels);
  for (Column& c : *columns) PLUMBLINE_CHECK_OK(sink(std::move(c)));
  return {};
}

Status Evaluator::each_part(const Expr& e, const Grid& grid, const PartSink& sink) {
  const Expr& inner = unwrap(e);
  if (grid.count <= 1 || !constant(e)) {
    if (inner.kind == Kind::selector) {
      const auto& s = static_cast<const Selector&>(inner);
      if (s.extended != Extended::smoothed && read_once(timings_.at(&s).source)) return selector_parts(s, grid, false, sink);
    }
    if (inner.kind == Kind::call) {
      const auto& c = static_cast<const Call&>(inner);
      if (is_range_function(c.function->id) && in_parts(c, grid)) return range_call_parts(c, grid, named_parts(c, sink));
    }
  }
  return each(e, grid, [&](Column&& c) { return sink(0, std::move(c)); });
}

Status Evaluator::by_labels(const std::function<Status(const PartSink&)>& produce, const Sink& sink) {
  std::array<Columns, storage::parts_max> parts;
  PLUMBLINE_CHECK_OK(produce([&](std::size_t part, Column&& c) -> Status {
    parts[part].push_back(std::move(c));
    return {};
  }));
  Columns all = std::move(parts[0]);
  for (std::size_t i = 1; i < parts.size(); ++i) std::ranges::move(parts[i], std::back_inserter(all));
  std::ranges::sort(all, {}, &Column::labels);
  for (Column& c : all) PLUMBLINE_CHECK_OK(sink(std::move(c)));
  return {};
}

Result<Columns> Evaluator::collect(const Expr& e, const Grid& grid) {
  Columns out;
  PLUMBLINE_CHECK_OK(each(e, grid, [&](Column&& c) -> Status {
    out.push_back(std::move(c));
    return {};
  }));
  return out;
}

Result<Scalars> Evaluator::scalar(const Expr& e, const Grid& grid) {
  switch (e.kind) {
    case Kind::number: return Scalars(grid.count, static_cast<const Number&>(e).value);
    case Kind::paren: return scalar(*static_cast<const Paren&>(e).inner, grid);
    case Kind::unary: {
      const auto& u = static_cast<const Unary&>(e);
      PLUMBLINE_TRY(Scalars v, scalar(*u.inner, grid));
      if (u.op == Tok::sub)
        for (double& x : v) x = -x;
      return v;
    }
    case Kind::binary: {
      const auto& b = static_cast<const Binary&>(e);
      PLUMBLINE_TRY(Scalars l, scalar(*b.left, grid));
      PLUMBLINE_TRY(const Scalars r, scalar(*b.right, grid));
      for (std::size_t i = 0; i < l.size(); ++i) {
        const Outcome o = apply_operator(b.op, l[i], r[i]);
        l[i] = is_comparison(b.op) ? (o.keep ? 1 : 0) : o.value;
      }
      return l;
    }
    case Kind::call: return scalar_call(static_cast<const Call&>(e), grid);
    default: break;
  }
  return execution_error(fmt::format("a scalar was expected, got {}", documented(type_of(e))));
}

// ----------------------------------------------------------------------------------------------------------- selectors

bool Evaluator::newest_samples(const RangeSeries& series, const Timing& timing, const Grid& grid, bool timestamps, Column& out) const {
  const std::int64_t lookback = context_.options.lookback.count();
  const std::span<const Sample> samples = series.samples;
  const std::span<const HistogramPoint> histograms = series.histograms;
  bool any = false;
  out.reset(grid.count);
  const auto set = [&](std::size_t i, auto&& v) {
    out.set(i, std::forward<decltype(v)>(v));
    any = true;
  };
  std::size_t next = 0;  // the first sample after the reference time
  std::size_t next_histogram = 0;
  for (std::size_t i = 0; i < grid.count; ++i) {
    const std::int64_t t = timing.reference(grid.at(i));
    if (i == 0) next = static_cast<std::size_t>(std::ranges::upper_bound(samples, t, {}, &Sample::t) - samples.begin());
    while (next < samples.size() && samples[next].t <= t) ++next;
    while (next_histogram < histograms.size() && histograms[next_histogram].t <= t) ++next_histogram;
    if (next_histogram > 0 && (next == 0 || histograms[next_histogram - 1].t > samples[next - 1].t)) {
      const HistogramPoint& newest = histograms[next_histogram - 1];
      if (newest.t <= t - lookback || !newest.h) continue;
      if (timestamps)
        set(i, static_cast<double>(newest.t) / 1000);
      else
        set(i, newest.h);
      continue;
    }
    if (next == 0) continue;
    const Sample& newest = samples[next - 1];
    if (newest.t <= t - lookback || model::is_stale(newest.v)) continue;
    set(i, timestamps ? static_cast<double>(newest.t) / 1000 : newest.v);
  }
  return any;
}

bool Evaluator::newest_values(const RangeSeries& series, const WindowPlan& plan, bool timestamps, Column& out) {
  bool any = false;
  out.reset(plan.high.size());
  for (std::size_t i = 0; i < plan.high.size(); ++i) {
    const std::uint32_t newest = plan.high[i] - 1;
    if (plan.low[i] == plan.high[i] || model::is_stale(series.values[newest])) continue;
    out.set(i, timestamps ? static_cast<double>(plan.times[newest]) / 1000 : series.values[newest]);
    any = true;
  }
  return any;
}

Status Evaluator::selector_parts(const Selector& s, const Grid& grid, bool timestamps, const PartSink& sink) {
  const Timing& timing = timings_.at(&s);
  WindowPlans plans(timing.references(grid), context_.options.lookback.count(), WindowPlans::Rate::none);
  const auto to_column = [&](const RangeSeries& series, Column& out) -> Result<bool> {
    const bool any = series.values.empty() ? newest_samples(series, timing, grid, timestamps, out)
                                           : newest_values(series, *plans.of(series.times), timestamps, out);
    if (any) count(out);
    return any;
  };
  return read_columns(timing.source, true, grid.count > 1, to_column, sink);
}

Status Evaluator::selector(const Selector& s, const Grid& grid, bool timestamps, const Sink& sink) {
  if (s.extended == Extended::smoothed && !timestamps) return smoothed_selector(s, grid, sink);
  const Timing& timing = timings_.at(&s);
  if (read_once(timing.source))
    return by_labels([&](const PartSink& parts) { return selector_parts(s, grid, timestamps, parts); }, sink);
  std::size_t done = 0;
  PLUMBLINE_TRY(const auto* read, loaded(timing.source));
  for (const LoadedSeries& series : *read) {
    if (++done % 256 == 0) PLUMBLINE_CHECK_OK(tick());
    Column column;
    if (!newest_samples({series.labels, series.samples, series.histograms, {}, {}}, timing, grid, timestamps, column)) continue;
    count(column);
    PLUMBLINE_CHECK_OK(charge(grid.count));
    column.labels = series.labels;
    PLUMBLINE_CHECK_OK(sink(std::move(column)));
  }
  return {};
}

Result<Columns> Evaluator::unary(const Unary& u, const Grid& grid) {
  PLUMBLINE_TRY(Columns columns, collect(*u.inner, grid));
  if (u.op != Tok::sub) return columns;
  LabelIndex seen;
  for (Column& c : columns) {
    for (double& v : c.values) v = -v;
    for (HistogramPtr& h : c.histograms) {
      if (!h) continue;
      auto negated = std::make_shared<NativeHistogram>(*h);
      scale(*negated, -1);
      h = std::move(negated);
    }
    c.labels = c.labels.without(model::metric_name_label);
    if (!seen.try_emplace(c.labels, 0).second) return execution_error(std::string(same_labelset));
  }
  return columns;
}

// -------------------------------------------------------------------------------------------------------------- answers

Answer Evaluator::answer_vector(Columns columns) {
  Vector out;
  for (Column& c : columns)
    if (c.present[0])
      out.push_back({std::move(c.labels), context_.grid.start, c.values[0]});
    else if (const NativeHistogram* h = c.histogram(0))
      out.push_back({std::move(c.labels), context_.grid.start, 0, std::make_shared<const model::Histogram>(to_model(*h))});
  return {std::move(out)};
}

Answer Evaluator::answer_matrix(Columns columns) {
  Matrix out;
  for (Column& c : columns) {
    MatrixSeries series{std::move(c.labels), {}, {}};
    for (std::size_t i = 0; i < c.values.size(); ++i)
      if (c.present[i])
        series.samples.push_back({context_.grid.at(i), c.values[i]});
      else if (const NativeHistogram* h = c.histogram(i))
        series.histograms.push_back({context_.grid.at(i), to_model(*h)});
    if (!series.samples.empty() || !series.histograms.empty()) out.push_back(std::move(series));
  }
  const Stopwatch sorting(context_, &QueryStats::sort_s);
  std::ranges::sort(out, {}, &MatrixSeries::labels);
  return {std::move(out)};
}

// A bare range vector in an instant query: its samples as they are.
Result<Answer> Evaluator::answer_range(const Expr& e) {
  Matrix out;
  const Timing& timing = timings_.at(&unwrap(e));
  const std::int64_t end = timing.reference(context_.grid.start);
  const auto* selector = unwrap(e).kind == Kind::matrix ? static_cast<const MatrixSelector*>(&unwrap(e)) : nullptr;
  const bool extended = selector != nullptr && selector->selector->extended != Extended::none;
  PLUMBLINE_CHECK_OK(each_range(unwrap(e), context_.grid, [&](const RangeSeries& series) -> Status {
    MatrixSeries m{series.labels, {}, {}};
    if (extended) {
      if (Status done = extended_samples(*selector, series, end, m); !done) return done;
    } else {
      for (const Sample& s : series.samples)
        if (s.t > end - timing.range && s.t <= end) m.samples.push_back(s);
      for (const HistogramPoint& p : series.histograms)
        if (p.t > end - timing.range && p.t <= end) m.histograms.push_back({p.t, to_model(*p.h)});
    }
    if (!m.samples.empty() || !m.histograms.empty()) out.push_back(std::move(m));
    return {};
  }));
  std::ranges::sort(out, {}, &MatrixSeries::labels);
  return Answer{std::move(out)};
}

Result<Answer> Evaluator::run(const Expr& root) {
  if (context_.stats == nullptr) return evaluate(root);
  const Steady began = context_.clock.steady();
  if (context_.stats->count_steps) {
    context_.stats->samples_per_step.assign(context_.grid.count, 0);
    per_step_ = &context_.stats->samples_per_step;
  }
  Result<Answer> answer = evaluate(root);
  tell_stats(began);
  return answer;
}

Result<Answer> Evaluator::evaluate(const Expr& root) {
  const Grid& grid = context_.grid;
  PLUMBLINE_CHECK_OK(prepare(root, {grid.start, grid.last()}));
  Answer answer;
  switch (type_of(root)) {
    case Type::scalar: {
      PLUMBLINE_TRY(const Scalars v, scalar(root, grid));
      if (context_.instant) {
        answer.value = Scalar{grid.start, v[0]};
      } else {
        Column c(Labels{}, 0);
        c.present.assign(v.size(), 1);
        c.values = v;
        Columns columns;
        columns.push_back(std::move(c));
        answer = answer_matrix(std::move(columns));
      }
      break;
    }
    case Type::string: answer.value = StringValue{grid.start, string_of(root)}; break;
    case Type::matrix: {
      PLUMBLINE_TRY(answer, answer_range(root));
      break;
    }
    case Type::vector: {
      PLUMBLINE_TRY(Columns columns, collect(root, grid));
      answer = context_.instant ? answer_vector(std::move(columns)) : answer_matrix(std::move(columns));
      break;
    }
    case Type::none: break;
  }
  for (const Source& source : sources_) {
    if (source.range.min <= source.range.max) answer.reads_since = std::min(answer.reads_since.value_or(source.range.min), source.range.min);
    if (!context_.instant) answer.parts.push_back({selector_text(source.matchers), source.parts});
  }
  Lock lock(notes_mutex_);
  answer.warnings.assign(warnings_.begin(), warnings_.end());
  answer.infos.assign(infos_.begin(), infos_.end());
  return answer;
}

}  // namespace plumbline::query::promql
