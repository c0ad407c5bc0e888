// Evaluates one query. Shape: selectors are read once for the time their use needs; each node then yields, series by
// series, a column over all steps of its grid. What is the same at every step is computed at one step and repeated.
//
//   prepare (durations, @, time ranges) -> columns bottom-up, each distinct selector read once, when it is needed -> answer
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/base/mutex.hpp"
#include "query/promql/ast.hpp"
#include "query/promql/functions.hpp"
#include "query/promql/value.hpp"
#include "query/promql/window_plan.hpp"
#include "query/query.hpp"

namespace plumbline::query::promql {

// Threads: one, which shares reading series, turning them into columns and folding these with options.workers. Borrows: everything; lives for one query.
class Evaluator {
 public:
  struct Context {
    const storage::Reader& reader;
    const Clock& clock;
    const EngineOptions& options;
    std::string_view text;
    Grid grid;           // of the whole query
    std::int64_t end;    // as asked: `@ end()` and end() mean it even when no step falls on it
    bool instant = true;
    QueryStats* stats = nullptr;  // null: nobody wants to know
  };
  explicit Evaluator(const Context& context);

  Result<Answer> run(const Expr& root);
  // Instead of running it.
  Result<PlanNode> plan(const Expr& root);

 private:
  Result<Answer> evaluate(const Expr& root);
  // A selector's time modifiers with their durations evaluated.
  struct Timing {
    std::int64_t offset = 0;
    std::optional<std::int64_t> at;
    std::int64_t range = 0;
    std::int64_t step = 0;  // of a subquery
    std::size_t source = 0;  // of a selector
    std::int64_t reference(std::int64_t t) const { return at.value_or(t) - offset; }
    std::vector<std::int64_t> references(const Grid& grid) const;
  };
  struct LoadedSeries {
    Labels labels;
    std::vector<Sample> samples;
    std::vector<HistogramPoint> histograms;
    bool stale = false;  // has stale markers
  };
  struct Source {
    model::Matchers matchers;
    model::TimeRange range;
    std::vector<LoadedSeries> series;
    std::size_t uses = 1;  // selectors of the query that read it
    bool loaded = false;
    std::uint64_t series_read = 0, samples_read = 0;
    std::size_t parts = 0;  // as SelectorParts has it
  };
  // The samples of one series of a range vector, with the window around each step.
  struct RangeSeries {
    const Labels& labels;
    std::span<const Sample> samples;
    std::span<const HistogramPoint> histograms;
    // In place of samples, for who reads them apart.
    std::span<const storage::TimesPiece> times;
    std::span<const double> values;
  };
  using RangeSink = std::function<Status(const RangeSeries&)>;
  // Fills a column without labels from one series; called from several threads at once. False: there is no value at any step.
  using ToColumn = std::function<Result<bool>(const RangeSeries&, Column&)>;
  // Takes columns from several threads at once: those of one part come one after another. Which series is in which part does not
  // depend on threads.
  using PartSink = std::function<Status(std::size_t part, Column&&)>;

  // prepare.cpp
  Status prepare(const Expr& e, model::TimeRange times);
  Result<Timing> resolve(const Modifiers& m);
  // Reads a source, cut into parts that run at the same time; counted and held to the limits.
  using SourceVisitor = std::function<Status(std::size_t part, Labels&&, const storage::SeriesPoints&)>;
  Status read(Source& source, bool apart, const SourceVisitor& visit);
  // The samples of a source, read at the first call and kept.
  Result<const std::vector<LoadedSeries>*> loaded(std::size_t source);
  // Reads what the source asks for; of the series that match, those that `wanted` takes, which is asked from several threads.
  using Wanted = std::function<bool(const Labels&)>;
  Status read_source(Source& source, const Wanted& wanted);
  // The columns of a source that nobody else needs: its samples are turned into them as they are read, and not kept.
  // `apart`: it takes times and values apart, unless there are histograms or stale markers among them.
  Status read_columns(std::size_t source, bool keep_stale, bool apart, const ToColumn& to_column, const PartSink& sink);
  bool read_once(std::size_t source) const { return sources_[source].uses == 1 && !sources_[source].loaded; }
  Grid subquery_grid(const Timing& timing, const Grid& grid) const;
  bool constant(const Expr& e) const;

