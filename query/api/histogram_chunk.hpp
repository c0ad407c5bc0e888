// Prometheus' two chunks of native histograms, of integers and of floats: what remote read streams to who takes chunks alone. The
// bytes are upstream's (tsdb/docs/format/chunks.md), bit for bit.
//
//   count u16 big-endian, flags (the first two bits: what is known of a reset before the chunk), then bits: zero threshold, schema,
//   spans of both sides, custom bounds; per sample time, count, zero count, sum and buckets. Integers: differences of differences
//   between samples, of buckets that are themselves differences between neighbours; floats: each XORed with the sample before.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "storage/model/histogram.hpp"

namespace plumbline::query {

// As upstream numbers the encodings, in its files and in prometheus.Chunk.
inline constexpr int chunk_encoding_histogram = 2;
inline constexpr int chunk_encoding_float_histogram = 3;

// How many of the first samples one chunk can hold, at most 120: those of one form and one layout, all gauges or all counters. To
// a reader a counter's chunk says that nothing was reset after its first sample, so a count that fell begins a chunk, as does a
// hint of a reset; ends of a series are in chunks of their own. `samples` is not empty, in ascending time. Threads: any.
std::size_t histogram_chunk_samples(std::span<const model::HistogramSample> samples);

// As many samples as histogram_chunk_samples() says of them, or fewer. Threads: any.
std::string encode_histogram_chunk(std::span<const model::HistogramSample> samples);

// Which of the two encodings a chunk that begins with this sample has.
int histogram_chunk_encoding(const model::Histogram& first);

}  // namespace plumbline::query
