// The notation of series in Prometheus' query tests and rule tests, as a pure function of the text:
//
//   up{job="a"} 1+2x3 _x2 stale {{schema:1 sum:2 count:3 buckets:[1 2]}}x4
//
// a, a+bxn and a-bxn (n + 1 samples from a on, by b), _ (no sample; _xn: n of them), stale, native histograms in {{}} with the
// same repetitions. What a field of a histogram leaves out is 0. Numbers are decimal: 0x3 is four zeros.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/histogram.hpp"
#include "storage/model/labels.hpp"

namespace plumbline::query::promql {

struct SeriesItem {
  bool present = false;  // false: `_`
  double v = 0;
  std::shared_ptr<const model::Histogram> histogram = {};  // when there is one, it is the value
  bool has_hint = false;                                   // its counter_reset_hint was written
};
struct SeriesLine {
  model::Labels labels;
  std::vector<SeriesItem> items;
};

// Samples of one series: two years of minutes. A few bytes of text would otherwise ask for any amount of memory.
inline constexpr std::size_t series_items_max = 1'000'000;
// Buckets of all the histograms of one series that a repetition makes, for the same reason: 80 MB.
inline constexpr std::size_t series_buckets_max = 10'000'000;

// All fail with invalid_input, "line:col: parse error: what".
//
// A series without values: `up{job="a"}`, `{job="a"}`, ""; only `=` between name and value.
Result<model::Labels> parse_metric(std::string_view text);
Result<std::vector<SeriesItem>> parse_series_values(std::string_view text);
// Both, with a blank between them.
Result<SeriesLine> parse_series_line(std::string_view line);

// A histogram in the notation; parse_series_values() reads it back to the same value.
std::string notation_of(const model::Histogram& histogram);

}  // namespace plumbline::query::promql