  // shared.cpp
  struct Note {
    bool warning = false;
    std::uint32_t at = 0;  // in the text
    std::string message;
    auto operator<=>(const Note&) const = default;
  };
  using Notes = std::set<Note>;
  // What stands more than once in the text, and is evaluated once.
  struct Shared {
    const Expr* first = nullptr;
    model::TimeRange times;
    std::size_t left = 1;   // places that still want it
    bool too_large = false; // to be kept
    std::uint64_t series_read = 0;  // for it; read anew they do not count again
    std::optional<Grid> grid;  // at which `columns` are known
    Columns columns;
    Notes notes;
    std::vector<std::uint64_t> per_step;
  };
  // Whether the same has been prepared before; then `e` will share it.
  bool repeats(const Expr& e, model::TimeRange times);
  Status each_shared(Shared& shared, const Expr& e, const Grid& grid, const Sink& sink);
  Status evaluate_shared(Shared& shared, const Expr& e, const Grid& grid, const Sink& sink);

  // evaluator.cpp
  Status each(const Expr& e, const Grid& grid, const Sink& sink);
  Status each_alone(const Expr& e, const Grid& grid, const Sink& sink);  // not looking for what is known
  Status each_here(const Expr& e, const Grid& grid, const Sink& sink);
  Status hand_over(Result<Columns> columns, const Sink& sink) const;
  // As each(), but in any order and from several threads where selectors are read only for this.
  Status each_part(const Expr& e, const Grid& grid, const PartSink& sink);
  // What `produce` gives its sink, one column after another and by labels.
  static Status by_labels(const std::function<Status(const PartSink&)>& produce, const Sink& sink);
  Result<Columns> collect(const Expr& e, const Grid& grid);
  Result<Scalars> scalar(const Expr& e, const Grid& grid);
  Status selector(const Selector& s, const Grid& grid, bool timestamps, const Sink& sink);
  Status selector_parts(const Selector& s, const Grid& grid, bool timestamps, const PartSink& sink);
  // As ToColumn; of times and values apart the second, with windows of the lookback.
  bool newest_samples(const RangeSeries& series, const Timing& timing, const Grid& grid, bool timestamps, Column& out) const;
  static bool newest_values(const RangeSeries& series, const WindowPlan& plan, bool timestamps, Column& out);
  Result<Columns> unary(const Unary& u, const Grid& grid);
  Answer answer_vector(Columns columns);
  Answer answer_matrix(Columns columns);
  Result<Answer> answer_range(const Expr& e);

  // calls.cpp
  Status each_range(const Expr& e, const Grid& grid, const RangeSink& sink);
  Status range_call(const Call& c, const Grid& grid, const Sink& sink);
  // Whether the range vector is read for this call alone, without modifiers of its range.
  bool in_parts(const Call& c, const Grid& grid) const;
  // The columns have the metric's names as they were.
  Status range_call_parts(const Call& c, const Grid& grid, const PartSink& sink);
  Status range_parts(const Call& c, const Grid& grid, const std::vector<Scalars>& scalars, const PartSink& sink);
  Result<std::vector<Scalars>> range_scalars(const Call& c, const Grid& grid);
  // What range_call does with one series.
  Result<bool> range_column(const Call& c, const Grid& grid, const Timing& timing, const std::vector<Scalars>& scalars, WindowPlans& plans,
                            const RangeSeries& series, Column& out);
  // Whether windows are answered by Sliding.
  bool slides(Fn fn, const Grid& grid, const Timing& timing) const;
  static WindowPlans plans_of(const Call& c, const Grid& grid, const Timing& timing);
  // Columns of a range function, with the metric's names as they were: drops them, and says what has to be said of them.
  Sink named_sink(const Call& c, const Sink& sink);
  PartSink named_parts(const Call& c, const PartSink& sink);
  Result<Columns> absent(const Call& c, const Grid& grid);

