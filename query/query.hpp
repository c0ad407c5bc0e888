// The query module's front door: PromQL, the ML statistics, and the HTTP routes of every read API.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "proto/http.hpp"
#include "storage/model/histogram.hpp"
#include "storage/model/labels.hpp"
#include "storage/model/sample.hpp"
#include "storage/storage.hpp"

namespace plumbline::query {

using model::Labels;
using model::Sample;

// --------------------------------------------------------------------------------------------------------------- PromQL

struct VectorPoint {
  Labels labels;
  std::int64_t t = 0;  // ms
  double v = 0;
  std::shared_ptr<const model::Histogram> histogram = {};  // when there is one, it is the value
};
struct MatrixSeries {
  Labels labels;
  std::vector<Sample> samples;
  std::vector<model::HistogramSample> histograms = {};  // at other times
};
struct Scalar {
  std::int64_t t = 0;
  double v = 0;
};
struct StringValue {
  std::int64_t t = 0;
  std::string v;
};
using Vector = std::vector<VectorPoint>;
using Matrix = std::vector<MatrixSeries>;  // sorted by labels
using PromValue = std::variant<Scalar, StringValue, Vector, Matrix>;

// Into how many parts the series of a selector were cut when they were read (Reader::select_parts).
struct SelectorParts {
  std::string selector;   // its text: matchers would keep the automata of their regexes as long as an answer is kept
  std::size_t parts = 0;  // 0: they were not read; parts_mixed: read twice, and cut otherwise
  bool operator==(const SelectorParts&) const = default;
};
inline constexpr std::size_t parts_mixed = static_cast<std::size_t>(-1);

struct Answer {
  PromValue value;
  std::vector<std::string> warnings = {};  // "PromQL warning: ... (1:5)"
  std::vector<std::string> infos = {};
  std::optional<std::int64_t> reads_since = {};  // the earliest time (ms) of which selectors want samples, whether there are any or not
  std::vector<SelectorParts> parts = {};  // of a range query, each distinct selector once
};

class Workers;  // promql/workers.hpp
// Threads that help the queries of all engines that have them in their options; 0: none.
std::shared_ptr<Workers> make_workers(std::size_t helpers);

struct EngineOptions {
  Millis lookback{std::chrono::minutes(5)};
  Millis timeout{std::chrono::minutes(2)};
  Millis default_step{std::chrono::minutes(1)};  // of subqueries without one
  std::uint64_t samples_max = 50'000'000;        // read and held by one query, as Prometheus
  std::uint64_t series_max = 300'000;
  std::uint32_t points_max = 11'000;             // steps of a range query, as Prometheus
  // The longest buckets of downsampled samples that may answer range functions; 0: none, negative: a fifth of the window.
  Millis resolution_max{0};
  std::shared_ptr<Workers> workers = {};         // null: a query has the thread that asks
  std::stop_token stop = {};                     // the query ends with `cancelled` when it is requested
};

// What one selector of a query read.
struct SelectorStats {
  std::string selector;  // {__name__="up"}
  model::TimeRange range;
  std::uint64_t series = 0;
  std::uint64_t samples = 0;  // a histogram counts as what takes as much memory; 0 when summaries were enough
  bool summaries = false;
};

// What a query did, whether it ended well or not.
struct QueryStats {
  // Asked for by whoever gives this to the engine: count what selectors give at each step, as Prometheus' stats do.
  bool count_steps = false;
  std::vector<std::uint64_t> samples_per_step;
  std::uint64_t samples = 0;  // their sum
  std::uint64_t peak = 0;     // the most samples and points that were held at a time
  std::vector<SelectorStats> selectors;  // that were read, each distinct one once
  double total_s = 0;         // of it:
  double read_s = 0;          // reading samples from the store
  double sort_s = 0;          // bringing the result into its order
};

// What a query would do, node by node.
struct PlanRead {
  model::Matchers matchers;
  model::TimeRange range;                // for all uses of the selector in the query, which share one reading
  std::uint64_t series = 0;              // that have a sample in it
  std::optional<std::uint64_t> samples;  // they have in it; unknown when there are native histograms among them
  bool summaries = false;                // windows come from chunk summaries: the samples are not read
  bool shared = false;                   // a node before this one reads it
  std::int64_t resolution_ms = 0;        // of the longest downsampled samples that may answer windows, with `summaries`; 0: none
};
struct PlanNode {
  std::string_view kind;        // aggregation, binary, call, number, range selector, selector, string, subquery, unary
  std::string_view expression;  // its place in the text
  std::size_t steps = 1;        // at which it is evaluated
  bool constant = false;        // evaluated once, because no step can make a difference
  bool fused = false;           // reading and evaluating are one: its samples become values as they are read, and are not kept
  std::optional<PlanRead> read; // of selectors
  std::vector<PlanNode> children;
};

// Threads: any. Blocks: on the reader; no longer than options.timeout, and until options.stop.
// Borrows: reader, clock.
class Engine {
 public:
  Engine(const storage::Reader& reader, const Clock& clock, EngineOptions options);
  ~Engine();
  // Fails: invalid_input (parse error: "1:7: parse error: ..."), execution, over_limit, timeout.
  // Fails with `cancelled`, too, when options.stop is requested. `stats`, when given, is filled in even then.
  Result<Answer> instant(std::string_view expression, std::int64_t t_ms, QueryStats* stats = nullptr) const;
  // The answer's value is a Matrix. start <= end, step > 0.
  Result<Answer> range(std::string_view expression, std::int64_t start_ms, std::int64_t end_ms, std::int64_t step_ms,
                       QueryStats* stats = nullptr) const;
  // Without running it: looks series up, and takes the number of samples from chunk summaries. An instant query at start_ms when
  // step_ms is 0. The plan's texts are views of `expression`.
  Result<PlanNode> plan(std::string_view expression, std::int64_t start_ms, std::int64_t end_ms, std::int64_t step_ms) const;
  const EngineOptions& options() const { return options_; }

