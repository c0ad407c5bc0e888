// The name translation table: what Prometheus makes of an OpenTelemetry name, unit and kind by default.
#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <vector>

#include "ingest/otlp_names.hpp"

using namespace plumbline::ingest;

TEST_CASE("metric names follow Prometheus' default translation") {
  struct Row {
    std::string name, unit;
    OtlpKind kind;
    std::string expected;
  };
  const OtlpKind gauge = OtlpKind::gauge, counter = OtlpKind::counter, other = OtlpKind::other;
  const std::vector<Row> table{
      {"http.server.duration", "s", other, "http_server_duration_seconds"},
      {"http.server.request.duration", "ms", other, "http_server_request_duration_milliseconds"},
      {"memory.usage", "By", gauge, "memory_usage_bytes"},
      {"requests.count", "1", counter, "requests_count_total"},
      {"requests", "", counter, "requests_total"},
      {"requests_total", "", counter, "requests_total"},
      {"requests.total.count", "", counter, "requests_count_total"},
      {"total.total", "", counter, "total"},
      {"cpu.utilization", "1", gauge, "cpu_utilization_ratio"},
      {"cpu.ratio.used", "1", gauge, "cpu_used_ratio"},
      {"cpu.ratio", "1", gauge, "cpu_ratio"},
      {"cpu.utilization", "1", other, "cpu_utilization"},
      {"queue.length", "{items}", gauge, "queue_length"},
      {"queue.length", "{items}/s", gauge, "queue_length_per_second"},
      {"network.io", "By/s", gauge, "network_io_bytes_per_second"},
      {"speed", "m/s", gauge, "speed_meters_per_second"},
      {"speed", "km/h", gauge, "speed_km_per_hour"},
      {"rate", "1/m", gauge, "rate_per_minute"},
      {"rate", "/d", gauge, "rate_per_day"},
      {"rate", "By/w", gauge, "rate_bytes_per_week"},
      {"rate", "By/mo", gauge, "rate_bytes_per_month"},
      {"rate", "By/y", gauge, "rate_bytes_per_year"},
      {"rate", "By/{request}", gauge, "rate_bytes"},
      {"disk.bytes", "By", gauge, "disk_bytes"},
      {"disk.bytes.free", "By", gauge, "disk_bytes_free"},
      {"disk", "KiBy", gauge, "disk_kibibytes"},
      {"disk", "MiBy", gauge, "disk_mebibytes"},
      {"disk", "GiBy", gauge, "disk_gibibytes"},
      {"disk", "TiBy", gauge, "disk_tibibytes"},
      {"disk", "KBy", gauge, "disk_kilobytes"},
      {"disk", "kBy", gauge, "disk_kBy"},
      {"disk", "GBy", gauge, "disk_gigabytes"},
      {"up.time", "d", gauge, "up_time_days"},
      {"up.time", "h", gauge, "up_time_hours"},
      {"up.time", "min", gauge, "up_time_minutes"},
      {"latency", "us", other, "latency_microseconds"},
      {"latency", "ns", other, "latency_nanoseconds"},
      {"temperature", "Cel", gauge, "temperature_celsius"},
      {"clock", "Hz", gauge, "clock_hertz"},
      {"power", "W", gauge, "power_watts"},
      {"energy", "J", counter, "energy_joules_total"},
      {"battery", "%", gauge, "battery_percent"},
      {"a__b..c", "", gauge, "a_b_c"},
      {"_leading.and.trailing_", "", gauge, "leading_and_trailing"},
      {"vllm:num_requests", "", gauge, "vllm:num_requests"},
      {"404.errors", "", counter, "_404_errors_total"},
      {"größe", "", gauge, "gr_e"},
      {"x", "my unit", gauge, "x_my_unit"},
      {"x", " s ", gauge, "x_seconds"},
      {"x", "__odd $/°C", gauge, "x_odd_per_C"},
      {"x", "s/", gauge, "x_seconds"},
      {"x", "$$$", gauge, "x"},
      {"process.cpu.seconds.total", "s", counter, "process_cpu_seconds_total"},
      {"...", "", gauge, ""},
      {"", "", gauge, ""},
  };
  for (const Row& row : table) {
    INFO(row.name << " [" << row.unit << "]");
    CHECK(metric_name(row.name, row.unit, row.kind) == row.expected);
  }
}

TEST_CASE("label names follow Prometheus' default translation") {
  const std::vector<std::pair<std::string, std::string>> table{
      {"http.method", "http_method"}, {"http_method", "http_method"}, {"1st", "key_1st"},   {"_private", "key_private"},
      {"__name__", "__name__"},       {"a..b", "a__b"},               {"a:b", "a_b"},       {"größe", "gr__e"},
      {"key with space", "key_with_space"}, {"...", ""},              {"", ""},             {"__x", "__x"},
  };
  for (const auto& [name, expected] : table) {
    INFO(name);
    CHECK(label_name(name) == expected);
  }
}

TEST_CASE("bounds are printed with the shortest digits and no exponent") {
  CHECK(bound_text(0.005) == "0.005");
  CHECK(bound_text(10) == "10");
  CHECK(bound_text(1e-7) == "0.0000001");
  CHECK(bound_text(1e21) == "1000000000000000000000");
  CHECK(bound_text(1e23) == "100000000000000000000000");
  CHECK(bound_text(-1.5e20) == "-150000000000000000000");
  CHECK(bound_text(std::numeric_limits<double>::infinity()) == "+Inf");
}

TEST_CASE("units in words") {
  CHECK(unit_name("By/s") == "bytes_per_second");
  CHECK(unit_name("1").empty());
  CHECK(unit_name("{request}").empty());
}
