#include "ingest/otlp_exponential.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "opentelemetry/proto/metrics/v1/metrics.pb.h"

namespace plumbline::ingest {
namespace {

namespace pb = opentelemetry::proto::metrics::v1;

// The point's own threshold, or one so small that nothing but zero is in the zero bucket: without any, a zero would have no place.
constexpr double zero_threshold_default = 1e-128;
// Fewer empty buckets than this are written as zeros: a span costs as much as two of them.
constexpr std::int64_t gap_min = 3;

Rejection bad(std::string message) { return {"bad_histogram", std::move(message), 1}; }

// OTLP's bucket i begins at base^i, a native one ends at base^i: hence one more. False: too many buckets, or
// an index that does not fit.
bool translate(const pb::ExponentialHistogramDataPoint::Buckets& buckets, int down, std::vector<model::BucketSpan>& spans,
               std::vector<double>& counts) {
  std::int64_t next = 0;  // the index behind the last bucket written
  for (int i = 0; i < buckets.bucket_counts_size(); ++i) {
    const auto count = static_cast<double>(buckets.bucket_counts(i));
    const std::int64_t index = ((std::int64_t{buckets.offset()} + i) >> down) + 1;
    if (!spans.empty() && index == next - 1) {  // the same bucket at the lower scale
      counts.back() += count;
      continue;
    }
    if (count == 0) continue;
    if (index > std::numeric_limits<std::int32_t>::max()) return false;
    const std::int64_t gap = index - next;
    if (spans.empty() || gap >= gap_min) {
      spans.push_back({static_cast<std::int32_t>(gap), 0});
    } else {
      counts.resize(counts.size() + static_cast<std::size_t>(gap));
      spans.back().length += static_cast<std::uint32_t>(gap);
    }
    counts.push_back(count);
    ++spans.back().length;
    next = index + 1;
    if (counts.size() > model::limit::histogram_buckets_max) return false;
  }
  return true;
}

}  // namespace

std::expected<model::Histogram, Rejection> native_histogram(const pb::ExponentialHistogramDataPoint& point) {
  const int scale = point.scale();
  if (scale < model::histogram_schema_min)
    return std::unexpected(bad("its scale is " + std::to_string(scale) + "; the coarsest that can be stored is -4"));
  // Beyond 64 bits every bucket is the first one or the one before it.
  const int down = std::min(std::max(0, scale - model::histogram_schema_max), 63);
  model::Histogram out;
  out.layout.schema = std::min(scale, model::histogram_schema_max);
  out.layout.zero_threshold = point.zero_threshold() > 0 ? point.zero_threshold() : zero_threshold_default;
  if ((point.flags() & no_recorded_value) != 0) {
    out.sum = model::stale_nan;
    return out;
  }
  if (!translate(point.positive(), down, out.layout.positive_spans, out.positive) ||
      !translate(point.negative(), down, out.layout.negative_spans, out.negative))
    return std::unexpected(bad("it has more than " + std::to_string(model::limit::histogram_buckets_max) + " buckets on a side, or some beyond index 2147483647"));
  out.zero_count = static_cast<double>(point.zero_count());
  out.count = static_cast<double>(point.count());
  out.sum = point.sum();  // 0 when it has none
  if (const Status sound = model::check_histogram(out); !sound) return std::unexpected(bad(sound.error().message));
  return out;
}

}  // namespace plumbline::ingest
