// LogQL: selectors, line filters, label filters on stream labels and structured metadata, and counting over time.
//
//   {app="api", env=~"prod|stage"} |= "error" or "panic" !~ "health" | status >= 500 and region = "eu" | drop pod
//   sum by (level) (count_over_time({app="api"} |= "x" [5m]))      vector(1)+vector(1)
//
// Semantics are Loki's: line filters are case-sensitive substrings or unanchored RE2; `or` after a negative filter means none
// of them; label regexes are anchored; windows are (t - range, t]. What the grammar has beyond this answers `not supported:`
// with the piece and its place.
// Threads: any (parsed queries are immutable).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/base/error.hpp"
#include "query/stopping_reader.hpp"
#include "storage/model/labels.hpp"
#include "storage/model/matcher.hpp"

namespace re2 {
class RE2;
}

namespace plumbline::query::logql {

using model::Labels;

inline constexpr std::size_t query_bytes_max = 128 << 10;  // Grafana's generated selectors reach tens of KiB
inline constexpr int depth_max = 64;
inline constexpr std::size_t entries_max = 5'000;            // Loki's max_entries_limit_per_query
inline constexpr std::uint64_t counted_max = 20'000'000;     // lines one metric query may hold as (time, bytes): 320 MB
inline constexpr std::uint64_t series_max = 100'000;         // label sets one metric query may hold
inline constexpr std::int64_t steps_max = 11'000;            // as Prometheus and Loki

enum class LineOp { contains, not_contains, matches, not_matches };

struct LineFilter {
  LineOp op = LineOp::contains;
  std::vector<std::string> texts;  // contains, not_contains
  std::vector<std::shared_ptr<const re2::RE2>> patterns;
  bool passes(std::string_view line) const;
};

// A labelled line on its way through the pipeline: metadata wins over a stream label of the same name.
struct Line {
  const Labels* stream = nullptr;
  std::vector<model::Label> metadata;
  std::string_view text;
  std::string_view label(std::string_view name) const;
};

struct LabelFilter {
  enum class Kind { all, any, text, number } kind = Kind::text;
  std::vector<LabelFilter> children;      // all, any
  std::optional<model::Matcher> matcher;  // text
  std::string name;                       // number
  enum class Compare { equal, not_equal, less, less_equal, greater, greater_equal } compare = Compare::equal;
  double number = 0;
  bool passes(const Line& line) const;
};

// `| drop a, b` and `| keep a, b`: which labels the answer shows.
struct LabelChoice {
  bool keep = false;
  std::vector<std::string> names;
};

using Stage = std::variant<LineFilter, LabelFilter, LabelChoice>;

struct LogQuery {
  model::Matchers selector;
  std::vector<Stage> stages;
  // False when a filter turns the line away; drops metadata as drop and keep say. `hidden`, when given, collects the stream
  // labels that are not to be shown.
  bool passes(Line& line) const;
  bool hides(std::string_view label) const;
};

struct Metric;
using MetricPtr = std::shared_ptr<const Metric>;

struct Metric {
  enum class Kind { number, vector, over_time, aggregate, binary } kind = Kind::number;
  double number = 0;               // number, vector
  std::string op;                  // over_time: count_over_time, rate, ...; aggregate: sum, ...; binary: +, ...
  LogQuery logs;                   // over_time
  std::int64_t range_ns = 0;       // over_time
  std::int64_t offset_ns = 0;      // over_time
  bool by = false, without = false;  // aggregate
  std::vector<std::string> names;  // aggregate
  MetricPtr left, right;           // aggregate: left; binary: both
};

using Query = std::variant<LogQuery, MetricPtr>;

// Fails: invalid_input ("1:7: ..."), unsupported ("not supported: parser stage 'json' at 1:23").
Result<Query> parse(std::string_view text);
// A bare selector, as `match[]` has it.
Result<model::Matchers> parse_selector(std::string_view text);

// ------------------------------------------------------------------------------------------------------------ evaluation

struct Entry {
  std::int64_t time_ns = 0;
  Labels stream;  // what is shown of the stream's labels
  std::vector<model::Label> metadata;
  std::string line;
};

struct LogRange {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;  // exclusive
  std::size_t limit = 100;
  bool forward = false;  // oldest first; else the newest are kept and come first
};
// In the order asked for. Fails: what the reader says.
Result<std::vector<Entry>> run_logs(const storage::Reader& reader, const LogQuery& query, const LogRange& range);

struct MetricPoint {
  std::int64_t t_ms = 0;
  double v = 0;
};
struct MetricSeries {
  Labels labels;
  std::vector<MetricPoint> points;
};
// Values at start, start + step, ... <= end; series sorted by labels. Fails: over_limit, execution (labels that do not match
// one to one), cancelled (between two steps, too), what the reader says.
Result<std::vector<MetricSeries>> run_metric(const StoppingReader& reader, const Metric& metric, std::int64_t start_ns,
                                             std::int64_t end_ns, std::int64_t step_ns);
bool is_scalar(const Metric& metric);  // 1 + 1, without a vector in it

}  // namespace plumbline::query::logql
