// How the records of a segment are framed and keyed: storage/format/segment.md. Internal to the segment's files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <roaring/roaring.hh>

#include "daemon/base/bytes.hpp"
#include "daemon/base/error.hpp"
#include "storage/series/segment.hpp"

namespace plumbline::storage::series {

// What only a segment with histograms has is of version 2, so that an older reader says that it is too old.
inline constexpr std::uint8_t segment_version = 1;
inline constexpr std::uint8_t segment_version_histograms = 2;
enum class Record : std::uint8_t { info = 0, times = 1, directory = 2, payload = 3, histograms = 4, tier_info = 5, tier_buckets = 6 };
std::string_view name_of(Record record);

// Record numbers ascend with vshards, so keys ascend as they are written. The info record stands last.
std::string record_key(std::uint16_t vshard, std::uint32_t number);
std::string info_key();

// Version, kind, body, CRC-32C.
std::string frame_record(Record kind, std::string_view body, std::uint8_t version = segment_version);
// The body. Fails: corrupt, unsupported.
Result<std::string_view> unframe_record(Record kind, std::string_view value);

// Body bytes as they are or as zstd, whichever is smaller, with one byte that says so.
std::string pack(std::string_view bytes);
Result<std::string> unpack(std::string_view bytes);

// ByteReader with a short way for the small numbers that columns consist of. Never reads past its end.
class NumberReader {
 public:
  explicit NumberReader(std::string_view bytes)
      : at_(reinterpret_cast<const std::uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}
  bool ok() const { return ok_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  std::uint8_t u8() {
    if (at_ < end_) return *at_++;
    ok_ = false;
    return 0;
  }
  std::uint64_t varint() {
    if (at_ < end_ && *at_ < 0x80) return *at_++;
    return long_varint();
  }
  std::int64_t zigzag() {
    const std::uint64_t v = varint();
    return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
  }
  double f64();
  std::string_view raw(std::size_t n);

 private:
  std::uint64_t long_varint();
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool ok_ = true;
};

// A column of numbers: 0 and one varint when all are equal, else 1 and a varint each. Its length is known to both sides.
void put_column(ByteWriter& out, const std::vector<std::uint64_t>& column);
std::vector<std::uint64_t> get_column(NumberReader& in, std::size_t length);

struct GroupPlace {
  std::uint16_t first = 0;  // vshards
  std::uint16_t last = 0;
  std::uint32_t number = 0;  // of the directory record; the payload is the next
};
struct TimesPlace {
  std::uint16_t vshard = 0;
  std::uint32_t number = 0;
};
struct HistogramsPlace {
  std::uint16_t key_vshard = 0;
  std::uint32_t number = 0;
  std::uint16_t first = 0;  // vshards of its series
  std::uint16_t last = 0;
};
// The info record.
struct SegmentIndex {
  SegmentInfo info;  // without name and bytes
  std::vector<GroupPlace> groups;
  std::vector<TimesPlace> times;
  Roaring ids;
  std::vector<HistogramsPlace> histograms;
  Roaring histogram_ids;
};
std::string encode_index(const SegmentIndex& index);          // a body
Result<SegmentIndex> decode_index(std::string_view body);     // Fails: corrupt

// A times record: columns stored once, named by (ordinal of the record, column).
struct EncodedTimes {
  std::uint32_t count = 0;
  std::string bytes;
};
std::string encode_times_record(const std::vector<EncodedTimes>& columns);  // a body
struct TimesColumn {
  std::uint32_t count = 0;
  std::string_view bytes;
};
// Borrows: body. Fails: corrupt.
Result<std::vector<TimesColumn>> decode_times_record(std::string_view body);

}  // namespace plumbline::storage::series
