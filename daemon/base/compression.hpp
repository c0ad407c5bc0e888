// Bounded decompression of foreign bytes: one limit on the inflated stream, checked before anything is allocated where
// the format declares its length (snappy, zstd), and while inflating where it does not (gzip, deflate).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "daemon/base/error.hpp"

namespace plumbline {

// Fails: invalid_input (truncated or damaged), too_large (over `bytes_max`).
Result<std::string> gunzip(std::string_view bytes, std::size_t bytes_max);   // gzip; several members in a row are fine
Result<std::string> inflate(std::string_view bytes, std::size_t bytes_max);  // zlib ("deflate" in HTTP)
Result<std::string> unsnappy(std::string_view bytes, std::size_t bytes_max);  // raw snappy block
// Into a buffer that the caller keeps for the next block; the answer is a view of it.
Result<std::string_view> unsnappy(std::string_view bytes, std::size_t bytes_max, std::string& buffer);
Result<std::string> unzstd(std::string_view bytes, std::size_t bytes_max);

std::string gzip(std::string_view bytes);
std::string snappy(std::string_view bytes);
std::string zstd(std::string_view bytes, int level = 1);

// By Content-Encoding: "", identity, gzip, deflate, snappy, zstd. Fails: unsupported for others, naming what would do.
Result<std::string> decode_content(std::string_view encoding, std::string_view bytes, std::size_t bytes_max);

}  // namespace plumbline
