// A column of f64 as bytes. Four forms, the smallest wins: constant; decimals (v = m / 10^e with m an exact integer, so
// that 12.34 costs what 1234 costs); a dictionary of at most 256 bit patterns; byte planes, each constant, raw or zstd.
//
// Pure functions, bit-exact for every double: equality is of bits, so NaN payloads and -0.0 survive every form.
#pragma once

#include <span>
#include <vector>

#include "daemon/base/bytes.hpp"

namespace plumbline::storage::codec {

void encode_floats(ByteWriter& out, std::span<const double> values);
// Appends `count` values. False when the bytes end early or make no sense.
bool decode_floats(ByteReader& in, std::size_t count, std::vector<double>& out);

}  // namespace plumbline::storage::codec
