// OTLP's exponential histograms as native ones, as Prometheus' own receiver makes them.
#pragma once

#include <cstdint>
#include <expected>

#include "ingest/ingest.hpp"
#include "storage/model/histogram.hpp"

namespace opentelemetry::proto::metrics::v1 {
class ExponentialHistogramDataPoint;
}

namespace plumbline::ingest {

inline constexpr std::uint32_t no_recorded_value = 1;  // of DataPointFlags

// Scales above 8 are brought down to 8. Refused: bad_histogram: a scale below -4, more buckets than a histogram may have, and
// what model::check_histogram() says.
std::expected<model::Histogram, Rejection> native_histogram(
    const opentelemetry::proto::metrics::v1::ExponentialHistogramDataPoint& point);

}  // namespace plumbline::ingest
