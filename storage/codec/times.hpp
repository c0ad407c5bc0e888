// The timestamps of one chunk as bytes, made for being stored once and shared by every series of a scrape: a
// regular grid costs a few bytes, jitter on a grid little more than its entropy. The bytes are specified in
// storage/format/value_group.md.
//
// Pure functions. Any i64 in any order comes back; sorted times near a grid are what is small.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "daemon/base/error.hpp"

namespace plumbline::storage::codec {

// Appends.
void encode_times(std::span<const std::int64_t> times, std::string& out);
// Fills `out`, which must be as long as what was encoded. Fails: corrupt, when it is not or the bytes make no
// sense. Memory: a fixed scratch; the bytes cannot ask for more.
Status decode_times(std::string_view bytes, std::span<std::int64_t> out);

}  // namespace plumbline::storage::codec
