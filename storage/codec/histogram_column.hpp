// Histogram samples of one series as bytes: times, layouts once each, and of each layout one column per bucket, so that what
// is coded together is one bucket's count over time. The bytes are specified in storage/format/histogram.md.
//
// Pure functions, bit-exact for everything that check_histogram() accepts, stale markers included.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/histogram.hpp"

namespace plumbline::storage::codec {

// Bounds of one block: what damaged bytes can make a reader allocate. A cell is a bucket's count, span or bound in one sample: 32 MiB.
inline constexpr std::size_t histogram_block_samples_max = 8192;
inline constexpr std::size_t histogram_block_cells_max = 4u << 20;

// Appends one block of the first samples of `samples`; returns how many it took, at least one of a series that is not empty.
std::size_t encode_histograms(std::span<const model::HistogramSample> samples, std::string& out);

// Appends the samples of one block. Fails: corrupt (a damaged block), unsupported (a newer version).
Status decode_histograms(std::string_view bytes, std::vector<model::HistogramSample>& out);

}  // namespace plumbline::storage::codec
