// A column of strings as bytes. Four forms: constant; a dictionary with bit-packed indexes; lowercase hex packed two digits
// to the byte (trace and span ids); plain lengths and bytes. Compression of the whole column is the caller's (column.hpp).
//
// Pure functions. Strings are bytes: any content, embedded zeros included.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/bytes.hpp"

namespace plumbline::storage::codec {

void encode_strings(ByteWriter& out, std::span<const std::string_view> values);
// Appends `count` strings, together at most `bytes_max`. False when the bytes end early, make no sense or inflate past it.
bool decode_strings(ByteReader& in, std::size_t count, std::size_t bytes_max, std::vector<std::string>& out);

}  // namespace plumbline::storage::codec
