// Prometheus' XOR chunk: the one encoding that a remote-read client of any version decodes. Not what the store keeps (its
// codecs are storage/codec); the bytes are upstream's (tsdb/docs/format/chunks.md), bit for bit.
//
//   count u16 big-endian, then bits: t0 varint, v0 64 bits; delta uvarint, value; then delta-of-delta and value each.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "storage/model/sample.hpp"

namespace plumbline::query {

// What Prometheus puts into a chunk; clients size their buffers by it.
inline constexpr std::size_t xor_chunk_samples = 120;
// As upstream numbers its encodings; histograms' are in histogram_chunk.hpp.
inline constexpr int chunk_encoding_xor = 1;

// 1 to 65,535 samples in ascending time. Threads: any.
std::string encode_xor_chunk(std::span<const model::Sample> samples);

}  // namespace plumbline::query
