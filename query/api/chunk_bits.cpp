#include "query/api/chunk_bits.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace plumbline::query {

namespace {

// Sizes of variable integers after a zero, which takes one bit; each prefix is a one longer than the one before.
constexpr std::array varbit_sizes = {3, 6, 9, 12, 18, 25, 56};

// The prefix of size number `i`: i + 1 ones and a zero; the last of all, of 64 bits, has no zero.
void write_prefix(BitWriter& out, std::size_t i) {
  const int ones = static_cast<int>(i) + 1;
  if (i == varbit_sizes.size()) return out.write((1u << ones) - 1, ones);
  out.write((1u << (ones + 1)) - 2, ones + 1);
}

}  // namespace

void BitWriter::write(std::uint64_t v, int n) {
  while (n > 0) {
    if (free_ == 0) {
      out_.push_back(0);
      free_ = 8;
    }
    const int take = n < free_ ? n : free_;
    const auto part = static_cast<unsigned>(v >> (n - take)) & ((1u << take) - 1);
    out_.back() = static_cast<char>(static_cast<unsigned char>(out_.back()) | part << (free_ - take));
    free_ -= take;
    n -= take;
  }
}

void BitWriter::uvarint(std::uint64_t v) {
  for (; v >= 0x80; v >>= 7) write(v | 0x80, 8);
  write(v, 8);
}

void BitWriter::varint(std::int64_t v) { uvarint(static_cast<std::uint64_t>(v) << 1 ^ static_cast<std::uint64_t>(v >> 63)); }

void BitWriter::varbit(std::int64_t v) {
  if (v == 0) return write(0, 1);
  const auto size = std::ranges::find_if(varbit_sizes, [&](int n) { return fits_bits(v, n); });
  write_prefix(*this, static_cast<std::size_t>(size - varbit_sizes.begin()));
  write(static_cast<std::uint64_t>(v), size == varbit_sizes.end() ? 64 : *size);
}

void BitWriter::uvarbit(std::uint64_t v) {
  if (v == 0) return write(0, 1);
  const auto size = std::ranges::find_if(varbit_sizes, [&](int n) { return std::cmp_less_equal(std::bit_width(v), n); });
  write_prefix(*this, static_cast<std::size_t>(size - varbit_sizes.begin()));
  write(v, size == varbit_sizes.end() ? 64 : *size);
}

void XorField::first(BitWriter& out, double v) {
  before_ = std::bit_cast<std::uint64_t>(v);
  out.write(before_, 64);
}

void XorField::next(BitWriter& out, double v) {
  const auto bits = std::bit_cast<std::uint64_t>(v);
  const std::uint64_t changed = bits ^ before_;
  before_ = bits;
  if (changed == 0) return out.write(0, 1);
  out.write(1, 1);
  // Five bits hold the leading zeros.
  const int leading = std::min(std::countl_zero(changed), 31);
  const int trailing = std::countr_zero(changed);
  if (leading_ >= 0 && leading >= leading_ && trailing >= trailing_) {
    out.write(0, 1);
    return out.write(changed >> trailing_, 64 - leading_ - trailing_);
  }
  leading_ = leading;
  trailing_ = trailing;
  const int significant = 64 - leading - trailing;
  out.write(1, 1);
  out.write(static_cast<std::uint64_t>(leading), 5);
  out.write(static_cast<std::uint64_t>(significant), 6);  // 64 is written as 0
  out.write(changed >> trailing, significant);
}

}  // namespace plumbline::query
