// A sealed block: rows of one stream and one UTC day, sorted by time, a typed column per field. Byte layout and a worked
// example: storage/format/event_block.md.
//
// The header carries everything a reader needs to decide what to decode (types, least and greatest, word filters); each
// column has its own checksum, so that a projection reads and verifies only what it asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/codec/column.hpp"
#include "storage/model/event.hpp"
#include "storage/storage.hpp"

namespace plumbline::storage::events {

inline constexpr std::uint8_t block_version = 1;
inline constexpr std::size_t block_rows_max = 8192;
inline constexpr std::size_t block_raw_max = 2u << 20;   // bytes of the rows in the head; a larger row has a block alone
inline constexpr std::size_t block_cells_max = 1u << 20;  // rows x columns: 40 MiB when a scan wants all of them

struct BlockColumn {
  std::string_view name;
  codec::TypeSet types = 0;
  std::string_view bytes;
  std::uint32_t crc = 0;
  std::optional<std::pair<std::int64_t, std::int64_t>> ints;
  std::optional<std::pair<double, double>> floats;
  std::optional<std::string_view> filter;  // absent: the column may hold any word
};

// `times` is sorted and not empty; every column has as many values.
std::string build_block(EventKind kind, const Labels& stream, std::span<const std::int64_t> times,
                        std::span<const Column> columns);

enum class Verify { yes, no };  // no: only for fuzzing the decoders behind the checksums

// Borrows the bytes it was opened on.
class BlockView {
 public:
  // Checks the frame, the header's checksum and all sizes. Fails: corrupt; unsupported for a newer version.
  static Result<BlockView> open(std::string_view bytes, Verify verify = Verify::yes);

  EventKind kind() const { return kind_; }
  const Labels& stream() const { return stream_; }
  std::size_t rows() const { return rows_; }
  std::int64_t min_time() const { return min_time_; }
  std::int64_t max_time() const { return max_time_; }
  std::span<const BlockColumn> columns() const { return columns_; }
  const BlockColumn* find(std::string_view name) const;

  Result<std::vector<std::int64_t>> times() const;
  // Appends the values of rows [first, last). Fails: corrupt, naming the column.
  Status decode(const BlockColumn& column, std::size_t first, std::size_t last, std::vector<model::Value>& out) const;
  // False: no string in that column has `text` as a whole word or words (see ScanHint).
  bool may_contain_words(std::string_view column, std::string_view text) const;

 private:
  Verify verify_ = Verify::yes;
  EventKind kind_ = EventKind::log;
  Labels stream_;
  std::size_t rows_ = 0;
  std::int64_t min_time_ = 0;
  std::int64_t max_time_ = 0;
  std::string_view times_;
  std::uint32_t times_crc_ = 0;
  std::vector<BlockColumn> columns_;
};

// The entry point of the fuzzer: opens any bytes and decodes every column, with and without checksums. Never crashes.
void fuzz_block(std::string_view bytes);

}  // namespace plumbline::storage::events