  // extended_ranges.cpp
  struct ExtendedWindow;
  Status extended_call(const Call& c, const MatrixSelector& m, const Grid& grid, const Sink& sink);
  HistogramPtr extended_rate(const Call& c, const ExtendedWindow& window, std::string_view metric);
  Status smoothed_selector(const Selector& s, const Grid& grid, const Sink& sink);
  Status extended_samples(const MatrixSelector& m, const RangeSeries& series, std::int64_t end, MatrixSeries& out) const;
  ExtendedWindow extended_window(const MatrixSelector& m, std::int64_t end) const;
  std::shared_ptr<NativeHistogram> interpolated(const HistogramPoint& before, const HistogramPoint& after, std::int64_t t, bool counter,
                                                const Expr& at, std::string_view metric);

  // range_histograms.cpp
  struct HistogramWindow;
  Status mixed_range(const Call& c, const Grid& grid, const RangeSeries& series, const std::vector<Scalars>& scalars, Column& out);
  HistogramPtr window_value(const Call& c, const HistogramWindow& window, std::string_view metric, bool& is_float, double& v);
  // Annotates what adding them had to do. Null when they do not fit.
  std::shared_ptr<NativeHistogram> rate_of(const Call& c, std::span<const HistogramPoint> points, bool counter, std::string_view metric);
  bool add_noted(NativeHistogram& to, const NativeHistogram& other, double sign, const Expr& at, std::string_view metric,
                 std::string_view operation);
  void warn_schemas(const Expr& at, std::string_view metric);
  void warn_mix(const Expr& at, std::string_view metric);
  void warn_gauges(const Expr& at, std::string_view metric, bool counter);
  Status call(const Call& c, const Grid& grid, const Sink& sink);
  Result<Scalars> scalar_call(const Call& c, const Grid& grid);
  Result<Columns> math_call(const Call& c, const Grid& grid);
  Result<Columns> sort_call(const Call& c, const Grid& grid);

  // summaries.cpp
  const MatrixSelector* summary_argument(const Call& c) const;
  // `loaded`: its samples are in memory already, or would be.
  bool by_summaries(const Timing& timing, const Grid& grid, bool loaded) const;
  // Of a read of times of which only downsampled samples are left.
  void note_gone(const model::Matchers& matchers, std::string_view how);
  static bool summaries_pay(std::int64_t range, std::size_t steps, std::int64_t span);
  // The longest buckets (ms) that may answer windows of that range; 0: samples only.
  std::int64_t resolution(std::int64_t range) const;
  Result<bool> summary_call(const Call& c, const MatrixSelector& m, const Grid& grid, const Sink& sink);

  // info.cpp
  struct InfoSelector;
  struct InfoGroup;
  Result<Columns> info(const Call& c, const Grid& grid);
  static Result<InfoSelector> info_selector(const Call& c);
  Result<Source> info_source(const Call& c, const InfoSelector& selector, const Columns& base, const Grid& grid);
  Status choose_info(InfoGroup& group, const Grid& grid, const std::vector<std::uint8_t>& live);
  static Result<Labels> enriched(const Labels& base, const std::vector<const LoadedSeries*>& infos, const InfoSelector& selector);

  // label_functions.cpp, histogram.cpp
  Result<Columns> label_replace(const Call& c, const Grid& grid);
  Result<Columns> label_join(const Call& c, const Grid& grid);
  Result<Columns> histogram_call(const Call& c, const Grid& grid);
  Result<Columns> histogram_number(const Call& c, const Grid& grid);

  // aggregation.cpp
  Result<Columns> aggregate(const Aggregate& a, const Grid& grid);
  Result<Columns> fold(const Aggregate& a, const Grid& grid);
  Result<Columns> pick(const Aggregate& a, const Grid& grid);
  void ignore_histograms(const Aggregate& a, Columns& columns);
  Result<Columns> quantile(const Aggregate& a, const Grid& grid);
  Result<Columns> count_values(const Aggregate& a, const Grid& grid);

