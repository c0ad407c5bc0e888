#include "query/api/query_log.hpp"

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/api/prometheus_json.hpp"

namespace plumbline::query {

namespace {

// A line of the journal may have 48 KiB; a page of a query tells whose it is.
constexpr std::size_t expression_bytes_max = 1024;
constexpr std::size_t selectors_told_max = 8;

std::string_view result_of(const Error* error) {
  if (error == nullptr) return "ok";
  switch (error->code) {
    case Code::invalid_input: return "bad_data";
    case Code::timeout: return error->message == waited_too_long ? "waited_too_long" : "timeout";
    case Code::cancelled: return "cancelled";
    case Code::over_limit: return "over_limit";
    case Code::execution:
    case Code::unsupported: return "execution";
    default: return "failed";
  }
}

// {__name__="a"} 0..60 samples=12 series=2; ...
std::string read_text(const std::vector<SelectorStats>& selectors) {
  std::string out;
  for (std::size_t i = 0; i < selectors.size() && i < selectors_told_max; ++i) {
    const SelectorStats& s = selectors[i];
    out += fmt::format("{}{} {}..{} {} series={}", i == 0 ? "" : "; ", shortened(s.selector, expression_bytes_max / 4), json_time(s.range.min),
                       json_time(s.range.max), s.summaries ? "summaries" : fmt::format("samples={}", s.samples), s.series);
  }
  if (selectors.size() > selectors_told_max) out += fmt::format("; {} more", selectors.size() - selectors_told_max);
  return out;
}

}  // namespace

std::string shortened(std::string_view text, std::size_t bytes_max) {
  std::string out(text.substr(0, bytes_max));
  while (!valid_utf8(out) && !out.empty()) out.pop_back();
  return out.size() < text.size() ? out + "..." : out;
}

void tell(const QueryWatch& watch, const AskedQuery& asked, const QueryStats& stats, const Error* error) {
  const std::string_view result = result_of(error);
  if (watch.registry != nullptr)
    watch.registry->counter("plumbline_queries_total", "PromQL queries over HTTP, by result", {{"result", std::string(result)}}).add();
  const double threshold_s = std::chrono::duration<double>(watch.log_slower_than).count();
  if (watch.log == nullptr || threshold_s <= 0 || stats.total_s <= threshold_s) return;
  std::uint64_t series = 0, samples = 0;
  for (const SelectorStats& s : stats.selectors) series += s.series, samples += s.samples;
  watch.log->warn("slow query", {{"query", shortened(asked.expression, expression_bytes_max)},
                                 {"start", json_time(asked.start_ms)},
                                 {"end", json_time(asked.end_ms)},
                                 {"step_ms", asked.step_ms},
                                 {"result", result},
                                 {"seconds", stats.total_s},
                                 {"read_seconds", stats.read_s},
                                 {"waited_ms", static_cast<std::int64_t>(asked.waited.count())},
                                 {"series", series},
                                 {"samples", samples},
                                 {"samples_held_max", stats.peak},
                                 {"read", read_text(stats.selectors)}});
}

}  // namespace plumbline::query
