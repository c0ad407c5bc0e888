// A native histogram: counts of observations in buckets whose bounds follow from a schema, as Prometheus has it.
//
// Schema n in -4..8: bucket i of the positive side holds (base^(i-1), base^i] with base = 2^(2^-n); the negative side mirrors
// it, and the zero bucket holds [-zero_threshold, zero_threshold]. Schema -53: bucket i holds (bounds[i-1], bounds[i]], where
// the first begins at -Inf and the one after the last bound ends at +Inf.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::model {

// Buckets that are there: `length` of them, `offset` after the end of the span before (of the first span: after index 0).
struct BucketSpan {
  std::int32_t offset = 0;
  std::uint32_t length = 0;
  bool operator==(const BucketSpan&) const = default;
};

// What the sender knows about a counter reset between the sample before and this one.
enum class ResetHint : std::uint8_t { unknown = 0, reset = 1, no_reset = 2, gauge = 3 };

inline constexpr int histogram_schema_min = -4;
inline constexpr int histogram_schema_max = 8;
inline constexpr int histogram_schema_custom = -53;

// Where the counts of a histogram belong; shared by most samples of a series.
struct HistogramLayout {
  int schema = 0;
  double zero_threshold = 0;
  std::vector<BucketSpan> positive_spans, negative_spans;
  std::vector<double> custom_bounds;  // of schema -53 alone
  bool is_custom() const { return schema == histogram_schema_custom; }
};

// Counts are f64 in both forms: integers below 2^53 are exact, and more than that is refused.
struct Histogram {
  HistogramLayout layout;
  bool is_integer = true;  // the form that the sender chose
  ResetHint reset = ResetHint::unknown;
  double count = 0;
  double sum = 0;  // model::stale_nan says "the series ended here"; the counts mean nothing then
  double zero_count = 0;
  std::vector<double> positive, negative;  // counts of each bucket, not differences; as many as the spans name
  bool is_stale() const { return model::is_stale(sum); }
};

struct HistogramSample {
  std::int64_t t = 0;  // Unix ms
  Histogram h;
};

// How many float samples take the memory of this one.
inline std::size_t samples_worth(const Histogram& h) {
  const HistogramLayout& l = h.layout;
  return (sizeof(HistogramSample) +
          8 * (h.positive.size() + h.negative.size() + l.positive_spans.size() + l.negative_spans.size() + l.custom_bounds.size())) /
         sizeof(Sample);
}

// Equality of bits, so that NaN payloads and -0.0 count.
bool same_bits(const HistogramLayout& a, const HistogramLayout& b);
bool same_bits(const Histogram& a, const Histogram& b);

namespace limit {
// OpenTelemetry's SDKs keep 160 buckets a side, and Prometheus' clients about as many; schema 8 over all doubles has 524,288.
inline constexpr std::size_t histogram_buckets_max = 8192;  // of each side
inline constexpr std::size_t histogram_bounds_max = 8192;
}  // namespace limit

// What is wrong with it, as upstream's receiver sees it. Fails: invalid_input: schema out of range, spans that do not match the
// counts or leave the range of indexes, negative counts, counts that are more than `count`, custom bounds that do not increase.
Status check_histogram(const Histogram& histogram);

}  // namespace plumbline::model
