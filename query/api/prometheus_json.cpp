#include "query/api/prometheus_json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <type_traits>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/native_histogram.hpp"
#include "query/promql/workers.hpp"

namespace plumbline::query {

namespace {

constexpr std::size_t time_bytes_max = 32;
char* put_time(std::int64_t t_ms, char* to) {
  const std::int64_t seconds = t_ms / 1000, rest = std::abs(t_ms % 1000);
  if (t_ms < 0 && seconds == 0) *to++ = '-';
  to = std::to_chars(to, to + 21, seconds).ptr;
  if (rest == 0) return to;
  *to++ = '.';
  for (const std::int64_t unit : {100, 10, 1}) *to++ = static_cast<char>('0' + rest / unit % 10);
  return to;
}

}  // namespace

std::string json_time(std::int64_t t_ms) {
  std::array<char, time_bytes_max> text;
  return {text.data(), put_time(t_ms, text.data())};
}

void write_labels(JsonWriter& w, const Labels& labels) {
  w.begin_object();
  for (const model::Label& l : labels) w.field(l.name, l.value);
  w.end_object();
}

namespace {

std::string_view name_of(model::MatchOp op) {
  switch (op) {
    case model::MatchOp::equal: return "=";
    case model::MatchOp::not_equal: return "!=";
    case model::MatchOp::regex: return "=~";
    case model::MatchOp::not_regex: return "!~";
  }
  return "";
}

// A number has nothing to escape.
constexpr std::size_t point_bytes_max = time_bytes_max + number_bytes_max + 6;
char* put_point(std::int64_t t, double v, char* to) {
  *to++ = '[';
  to = put_time(t, to);
  *to++ = ',';
  *to++ = '"';
  to = put_number(v, to);
  *to++ = '"';
  *to++ = ']';
  return to;
}

void write_point(JsonWriter& w, std::int64_t t, double v) {
  std::array<char, point_bytes_max> text;
  w.raw({text.data(), put_point(t, v, text.data())});
}

// At once, page by page: answers are made of these.
void write_points(JsonWriter& w, const std::vector<Sample>& samples) {
  std::array<char, 4096> page;
  char* to = page.data();
  for (const Sample& s : samples) {
    if (to + point_bytes_max > page.data() + page.size()) {
      w.raw({page.data(), to});
      to = page.data();
    }
    if (to != page.data()) *to++ = ',';
    to = put_point(s.t, s.v, to);
  }
  if (to != page.data()) w.raw({page.data(), to});
}

// Empty buckets are left out.
void write_point(JsonWriter& w, std::int64_t t, const model::Histogram& histogram) {
  const promql::NativeHistogram h = promql::from_model(histogram);
  w.begin_array().raw(json_time(t)).begin_object();
  w.field("count", format_number(h.count)).field("sum", format_number(h.sum));
  const std::vector<promql::BoundedBucket> buckets = promql::all_buckets(h);
  if (!buckets.empty()) {
    w.key("buckets").begin_array();
    for (const promql::BoundedBucket& b : buckets)
      w.begin_array().raw(std::to_string(b.rule)).string(format_number(b.lower)).string(format_number(b.upper)).string(format_number(b.count)).end_array();
    w.end_array();
  }
  w.end_object().end_array();
}

void write(JsonWriter& w, const MatrixSeries& s) {
  w.begin_object().key("metric");
  write_labels(w, s.labels);
  if (!s.samples.empty()) {
    w.key("values").begin_array();
    write_points(w, s.samples);
    w.end_array();
  }
  if (!s.histograms.empty()) {
    w.key("histograms").begin_array();
    for (const model::HistogramSample& p : s.histograms) write_point(w, p.t, p.h);
    w.end_array();
  }
  w.end_object();
}

void write(JsonWriter& w, const Scalar& s) { write_point(w, s.t, s.v); }
void write(JsonWriter& w, const StringValue& s) { w.begin_array().raw(json_time(s.t)).string(s.v).end_array(); }
void write(JsonWriter& w, const Vector& vector) {
  w.begin_array();
  for (const VectorPoint& p : vector) {
    w.begin_object().key("metric");
    write_labels(w, p.labels);
    w.key(p.histogram ? "histogram" : "value");
    if (p.histogram)
      write_point(w, p.t, *p.histogram);
    else
      write_point(w, p.t, p.v);
    w.end_object();
  }
  w.end_array();
}
// Printing a point takes some 60 ns: what is less than a quarter of a millisecond of it is not worth waking a thread.
constexpr std::size_t points_per_task = 4096;
constexpr std::size_t point_bytes = 36;  // [1435781451.781,"0.123456789012345"],

// In tasks of whole series, each into a text of its own.
void write(JsonWriter& w, const Matrix& matrix, Workers* workers) {
  w.begin_array();
  // A histogram prints as some dozens of points do.
  const auto weight = [](const MatrixSeries& s) { return s.samples.size() + 32 * s.histograms.size(); };
  std::size_t points = 0;
  for (const MatrixSeries& s : matrix) points += weight(s);
  if (workers == nullptr || points < 2 * points_per_task) {
    for (const MatrixSeries& s : matrix) write(w, s);
    w.end_array();
    return;
  }
  struct Task {
    std::size_t first = 0, last = 0, points = 0;
    std::string text;
  };
  std::vector<Task> tasks;
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    if (tasks.empty() || tasks.back().points >= points_per_task) tasks.push_back({i, i, 0, {}});
    tasks.back().last = i + 1;
    tasks.back().points += weight(matrix[i]);
  }
  workers->run(tasks.size(), [&](std::size_t t) {
    Task& task = tasks[t];
    task.text.reserve(task.points * point_bytes);
    JsonWriter own(task.text);
    for (std::size_t i = task.first; i < task.last; ++i) write(own, matrix[i]);
  });
  std::size_t bytes = 0;
  for (const Task& task : tasks) bytes += task.text.size() + 1;
  w.expect(bytes);
  for (Task& task : tasks) {
    w.raw(task.text);
    std::string().swap(task.text);
  }
  w.end_array();
}

void write_notes(JsonWriter& w, std::string_view key, std::string_view kind, const std::vector<std::string>& notes) {
  static constexpr std::size_t notes_max = 10;
  if (notes.empty()) return;
  w.key(key).begin_array();
  for (std::size_t i = 0; i < notes.size() && i < notes_max; ++i) w.string(notes[i]);
  if (notes.size() > notes_max) w.string(fmt::format("{} more {} annotations omitted", notes.size() - notes_max, kind));
  w.end_array();
}

}  // namespace

