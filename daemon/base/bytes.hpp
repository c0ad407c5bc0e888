// Bounded reading and writing of binary records. Fixed-width integers are big-endian where order matters (keys: be_*),
// little-endian elsewhere (le_*). The reader never reads past its end: a short input turns ok() false and yields zeros.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace plumbline {

class ByteWriter {
 public:
  void u8(std::uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void be16(std::uint16_t v) { be(v, 2); }
  void be32(std::uint32_t v) { be(v, 4); }
  void be64(std::uint64_t v) { be(v, 8); }
  // Order-preserving for signed values: the sign bit is flipped.
  void be_i64(std::int64_t v) { be64(static_cast<std::uint64_t>(v) ^ (1ull << 63)); }
  void le32(std::uint32_t v) { le(v, 4); }
  void le64(std::uint64_t v) { le(v, 8); }
  void f64(double v) { le64(std::bit_cast<std::uint64_t>(v)); }
  void varint(std::uint64_t v);
  void zigzag(std::int64_t v) {
    varint((static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63));
  }
  void raw(std::string_view bytes) { out_.append(bytes); }
  void sized(std::string_view bytes) {  // varint length, then the bytes
    varint(bytes.size());
    raw(bytes);
  }
  std::size_t size() const { return out_.size(); }
  const std::string& str() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void be(std::uint64_t v, int n) {
    for (int i = n - 1; i >= 0; --i) u8(static_cast<std::uint8_t>(v >> (8 * i)));
  }
  void le(std::uint64_t v, int n) {
    for (int i = 0; i < n; ++i) u8(static_cast<std::uint8_t>(v >> (8 * i)));
  }
  std::string out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}
  bool ok() const { return ok_; }
  bool done() const { return at_ == end_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  std::uint8_t u8() {
    if (at_ == end_) {
      ok_ = false;
      return 0;
    }
    return static_cast<std::uint8_t>(*at_++);
  }
  std::uint16_t be16() { return static_cast<std::uint16_t>(be(2)); }
  std::uint32_t be32() { return static_cast<std::uint32_t>(be(4)); }
  std::uint64_t be64() { return be(8); }
  std::int64_t be_i64() { return static_cast<std::int64_t>(be64() ^ (1ull << 63)); }
  std::uint32_t le32() { return static_cast<std::uint32_t>(le(4)); }
  std::uint64_t le64() {
    if (left() < 8) {
      ok_ = false;
      at_ = end_;
      return 0;
    }
    std::uint64_t v = 0;
    std::memcpy(&v, at_, 8);
    at_ += 8;
    if constexpr (std::endian::native == std::endian::big) v = __builtin_bswap64(v);
    return v;
  }
  double f64() { return std::bit_cast<double>(le64()); }
  std::uint64_t varint() {
    if (at_ != end_ && static_cast<std::uint8_t>(*at_) < 0x80) return static_cast<std::uint8_t>(*at_++);
    return long_varint();
  }
  std::int64_t zigzag() {
    const std::uint64_t v = varint();
    return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
  }
  std::string_view raw(std::size_t n);
  std::string_view sized() { return raw(varint()); }

 private:
  std::uint64_t long_varint();
  std::uint64_t be(std::size_t n);
  std::uint64_t le(std::size_t n);
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

// CRC-32C (Castagnoli), for records that RocksDB does not already protect.
std::uint32_t crc32c(std::string_view bytes);
// XXH3-64.
std::uint64_t hash64(std::string_view bytes);
// XXH3-128 as 32 hex digits: the content hash of references.
std::string hash128_hex(std::string_view bytes);

}  // namespace plumbline
