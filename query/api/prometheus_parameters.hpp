// The parameters that Prometheus' routes share, refused in upstream's words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "proto/http.hpp"
#include "query/query.hpp"
#include "storage/model/matcher.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::query {

Error bad_parameter(std::string_view name, std::string_view message);
std::string_view text_param(const http::Request& r, std::string_view name);  // "" when absent
// Unix seconds or RFC 3339, to ms.
Result<std::int64_t> time_param(const http::Request& r, std::string_view name, std::optional<std::int64_t> otherwise = {});
// Seconds as a float, or a Prometheus duration; to ms.
Result<std::int64_t> duration_param(const http::Request& r, std::string_view name);
Result<std::size_t> limit_param(const http::Request& r);  // 0: no limit
// start, end and step of a range query of at most `points_max` steps.
struct RangeQuery {
  std::int64_t start_ms = 0, end_ms = 0, step_ms = 0;
};
Result<RangeQuery> range_query_params(const http::Request& r, std::uint32_t points_max);
// What is left of a time limit: `timeout` may shorten it, and what the request waited for its turn has used it up in part.
Result<Millis> time_left(const http::Request& r, Millis most);
// The engine's own with the time that is left of its limit; `lookback_delta` replaces its lookback. The query ends when the client goes.
Result<EngineOptions> engine_params(const http::Request& r, EngineOptions options);
// max_source_resolution, as Thanos has it: 0s, 5m, 1h or another duration, or auto: a fifth of the step, of an instant query (step 0) a
// fifth of each window. As EngineOptions has it; nullopt when it is absent.
Result<std::optional<Millis>> resolution_param(const http::Request& r, std::int64_t step_ms);
// The warning for who does not give it and wants samples since a time (ms) from which they are not there any more, but their aggregates.
std::optional<std::string> samples_gone(const storage::Reader& reader, std::optional<std::int64_t> reads_since);
// match[], each with at least one matcher that refuses the empty value.
Result<std::vector<model::Matchers>> match_params(const http::Request& r);
// start and end; all time when they are absent.
Result<model::TimeRange> range_params(const http::Request& r);

}  // namespace plumbline::query
