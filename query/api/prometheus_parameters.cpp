#include "query/api/prometheus_parameters.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/ast.hpp"

namespace plumbline::query {

Error bad_parameter(std::string_view name, std::string_view message) {
  return {Code::invalid_input, fmt::format("invalid parameter \"{}\": {}", name, message)};
}

std::string_view text_param(const http::Request& r, std::string_view name) { return r.param(name).value_or(""); }

Result<std::int64_t> time_param(const http::Request& r, std::string_view name, std::optional<std::int64_t> otherwise) {
  const std::string_view text = text_param(r, name);
  if (text.empty() && otherwise) return *otherwise;
  const Result<std::int64_t> ms = parse_api_time_ms(text);
  if (!ms) return fail(bad_parameter(name, fmt::format("cannot parse \"{}\" to a valid timestamp", text.substr(0, 64))));
  return *ms;
}

Result<std::int64_t> duration_param(const http::Request& r, std::string_view name) {
  const std::string_view text = text_param(r, name);
  if (const std::optional<double> seconds = parse_number(text)) {
    if (!(std::fabs(*seconds) < 9.2e9))
      return fail(bad_parameter(name, fmt::format("cannot parse \"{}\" to a valid duration. It overflows int64", text)));
    return static_cast<std::int64_t>(std::trunc(*seconds * 1000));
  }
  const Result<std::int64_t> ms = parse_duration_ms(text);
  if (!ms) return fail(bad_parameter(name, fmt::format("cannot parse \"{}\" to a valid duration", text.substr(0, 64))));
  return *ms;
}

Result<std::size_t> limit_param(const http::Request& r) {
  const std::string_view text = text_param(r, "limit");
  if (text.empty()) return 0;
  const std::optional<std::int64_t> n = parse_int(text);
  if (!n) return fail(bad_parameter("limit", fmt::format("cannot parse \"{}\" to a valid limit", text.substr(0, 64))));
  if (*n < 0) return fail(bad_parameter("limit", "limit must be non-negative"));
  return static_cast<std::size_t>(*n);
}

Result<RangeQuery> range_query_params(const http::Request& r, std::uint32_t points_max) {
  PLUMBLINE_TRY(const std::int64_t start, time_param(r, "start"));
  PLUMBLINE_TRY(const std::int64_t end, time_param(r, "end"));
  if (end < start) return fail(bad_parameter("end", "end timestamp must not be before start time"));
  PLUMBLINE_TRY(const std::int64_t step, duration_param(r, "step"));
  if (step <= 0)
    return fail(bad_parameter("step", "zero or negative query resolution step widths are not accepted. Try a positive "
                                      "integer"));
  if ((static_cast<double>(end) - static_cast<double>(start)) / static_cast<double>(step) > points_max)
    return fail(Code::invalid_input, "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
                                     "query resolution (?step=XX)");
  return RangeQuery{start, end, step};
}

Result<Millis> time_left(const http::Request& r, Millis most) {
  if (!text_param(r, "timeout").empty()) {
    PLUMBLINE_TRY(const std::int64_t ms, duration_param(r, "timeout"));
    most = std::min(most, Millis(ms));
  }
  return most - r.waited;
}

Result<EngineOptions> engine_params(const http::Request& r, EngineOptions options) {
  PLUMBLINE_TRY(options.timeout, time_left(r, options.timeout));
  if (!text_param(r, "lookback_delta").empty()) {
    PLUMBLINE_TRY(const std::int64_t ms, duration_param(r, "lookback_delta"));
    if (ms > 0) options.lookback = Millis(ms);
  }
  options.stop = r.gone;
  return options;
}

Result<std::optional<Millis>> resolution_param(const http::Request& r, std::int64_t step_ms) {
  constexpr std::string_view name = "max_source_resolution";
  const std::string_view text = text_param(r, name);
  if (text.empty()) return std::nullopt;
  if (text == "auto") return step_ms == 0 ? Millis(-1) : Millis(step_ms / 5);
  PLUMBLINE_TRY(const std::int64_t ms, duration_param(r, name));
  if (ms < 0) return fail(bad_parameter(name, "write auto, 0s, 5m or 1h"));
  return Millis(ms);
}

std::optional<std::string> samples_gone(const storage::Reader& reader, std::optional<std::int64_t> reads_since) {
  const std::int64_t since = reader.tiers().samples_since;
  if (!reads_since || *reads_since >= since) return std::nullopt;
  return "PromQL warning: the samples before " + format_rfc3339_ms(since) +
         " are gone, and the downsampled ones that are left are read only when they are asked for: max_source_resolution=5m (of windows of 10m and more) "
         "or 1h (2h and more) has rate, increase, delta and the usual ..._over_time read them";
}

Result<std::vector<model::Matchers>> match_params(const http::Request& r) {
  std::vector<model::Matchers> out;
  for (const std::string_view text : r.params("match[]")) {
    Result<model::Matchers> matchers = promql::parse_selector(text);
    if (!matchers) return fail(bad_parameter("match[]", matchers.error().message));
    if (std::ranges::all_of(*matchers, [](const model::Matcher& m) { return m.matches_empty(); }))
      return fail(bad_parameter("match[]", "match[] must contain at least one non-empty matcher"));
    out.push_back(std::move(*matchers));
  }
  return out;
}

Result<model::TimeRange> range_params(const http::Request& r) {
  const model::TimeRange all;
  PLUMBLINE_TRY(const std::int64_t start, time_param(r, "start", all.min));
  PLUMBLINE_TRY(const std::int64_t end, time_param(r, "end", all.max));
  if (end < start) return fail(bad_parameter("end", "end timestamp must not be before start time"));
  return model::TimeRange{start, end};
}

}  // namespace plumbline::query
