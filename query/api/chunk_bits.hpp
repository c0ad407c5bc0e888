// Bits as Prometheus' chunks pack them (tsdb/docs/format/chunks.md): most significant first, integers in as few as they need.
#pragma once

#include <cstdint>
#include <string>

namespace plumbline::query {

// Threads: one. Borrows: the string that it appends to, whose last byte it fills up; nobody else appends meanwhile.
class BitWriter {
 public:
  explicit BitWriter(std::string& out) : out_(out) {}
  // The lowest n bits of v; n in 0..64.
  void write(std::uint64_t v, int n);
  // In bytes of seven bits, as encoding/binary has them.
  void uvarint(std::uint64_t v);
  void varint(std::int64_t v);
  // A prefix that names one of nine sizes, then that many bits.
  void varbit(std::int64_t v);
  void uvarbit(std::uint64_t v);

 private:
  std::string& out_;
  int free_ = 0;  // bits of the last byte
};

// Upstream's range of n bits has one negative number less and one positive more than two's complement.
inline bool fits_bits(std::int64_t v, int n) { return v > -(1ll << (n - 1)) && v <= 1ll << (n - 1); }

// Doubles of one field, sample after sample: each but the first as its difference from the one before.
class XorField {
 public:
  void first(BitWriter& out, double v);
  void next(BitWriter& out, double v);

 private:
  std::uint64_t before_ = 0;
  int leading_ = -1;  // none yet
  int trailing_ = 0;
};

}  // namespace plumbline::query
