// What RocksDB takes on trust in a table file, its own or one of ours, looked at before it does:
// - The end says where the index is, in what format and under which checksums, and no checksum covers it. Memory is asked for an index
//   of whatever size stands there; a format that is too old decodes compressed blocks wrongly.
// - The block of properties is decoded before its checksum is looked at, and a table whose properties do not read is opened without
//   them, which misreads its index. One flipped bit in that block ends the process: an assertion of the library as Debian builds it.
// Every other block is verified before it is decoded.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace rocksdb {
class FileSystem;
}

namespace plumbline::storage::kv {

inline constexpr std::size_t table_footer_bytes = 53;  // checksum type, 40 bytes of handles, version, magic: versions 1 to 5
inline constexpr std::size_t block_trailer_bytes = 5;  // type of compression, checksum
inline constexpr std::uint8_t table_checksums = 4;     // RocksDB's kXXH3: of every table that Plumbline writes
inline constexpr std::uint32_t table_format = 5;       // likewise

struct BlockHandle {
  std::uint64_t at = 0, bytes = 0;  // without the trailer
};
struct TableFooter {
  std::uint8_t checksums = 0;
  std::uint32_t format = 0;
  BlockHandle metaindex, index;
};
// The last bytes of a file; none: no table ends so. Handles that do not decode lie outside of every file. Pure.
std::optional<TableFooter> decode_table_footer(std::string_view end);
// A block with its trailer: whether it is what its checksum says. Pure.
bool block_verifies(std::string_view block);
// The keys and values of a block of properties or handles, without its trailer, until `visit` says false or one does not decode. Pure.
void visit_block(std::string_view block, const std::function<bool(std::string_view key, std::string_view value)>& visit);

// `disk` (null: the plain one), on which a table opens when its end and its properties are sound: whoever opens it, and whenever, fails
// with Corruption otherwise. Files that nothing names are not looked at: a power cut may have torn them.
std::shared_ptr<rocksdb::FileSystem> with_judged_tables(const std::shared_ptr<rocksdb::FileSystem>& disk);

}  // namespace plumbline::storage::kv
