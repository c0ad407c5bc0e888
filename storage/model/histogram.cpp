#include "storage/model/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include <fmt/format.h>

namespace plumbline::model {
namespace {

// 2^53: what is above it may have been rounded to it when it became a double.
constexpr double integer_end = 9007199254740992.0;
// Sums of floats differ by rounding from the count that the sender added up in another order.
constexpr double float_tolerance = 1e-12;

std::uint64_t bits(double v) { return std::bit_cast<std::uint64_t>(v); }

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return std::ranges::equal(a, b, {}, bits, bits);
}

std::unexpected<Error> invalid(std::string message) { return fail(Code::invalid_input, std::move(message)); }

Status check_spans(std::string_view side, const std::vector<BucketSpan>& spans, std::size_t counts) {
  if (spans.size() > limit::histogram_buckets_max)
    return invalid(fmt::format("it has {} {} spans, the limit is {}", spans.size(), side, limit::histogram_buckets_max));
  std::uint64_t named = 0;
  std::int64_t index = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (i > 0 && spans[i].offset < 0)
      return invalid(fmt::format("{} span {} has offset {}; only the first may be negative", side, i, spans[i].offset));
    named += spans[i].length;
    index += std::int64_t{spans[i].offset} + spans[i].length;
    if (named > limit::histogram_buckets_max)
      return invalid(fmt::format("its {} spans name more than {} buckets", side, limit::histogram_buckets_max));
    if (index > std::numeric_limits<std::int32_t>::max())
      return invalid(fmt::format("{} span {} ends beyond the largest bucket index, 2147483647", side, i));
  }
  if (named == counts) return {};
  return invalid(fmt::format("its {} spans name {} buckets, it has counts of {}", side, named, counts));
}

Status check_count(std::string_view what, double v, bool is_integer) {
  if (!(v >= 0)) return invalid(fmt::format("{} is {}; counts are not negative", what, v));
  if (!is_integer) return {};
  if (v >= integer_end) return invalid(fmt::format("{} is {}; integer counts are below 2^53", what, v));
  if (v != std::floor(v)) return invalid(fmt::format("{} is {} in a histogram of integers", what, v));
  return {};
}

Status check_custom(const Histogram& h) {
  const std::vector<double>& bounds = h.layout.custom_bounds;
  if (bounds.size() > limit::histogram_bounds_max)
    return invalid(fmt::format("it has {} custom bounds, the limit is {}", bounds.size(), limit::histogram_bounds_max));
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    if (!std::isfinite(bounds[i])) return invalid(fmt::format("custom bound {} is {}; bounds are finite", i, bounds[i]));
    if (i > 0 && !(bounds[i - 1] < bounds[i]))
      return invalid(fmt::format("custom bound {} is {} after {}; bounds increase", i, bounds[i], bounds[i - 1]));
  }
  if (h.zero_count != 0 || h.layout.zero_threshold != 0 || !h.negative.empty() || !h.layout.negative_spans.empty())
    return invalid("a histogram of custom buckets has neither a zero bucket nor negative buckets");
  std::int64_t end = 0;
  for (const BucketSpan& s : h.layout.positive_spans) {
    end += s.offset;
    if (end < 0) return invalid("its first span begins before the first custom bucket");
    end += s.length;
  }
  if (end > static_cast<std::int64_t>(bounds.size()) + 1)
    return invalid(fmt::format("its spans reach bucket {}, {} custom bounds make {}", end, bounds.size(), bounds.size() + 1));
  return {};
}

Status check_exponential(const Histogram& h) {
  if (!h.layout.custom_bounds.empty()) return invalid(fmt::format("it has custom bounds with schema {}", h.layout.schema));
  if (!(h.layout.zero_threshold >= 0)) return invalid(fmt::format("its zero threshold is {}", h.layout.zero_threshold));
  return {};
}

// With a sum of NaN an observation was NaN: it is in the count and in no bucket.
Status check_total(const Histogram& h) {
  double total = h.zero_count;
  for (const double v : h.positive) total += v;
  for (const double v : h.negative) total += v;
  const bool exact = h.is_integer && !std::isnan(h.sum);
  const bool fits = exact ? total == h.count : total <= h.count + (h.is_integer ? 0 : float_tolerance * h.count);
  if (fits) return {};
  return invalid(fmt::format("{} observations in its buckets, its count is {}", total, h.count));
}

}  // namespace

bool same_bits(const HistogramLayout& a, const HistogramLayout& b) {
  return a.schema == b.schema && bits(a.zero_threshold) == bits(b.zero_threshold) && a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans && same_bits(a.custom_bounds, b.custom_bounds);
}

bool same_bits(const Histogram& a, const Histogram& b) {
  return same_bits(a.layout, b.layout) && a.is_integer == b.is_integer && a.reset == b.reset &&
         bits(a.count) == bits(b.count) && bits(a.sum) == bits(b.sum) && bits(a.zero_count) == bits(b.zero_count) &&
         same_bits(a.positive, b.positive) && same_bits(a.negative, b.negative);
}

Status check_histogram(const Histogram& h) {
  const int schema = h.layout.schema;
  if (!h.layout.is_custom() && (schema < histogram_schema_min || schema > histogram_schema_max))
    return invalid(fmt::format("its schema is {}; known are {} to {}, and {} for custom buckets", schema, histogram_schema_min,
                               histogram_schema_max, histogram_schema_custom));
  if (static_cast<unsigned>(h.reset) > static_cast<unsigned>(ResetHint::gauge))
    return invalid(fmt::format("its reset hint is {}; known are 0 to 3", static_cast<unsigned>(h.reset)));
  PLUMBLINE_CHECK_OK(check_spans("positive", h.layout.positive_spans, h.positive.size()));
  PLUMBLINE_CHECK_OK(check_spans("negative", h.layout.negative_spans, h.negative.size()));
  PLUMBLINE_CHECK_OK(h.layout.is_custom() ? check_custom(h) : check_exponential(h));
  PLUMBLINE_CHECK_OK(check_count("its count", h.count, h.is_integer));
  PLUMBLINE_CHECK_OK(check_count("its zero count", h.zero_count, h.is_integer));
  for (std::size_t i = 0; i < h.positive.size(); ++i)
    PLUMBLINE_CHECK_OK(check_count(fmt::format("positive bucket {}", i), h.positive[i], h.is_integer));
  for (std::size_t i = 0; i < h.negative.size(); ++i)
    PLUMBLINE_CHECK_OK(check_count(fmt::format("negative bucket {}", i), h.negative[i], h.is_integer));
  return h.is_stale() ? Status{} : check_total(h);
}

}  // namespace plumbline::model