void write_matchers(JsonWriter& w, const model::Matchers& matchers) {
  w.begin_array();
  for (const model::Matcher& m : matchers)
    w.begin_object().field("name", m.name()).field("type", name_of(m.op())).field("value", m.value()).end_object();
  w.end_array();
}

void write_value(JsonWriter& w, const PromValue& value, std::string_view stats, Workers* workers) {
  static constexpr std::string_view types[] = {"scalar", "string", "vector", "matrix"};
  w.begin_object().field("resultType", types[value.index()]).key("result");
  if (const auto* matrix = std::get_if<Matrix>(&value))
    write(w, *matrix, workers);
  else
    std::visit([&](const auto& v) { if constexpr (!std::is_same_v<std::decay_t<decltype(v)>, Matrix>) write(w, v); }, value);
  if (!stats.empty()) w.key("stats").raw(stats);
  w.end_object();
}

void write_stats(JsonWriter& w, const QueryStats& stats, Millis waited, std::int64_t start_ms, std::int64_t step_ms, bool per_step) {
  const double waited_s = std::chrono::duration<double>(waited).count();
  w.begin_object().key("timings").begin_object();
  w.field("evalTotalTime", stats.total_s).field("resultSortTime", stats.sort_s).field("queryPreparationTime", stats.read_s);
  // Never below zero by a rounding.
  w.field("innerEvalTime", std::max(0.0, stats.total_s - stats.sort_s - stats.read_s));
  w.field("execQueueTime", waited_s).field("execTotalTime", waited_s + stats.total_s).end_object();
  w.key("samples").begin_object();
  if (per_step) {
    w.key("totalQueryableSamplesPerStep").begin_array();
    for (std::size_t i = 0; i < stats.samples_per_step.size(); ++i)
      w.begin_array().raw(json_time(start_ms + static_cast<std::int64_t>(i) * step_ms)).integer(static_cast<std::int64_t>(stats.samples_per_step[i])).end_array();
    w.end_array();
  }
  w.field("totalQueryableSamples", stats.samples).field("peakSamples", stats.peak).end_object().end_object();
}

http::Response prometheus_success(std::string_view data, const std::vector<std::string>& warnings,
                                  const std::vector<std::string>& infos) {
  return prometheus_success([&](JsonWriter& w) { w.raw(data); }, warnings, infos);
}

http::Response prometheus_success(const std::function<void(JsonWriter&)>& write_data, const std::vector<std::string>& warnings,
                                  const std::vector<std::string>& infos) {
  std::string body;
  JsonWriter w(body);
  w.begin_object().field("status", "success").key("data");
  write_data(w);
  write_notes(w, "warnings", "warning", warnings);
  write_notes(w, "infos", "info", infos);
  w.end_object();
  return http::Response::json(std::move(body));
}

http::Response prometheus_error(const Error& error) {
  std::string_view type;
  int status = 0;
  switch (error.code) {
    case Code::invalid_input: type = "bad_data", status = 400; break;
    case Code::timeout: type = "timeout", status = 503; break;
    case Code::cancelled: type = "canceled", status = 499; break;
    case Code::execution:
    case Code::over_limit:   // of this query: asking again later would not help
    case Code::unsupported: type = "execution", status = 422; break;
    default: return http::Response::error(error);
  }
  std::string body;
  JsonWriter w(body);
  w.begin_object().field("status", "error").field("errorType", type).field("error", error.message).end_object();
  return http::Response::json(std::move(body), status);
}

http::Response prometheus_answer(Result<http::Response> response) {
  return response ? std::move(*response) : prometheus_error(response.error());
}

}  // namespace plumbline::query
