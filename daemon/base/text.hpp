// Text forms that every door shares: numbers, durations, times, hex, UTF-8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/error.hpp"

namespace plumbline {

// As Go's strconv.FormatFloat(v, 'f', -1) with "NaN", "+Inf", "-Inf": Prometheus' sample values and `le` labels. `f` form
// unless |v| < 1e-6 or >= 1e21, then `e` form, as Prometheus' JSON does.
std::string format_number(double v);
// The same into memory that has number_bytes_max bytes; the end of what was put there.
inline constexpr std::size_t number_bytes_max = 40;
char* put_number(double v, char* to);
// Shortest text that reads back to the same double; valid JSON for finite values ("null" for others).
std::string json_number(double v);
// Accepts what strconv.ParseFloat accepts for decimal numbers, plus Inf, +Inf, -Inf, NaN in any case; nothing around it.
std::optional<double> parse_number(std::string_view text);
std::optional<std::int64_t> parse_int(std::string_view text);

// Prometheus durations: "1h30m", "5m", "100ms", "1d", "2w", "1y", "0"; not negative, units in order, each at most once.
Result<std::int64_t> parse_duration_ms(std::string_view text);
std::string format_duration_ms(std::int64_t ms);  // "1h30m"; "0s" for 0

// RFC 3339 ("2024-05-01T10:00:00.123456789Z", "+02:00") to Unix nanoseconds.
Result<std::int64_t> parse_rfc3339_ns(std::string_view text);
std::string format_rfc3339_ms(std::int64_t unix_ms);  // 2024-05-01T10:00:00.123Z
std::string format_rfc3339_ns(std::int64_t unix_ns);
// A Prometheus API time: RFC 3339, or Unix seconds with a fraction; to milliseconds.
Result<std::int64_t> parse_api_time_ms(std::string_view text);
// A Unix time of unknown unit, told by magnitude: s below 1e11, ms below 1e14, us below 1e17, else ns; to nanoseconds.
std::int64_t unix_ns_by_magnitude(double value);

bool valid_utf8(std::string_view text);
std::string hex(std::string_view bytes);                     // lowercase
std::optional<std::string> from_hex(std::string_view text);  // either case
std::optional<std::string> from_base64(std::string_view text);
std::string to_base64(std::string_view bytes);
// `"` + escapes + `"`, as JSON. Invalid UTF-8 becomes U+FFFD.
std::string json_quote(std::string_view text);
std::string to_lower(std::string_view text);
std::string_view trim(std::string_view text);

}  // namespace plumbline