  // histogram_operators.cpp
  struct Operand;
  struct Combined;
  Combined combine(const Binary& b, const Operand& left, const Operand& right);

  // binary.cpp
  Result<Columns> binary(const Binary& b, const Grid& grid);
  Result<Columns> vector_scalar(const Binary& b, const Grid& grid);
  Result<Columns> set_operation(const Binary& b, const Grid& grid);
  Result<Columns> vector_vector(const Binary& b, const Grid& grid);

  // Limits, from any thread. charge() counts samples read and points held; release() gives back what a parent has consumed.
  Status charge(std::size_t points);
  void release(std::size_t points);
  void release(const Columns& columns);
  Status tick() const;  // fails with timeout and cancelled
  // Joins columns that lost their difference with the metric name. Fails: execution, two values at one step.
  Result<Columns> merged(Columns columns);

  class Planner;  // plan.cpp

  // stats.cpp
  class Stopwatch;
  void tell_stats(Steady began);
  // What a selector gives at each step of the query; nothing is counted below a subquery, whose own points count instead.
  void count(const Column& column);
  void count(const Timing& timing, const Grid& grid, const RangeSeries& series);
  void count(const std::vector<std::uint64_t>& per_step);
  // Runs what is evaluated at one step of `grid` and meant at each.
  Status counted_once(const Grid& grid, const std::function<Status()>& run);

  void note(Note one);
  void warn(const Expr& at, std::string_view message);
  void inform(const Expr& at, std::string_view message);
  void inform_counter(const Call& c, const Labels& labels);  // when the name does not look like one of a counter

  Context context_;
  Steady deadline_;
  std::atomic<std::uint64_t> held_ = 0;
  std::atomic<std::uint64_t> peak_ = 0;             // of held_
  std::atomic<std::uint64_t> series_read_ = 0;
  const storage::Reader::Tiers tiers_;              // when the query began; none unless it asks for them
  std::vector<std::uint64_t>* per_step_ = nullptr;  // of context_.stats; null while nothing is counted
  std::unordered_map<const Expr*, Timing> timings_;
  std::vector<Source> sources_;
  Mutex notes_mutex_;
  std::set<std::string> warnings_ PLUMBLINE_GUARDED_BY(notes_mutex_), infos_ PLUMBLINE_GUARDED_BY(notes_mutex_);
  std::vector<Notes*> note_takers_ PLUMBLINE_GUARDED_BY(notes_mutex_);  // of the shared parts that are being evaluated
  std::unordered_map<std::string_view, std::vector<std::shared_ptr<Shared>>> texts_;
  std::unordered_map<const Expr*, std::shared_ptr<Shared>> shared_;
  // While preparing: inside of a subquery; inside of what has been prepared before; below an aggregation that takes columns as they are read.
  int in_subquery_ = 0;
  bool repeated_ = false;
  const Expr* folded_ = nullptr;
};

std::unexpected<Error> execution_error(std::string message);
// Fails: execution, when a range vector among the arguments has a modifier that the function does not take.
Status check_extended(const Call& c);
inline constexpr std::string_view same_labelset = "vector cannot contain metrics with the same labelset";
// The range vector among the arguments of a range function.
const Expr& range_argument(const Call& c);
// The value of a string argument.
const std::string& string_of(const Expr& e);
// {__name__="a",b=~"c"}
std::string selector_text(const model::Matchers& matchers);
// {__name__="a", b="c"}: how error messages print a label set.
std::string braces(const Labels& labels);
// Labels whose names are listed, or all the others without the metric name.
Labels keep_labels(const Labels& labels, const std::vector<std::string>& names);
Labels drop_labels(const Labels& labels, const std::vector<std::string>& names, bool drop_metric_name);

}  // namespace plumbline::query::promql
