// OpenTelemetry names as Prometheus names: the strategy UnderscoreEscapingWithSuffixes, Prometheus' default.
#pragma once

#include <string>
#include <string_view>

namespace plumbline::ingest {

enum class OtlpKind { gauge, counter, other };

// "http.server.duration" in "s" -> "http_server_duration_seconds". "" when nothing but underscores would be left.
std::string metric_name(std::string_view name, std::string_view unit, OtlpKind kind);
// The unit in words ("seconds", "bytes", "meters_per_second"), for metadata; "" when it has none.
std::string unit_name(std::string_view unit);
// "http.method" -> "http_method", "1st" -> "key_1st", "_x" -> "key_x", "__x__" stays. "" when only underscores are left.
std::string label_name(std::string_view name);
// A bucket bound as the `le` label: shortest digits that read back, never an exponent (as strconv's 'f' form).
std::string bound_text(double bound);

}  // namespace plumbline::ingest
