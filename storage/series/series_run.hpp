// How a request's samples are handed over once their series are known by number.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "storage/model/histogram.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::storage::series {

using SeriesId = std::uint32_t;
inline constexpr SeriesId no_series = 0xffff'ffff;

// The samples of one series in a request: samples[first, first + count).
struct SeriesRun {
  SeriesId id = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// What a request brings for series that are known by number. The histograms are applied after the floats.
struct Points {
  std::span<const SeriesRun> runs;
  std::span<const model::Sample> samples;
  std::span<const SeriesRun> histogram_runs;  // slices of `histograms`
  std::span<const model::HistogramSample> histograms;
};

// A series that a record names and no earlier record defined: its id and its labels in wire form.
struct Definition {
  SeriesId id = 0;
  std::string labels;
};

}  // namespace plumbline::storage::series
