// The read half of Prometheus' HTTP API, v1, as Grafana's data source and promtool call it.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/api/prometheus_json.hpp"
#include "query/api/prometheus_parameters.hpp"
#include "query/api/query_log.hpp"
#include "query/api/result_cache.hpp"
#include "query/promql/ast.hpp"
#include "query/query.hpp"
#include "query/stopping_reader.hpp"

namespace plumbline::query {

namespace {

using http::Request;
using http::Response;

const std::string truncated = "results truncated due to limit";
// Of a look-up's answer, some 1 us each: whether somebody waits for it is asked every few milliseconds.
constexpr std::size_t series_between_asking = 4096;

template <class T>
bool truncate(std::vector<T>& v, std::size_t limit) {
  if (limit == 0 || v.size() <= limit) return false;
  v.resize(limit);
  return true;
}

Result<Response> answer(Result<Answer> result, std::size_t limit, std::string_view stats, Workers* workers) {
  if (!result) {
    if (result.error().code != Code::invalid_input) return fail(result.error());
    return fail(bad_parameter("query", result.error().message));
  }
  bool cut = false;
  if (auto* v = std::get_if<Vector>(&result->value)) cut = truncate(*v, limit);
  if (auto* m = std::get_if<Matrix>(&result->value)) cut = truncate(*m, limit);
  if (cut) result->warnings.push_back(truncated);
  return prometheus_success([&](JsonWriter& w) { write_value(w, result->value, stats, workers); }, result->warnings, result->infos);
}

// Grafana escapes label names that are not [a-zA-Z_][a-zA-Z0-9_]*: U__my_2e_metric is my.metric, "__" is "_".
std::string unescape_label(std::string_view name) {
  if (!name.starts_with("U__")) return std::string(name);
  std::string out;
  const std::string_view body = name.substr(3);
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '_') {
      out += body[i];
      continue;
    }
    if (i + 1 < body.size() && body[i + 1] == '_') {
      out += '_';
      ++i;
      continue;
    }
    const std::size_t end = body.find('_', i + 1);
    std::uint32_t c = 0;
    if (end == std::string_view::npos) return std::string(name);
    const auto [stop, ec] = std::from_chars(body.data() + i + 1, body.data() + end, c, 16);
    if (ec != std::errc{} || stop != body.data() + end || c > 0x10ffff) return std::string(name);
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else if (c < 0x800) {
      out += {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
    } else if (c < 0x10000) {
      out += {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
    } else {
      out += {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
              static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
    }
    i = end;
  }
  return out;
}

std::string json_strings(const std::vector<std::string>& strings) {
  std::string data;
  JsonWriter w(data);
  w.begin_array();
  for (const std::string& s : strings) w.string(s);
  w.end_array();
  return data;
}

// What the handlers share; copied into each of them.
struct Api {
  const Engine* engine;
  const storage::Reader* reader;
  const Clock* clock;
  BuildInfo build;
  QueryWatch watch;
  std::shared_ptr<ResultCache> cache;

  // Runs, tells, and answers.
  Result<Response> run(const Request& r, std::size_t limit, const AskedQuery& asked) const {
    PLUMBLINE_TRY(EngineOptions options, engine_params(r, engine->options()));
    PLUMBLINE_TRY(const std::optional<Millis> resolution, resolution_param(r, asked.step_ms));
    if (reader->tiers().any) options.resolution_max = resolution.value_or(Millis(0));  // some clients ask for them always
    const std::string_view wanted = text_param(r, "stats");
    QueryStats stats;
    stats.count_steps = !wanted.empty();
    Result<Answer> result = fail(Code::timeout, std::string(waited_too_long));
    // The cache may ask twice, within the time of one.
    const Steady deadline = clock->steady() + options.timeout;
    const auto range = [&](std::int64_t start_ms, std::int64_t end_ms) {
      EngineOptions left = options;
      left.timeout = std::chrono::duration_cast<Millis>(deadline - clock->steady());
      return Engine(*reader, *clock, left).range(asked.expression, start_ms, end_ms, asked.step_ms, &stats);
    };
    if (options.timeout > Millis(0) || r.waited == Millis(0)) {
      if (asked.step_ms == 0)
        result = Engine(*reader, *clock, options).instant(asked.expression, asked.start_ms, &stats);
      // Stats are of a whole evaluation, and what downsampled samples say depends on the windows of all steps.
      else if (stats.count_steps || text_param(r, "nocache") == "1" || options.resolution_max != Millis(0))
        result = range(asked.start_ms, asked.end_ms);
      else
        result = cache->answer({asked.expression, asked.start_ms, asked.end_ms, asked.step_ms, options.lookback.count()}, range);
    }
    // Here and not where it is evaluated, so that kept answers are told of what went since.
    if (result && !resolution)
      if (std::optional<std::string> warning = samples_gone(*reader, result->reads_since)) result->warnings.push_back(std::move(*warning));
    tell(watch, asked, stats, result ? nullptr : &result.error());
    std::string told;
    JsonWriter w(told);
    if (!wanted.empty()) write_stats(w, stats, r.waited, asked.start_ms, asked.step_ms, wanted == "all");
    return answer(std::move(result), limit, told, options.workers.get());
  }

  Result<Response> query(const Request& r) const {
    PLUMBLINE_TRY(const std::size_t limit, limit_param(r));
    PLUMBLINE_TRY(const std::int64_t t, time_param(r, "time", clock->now_ms()));
    return run(r, limit, {text_param(r, "query"), t, t, 0, r.waited});
  }

  Result<Response> query_range(const Request& r) const {
    PLUMBLINE_TRY(const std::size_t limit, limit_param(r));
    PLUMBLINE_TRY(const RangeQuery asked, range_query_params(r, engine->options().points_max));
    return run(r, limit, {text_param(r, "query"), asked.start_ms, asked.end_ms, asked.step_ms, r.waited});
  }

  Result<Response> format_query(const Request& r) const {
    const Result<std::string> text = format_promql(text_param(r, "query"));
    if (!text) return fail(bad_parameter("query", text.error().message));
    return prometheus_success(json_quote(*text));
  }

  // What the routes that look series, names and values up ask for.
  struct LookUp {
    std::size_t limit = 0;
    model::TimeRange range;
    std::vector<model::Matchers> selectors;
    storage::GoOn go_on;
  };
  // A look-up has the time of a query, and ends when its client goes: over all time it may look at every segment.
  Result<LookUp> look_up(const Request& r) const {
    LookUp out;
    PLUMBLINE_TRY(out.limit, limit_param(r));
    PLUMBLINE_TRY(out.range, range_params(r));
    PLUMBLINE_TRY(out.selectors, match_params(r));
    PLUMBLINE_TRY(const Millis left, time_left(r, engine->options().timeout));
    if (left <= Millis(0) && r.waited > Millis(0)) return fail(Code::timeout, std::string(waited_too_long));
    out.go_on = [stop = r.gone, time = clock, deadline = clock->steady() + left] { return query::go_on(stop, *time, deadline); };
    PLUMBLINE_CHECK_OK(out.go_on());  // a reader need not ask before it begins
    return out;
  }

  Result<Response> series(const Request& r) const {
    if (r.params("match[]").empty()) return fail(Code::invalid_input, "no match[] parameter provided");
    PLUMBLINE_TRY(const LookUp asked, look_up(r));
    PLUMBLINE_TRY(std::vector<Labels> found,
                  reader->series(asked.selectors, asked.range, asked.limit == 0 ? 0 : asked.limit + 1, asked.go_on));
    const bool cut = truncate(found, asked.limit);
    std::string data;
    JsonWriter w(data);
    w.begin_array();
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (i % series_between_asking == 0) PLUMBLINE_CHECK_OK(asked.go_on());
      write_labels(w, found[i]);
    }
    w.end_array();
    return prometheus_success(data, cut ? std::vector{truncated} : std::vector<std::string>{});
  }

  static Result<Response> found_strings(const LookUp& asked, std::vector<std::string> found) {
    PLUMBLINE_CHECK_OK(asked.go_on());
    const bool cut = truncate(found, asked.limit);
    return prometheus_success(json_strings(found), cut ? std::vector{truncated} : std::vector<std::string>{});
  }

  Result<Response> labels(const Request& r) const {
    PLUMBLINE_TRY(const LookUp asked, look_up(r));
    PLUMBLINE_TRY(std::vector<std::string> names, reader->label_names(asked.selectors, asked.range, asked.go_on));
    return found_strings(asked, std::move(names));
  }

  Result<Response> label_values(const Request& r) const {
    const std::string name = unescape_label(r.path_value("name"));
    if (name.empty() || !valid_utf8(name)) return fail(Code::invalid_input, "invalid label name: " + json_quote(name));
    PLUMBLINE_TRY(const LookUp asked, look_up(r));
    PLUMBLINE_TRY(std::vector<std::string> values, reader->label_values(name, asked.selectors, asked.range, asked.go_on));
    return found_strings(asked, std::move(values));
  }

  Result<Response> metadata(const Request& r) const {
    std::int64_t limit = -1, per_metric = -1;
    for (const auto& [name, value] : {std::pair{"limit", &limit}, std::pair{"limit_per_metric", &per_metric}}) {
      const std::string_view text = text_param(r, name);
      if (text.empty()) continue;
      const std::optional<std::int64_t> n = parse_int(text);
      if (!n) return fail(Code::invalid_input, fmt::format("{} must be a number", name));
      *value = *n;
    }
    PLUMBLINE_TRY(const std::vector<storage::MetricMetadata> all, reader->metadata(text_param(r, "metric")));
    std::string data;
    JsonWriter w(data);
    w.begin_object();
    std::int64_t metrics = 0;
    for (std::size_t i = 0; i < all.size();) {
      if (limit >= 0 && metrics++ >= limit) break;
      w.key(all[i].metric).begin_array();
      const std::string& metric = all[i].metric;
      for (std::int64_t n = 0; i < all.size() && all[i].metric == metric; ++i, ++n) {
        if (per_metric > 0 && n >= per_metric) continue;
        w.begin_object().field("type", all[i].type).field("help", all[i].help).field("unit", all[i].unit).end_object();
      }
      w.end_array();
    }
    w.end_object();
    return prometheus_success(data);
  }

  Result<Response> buildinfo(const Request&) const {
    std::string data;
    JsonWriter w(data);
    w.begin_object().field("version", build.version).field("revision", build.revision).field("branch", "");
    w.field("buildUser", "").field("buildDate", "").field("goVersion", "").end_object();
    return prometheus_success(data);
  }
};

using Method = Result<Response> (Api::*)(const Request&) const;

http::Handler handler(const Api& api, Method method) {
  return [api, method](const Request& request) { return prometheus_answer((api.*method)(request)); };
}

}  // namespace

http::Routes prometheus_routes(const Engine& engine, const storage::Reader& reader, const Clock& clock, BuildInfo build, QueryWatch watch,
                               std::uint64_t result_cache_bytes) {
  const Api api{&engine, &reader, &clock, std::move(build), watch, std::make_shared<ResultCache>(reader, result_cache_bytes, watch.registry)};
  http::Routes routes;
  const auto add = [&](std::string_view path, Method method, bool post) {
    routes.push_back({"GET", "/api/v1/" + std::string(path), handler(api, method)});
    if (post) routes.push_back({"POST", "/api/v1/" + std::string(path), handler(api, method)});
  };
  add("query", &Api::query, true);
  add("query_range", &Api::query_range, true);
  add("format_query", &Api::format_query, true);
  add("series", &Api::series, true);
  add("labels", &Api::labels, true);
  add("label/{name}/values", &Api::label_values, false);
  add("metadata", &Api::metadata, false);
  add("status/buildinfo", &Api::buildinfo, false);
  return routes;
}

http::Routes prometheus_admin_routes(EraseSeries erase) {
  const auto handle = [erase = std::move(erase)](const Request& r) {
    const auto done = [&]() -> Status {
      PLUMBLINE_TRY(const std::vector<model::Matchers> selectors, match_params(r));
      if (selectors.empty()) return fail(Code::invalid_input, "no match[] parameter provided");
      PLUMBLINE_TRY(const model::TimeRange range, range_params(r));
      return erase(selectors, range);
    }();
    return done ? Response::empty(204) : prometheus_error(done.error());
  };
  http::Routes routes;
  for (const char* method : {"POST", "PUT"}) routes.push_back({method, "/api/v1/admin/tsdb/delete_series", handle, http::Lane::admin});
  return routes;
}

// A request names a directory inside of the configured one, never a path: the store refuses what is more than one component.
http::Routes backup_routes(MakeBackup make) {
  const auto handle = [make = std::move(make)](const Request& r) -> Response {
    // Any page in the operator's browser may post a form to loopback; browsers say so.
    if (!r.header("origin").empty()) return prometheus_error({Code::invalid_input, "backups are not made for web pages: use `plumbline backup`"});
    const auto made = make(std::string(r.param("name").value_or("")));
    if (!made) return prometheus_error(made.error());
    std::string data;
    JsonWriter w(data);
    w.begin_object().field("path", made->path).field("files", made->files).field("bytes", made->bytes).end_object();
    return prometheus_success(data, made->problems);
  };
  // Not in the admin lane, whose one worker answers health checks: a backup takes seconds, to another disk minutes.
  return {{"POST", "/api/v1/admin/backup", handle, http::Lane::query}};
}

}  // namespace plumbline::query
