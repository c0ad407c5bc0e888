// The Histogram message of remote write, the same on the wire in 1.0 and 2.0.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "ingest/ingest.hpp"
#include "storage/model/histogram.hpp"

namespace plumbline::ingest::remote_write {

// Integer histograms carry differences between buckets, float histograms counts; a Histogram has counts in both forms.
// Refused: bad_histogram, with what model::check_histogram() says. Throws protozero::exception when the bytes are no message.
std::expected<model::HistogramSample, Rejection> read_histogram(std::string_view message);

// What came of the histograms of one series: none is stored yet, but a sender learns which are wrong whatever the store can do.
struct HistogramTally {
  std::uint64_t good = 0, bad = 0;
  std::string first_trouble;
  void add(std::string_view message);
  std::uint64_t total() const { return good + bad; }
};

}  // namespace plumbline::ingest::remote_write
