// Chunks as format 1 kept them, one RocksDB value each: read when a directory of that format is upgraded, never written.
// The bytes are specified in storage/format/legacy_v1.md.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::storage::series {

struct LegacyChunkKey {
  std::uint32_t day = 0;
  std::uint32_t series = 0;
  std::int64_t min_t = 0;
  std::uint64_t seal = 0;
};
Result<LegacyChunkKey> parse_legacy_chunk_key(std::string_view key);
// Appends every sample. Verifies the checksum and that the chunk is the series' that its key names.
Status decode_legacy_chunk(std::uint32_t series, std::string_view value, std::vector<model::Sample>& out);

}  // namespace plumbline::storage::series
