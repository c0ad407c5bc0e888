// The Histogram message of remote write, the same on the wire in 1.0 and 2.0.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/limits.hpp"
#include "storage/model/histogram.hpp"

namespace plumbline::ingest::remote_write {

// Integer histograms carry differences between buckets, float histograms counts; a Histogram has counts in both forms.
// Refused: bad_histogram, with what model::check_histogram() says. Throws protozero::exception when the bytes are no message.
std::expected<model::HistogramSample, Rejection> read_histogram(std::string_view message);

// The histograms of one series, and how many were malformed or beyond the budget: a bucket of one byte takes eight here.
struct SeriesHistograms {
  std::vector<model::HistogramSample> samples;
  std::uint64_t bad = 0, over = 0;
  std::string first_trouble;
  void add(std::string_view message, Budget& budget);
  std::uint64_t total() const { return samples.size() + bad + over; }
};

}  // namespace plumbline::ingest::remote_write