 private:
  const storage::Reader& reader_;
  const Clock& clock_;
  EngineOptions options_;
};

// Parses and type-checks; for config checks. Fails: invalid_input, "line:col: parse error: ..." with upstream's wording.
Status check_promql(std::string_view expression);
// The canonical form. Fails as check_promql.
Result<std::string> format_promql(std::string_view expression);

// ------------------------------------------------------------------------------------------------------------------- ML

// A half-open window of Unix nanoseconds and a row filter such as `version="2" and segment.country="de" and age>=30`.
struct Window {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;  // exclusive
  std::string where;        // empty: every row
};

// Of a Window, for config checks. Fails: invalid_input, "where: 1:9: expected ...".
Status check_where(std::string_view filter);

enum class Statistic { psi, ks, chi_square, missing_rate };
Result<Statistic> parse_statistic(std::string_view name);  // "psi", "ks", "chi_square", "missing_rate"
std::string_view name_of(Statistic statistic);

enum class Verdict { ok, drifted, insufficient_data };
std::string_view name_of(Verdict verdict);  // "ok", "drifted", "insufficient data"

struct DriftRequest {
  std::string model;
  std::string reference;                // a reference's name; "name@3" for one version, else the newest
  std::vector<std::string> features;    // empty: every feature of the reference
  std::vector<Statistic> statistics;    // empty: psi, ks for numbers, chi_square for categories, missing_rate
  Window window;
  // A verdict needs at least this many rows on both sides; 200 keeps decile PSI's null rate near nominal (drift.md 4.2).
  std::uint64_t rows_min = 200;
  // When set, drifted means statistic >= threshold (PSI, KS, missing rate difference), for chi_square a significant
  // difference with Cramer's V >= threshold; else the defaults of query/ml.
  std::optional<double> threshold;
};

struct DriftScore {
  std::string feature;
  Statistic statistic = Statistic::psi;
  double value = 0;                     // the statistic; NaN never: insufficient data instead
  std::optional<double> p_value;        // KS and chi-square, and PSI's chi-square approximation
  double threshold = 0;                 // what value was compared with
  std::optional<double> detectable;     // smallest effect this window could have seen (80 % power at 5 %)
  std::uint64_t n = 0;                  // non-missing values in the reference
  std::uint64_t m = 0;                  // and in the window
  double missing_reference = 0;         // share of rows without the feature
  double missing_window = 0;
  Verdict verdict = Verdict::insufficient_data;
  std::string reason;                   // why insufficient, in words
};

struct DriftReport {
  std::string model;
  std::string reference;  // "training@1"
  std::string reference_hash;
  Window window;
  std::uint64_t reference_rows = 0;
  std::uint64_t window_rows = 0;
  std::vector<DriftScore> scores;
  std::vector<std::string> notes;
};

struct PerformanceReport {
  std::string model;
  Window window;
  std::uint64_t predictions = 0;
  std::uint64_t labelled = 0;          // joined with a label; coverage = labelled / predictions
  std::vector<std::string> classes;    // sorted
  std::optional<double> accuracy, precision, recall, f1, roc_auc;  // absent when undefined; `notes` says why
  std::optional<double> mae, rmse;     // when predictions and labels are continuous
  std::vector<std::string> notes;
};

// Threads: any. Blocks: on the store.
// Borrows: reader, state, clock.
class Models {
 public:
  Models(const storage::Reader& reader, storage::State& state, const Clock& clock);
  ~Models();
  // Fails: not_found (model, reference), invalid_input (window, filter, unknown feature).
  Result<DriftReport> drift(const DriftRequest& request) const;
  Result<PerformanceReport> performance(const std::string& model, const Window& window,
                                        std::optional<std::string> positive_class = std::nullopt) const;
  // References are immutable: the same name again makes the next version. Returns "name@version".
  // Fails: invalid_input with the row and column of a bad CSV or NDJSON cell, too_large.
  Result<std::string> upload_reference(const std::string& model, const std::string& name, std::string_view content_type,
                                       std::string_view body);
  Result<std::string> pin_reference(const std::string& model, const std::string& name, const Window& window);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
  friend http::Routes ml_routes(Models& models, const storage::Reader& reader, const Clock& clock);
};

// --------------------------------------------------------------------------------------------------------------- routes

struct BuildInfo {
  std::string version;
  std::string revision;
};

// Who is told of queries over HTTP; null: nobody.
struct QueryWatch {
  Log* log = nullptr;
  Registry* registry = nullptr;  // plumbline_queries_total{result}
  Millis log_slower_than{0};     // 0: no query is logged
};

// Each returns routes whose handlers borrow the arguments for as long as the server runs.
// /api/v1/{query,query_range,series,labels,label/<n>/values,metadata,status/buildinfo,format_query}, GET and POST.
// `result_cache_bytes` of answers are kept for the next range query that asks the same of a later time; nocache=1 passes them by.
http::Routes prometheus_routes(const Engine& engine, const storage::Reader& reader, const Clock& clock, BuildInfo build,
                               QueryWatch watch = {}, std::uint64_t result_cache_bytes = 0);
// GET and POST /api/v1/plan?query=&start=&end=&step= or &time=, and max_source_resolution=: what the query would read, without running it.
http::Routes plan_routes(const Engine& engine, const storage::Reader& reader, const Clock& clock);
// POST /api/v1/read: raw samples for Prometheus' remote-read clients, as SAMPLES or STREAMED_XOR_CHUNKS.
http::Routes remote_read_routes(const storage::Reader& reader);
// GET and POST /api/v1/parse_query
http::Routes parse_query_routes();
// GET and POST /api/v1/query_exemplars
http::Routes exemplar_routes(const storage::Reader& reader);
// What the daemon tells of itself. The functions are called on a worker thread, at any time.
struct RuntimeInfo {
  std::int64_t start_ms = 0;
  std::string working_directory;
  std::string host;
  bool reload_succeeded = true;
  std::int64_t reloaded_ms = 0;  // when the configuration was last applied
  std::uint64_t threads = 0;
  std::uint64_t cores = 0;
  std::uint64_t corruptions = 0;  // damaged parts of the store that were met since the start
  std::string retention;          // "30d"
};
struct DaemonStatus {
  std::function<RuntimeInfo()> runtime;
  std::function<std::string()> config_yaml;  // without secrets
  std::function<std::vector<std::pair<std::string, std::string>>()> options;  // every option's value in effect
  std::uint64_t journal_replayed = 0;  // up to which record, at the start
};
// GET /api/v1/status/{runtimeinfo,config,flags,walreplay}, /api/v1/alertmanagers
http::Routes status_routes(const Clock& clock, DaemonStatus status);
// GET /api/v1/status/tsdb?limit=
http::Routes tsdb_status_routes(const storage::Store& store);
// GET /federate?match[]=: the newest samples in text exposition.
http::Routes federate_routes(const Engine& engine, const storage::Reader& reader, const Clock& clock);
// POST and PUT /api/v1/admin/tsdb/delete_series?match[]=&start=&end=, answered 204 when `erase` has done it.
using EraseSeries = std::function<Status(const std::vector<model::Matchers>&, model::TimeRange)>;
http::Routes prometheus_admin_routes(EraseSeries erase);
// POST /api/v1/admin/backup?name=: what was made, as JSON.
using MakeBackup = std::function<Result<storage::BackupReport>(const std::string& name)>;
http::Routes backup_routes(MakeBackup make);
// /loki/api/v1/{query,query_range,labels,label/<n>/values,series}: stream selectors and line filters.
http::Routes loki_routes(const storage::Reader& reader, const Clock& clock);
// /jaeger/api/{services,services/<s>/operations,traces,traces/<id>}
http::Routes jaeger_routes(const storage::Reader& reader, const Clock& clock);
// /api/v1/models, /api/v1/models/<m>/{drift,references,performance}
http::Routes ml_routes(Models& models, const storage::Reader& reader, const Clock& clock);

}  // namespace plumbline::query
