// The bytes of journal files, pure. Specified with a worked example in storage/format/journal_file.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/error.hpp"

namespace plumbline::storage::journal {

inline constexpr std::uint32_t file_version = 2;
inline constexpr std::size_t frame_bytes = 24;  // in front of a record: crc, length, synced mark, sequence
inline constexpr std::size_t header_bytes = 40;
inline constexpr std::uint32_t record_bytes_max = 256u << 20;  // a request is at most 64 MiB inflated; checked before allocating

struct FileHeader {
  std::uint64_t first_sequence = 0;  // the first record's, whether there is one or not
  std::uint64_t previous_end = 0;    // how much of the file before counts: what is behind was never acknowledged
  std::uint64_t previous_first = 0;  // the first sequence of that file, which names it; 0: the journal begins here
  std::uint64_t previous_synced = 0;  // so much of it is durable; always all of it, but for files of version 1
  std::uint32_t version = file_version;
};
// Of this version.
std::string encode_header(const FileHeader& header);
// nullopt: the bytes are no whole header. Fails: unsupported (a newer version).
Result<std::optional<FileHeader>> decode_header(std::string_view bytes);

struct Frame {
  std::uint64_t sequence = 0;
  std::uint64_t synced = 0;  // of this file, when the record was written
  std::string_view record;
  std::size_t bytes() const { return frame_bytes + record.size(); }
};
// Fills the first frame_bytes of `framed`, behind which the record stands.
void seal_frame(std::string& framed, std::uint64_t sequence, std::uint64_t synced);
// The frame at the beginning of `bytes`, when a whole one verifies there.
std::optional<Frame> read_frame(std::string_view bytes);

}  // namespace plumbline::storage::journal
