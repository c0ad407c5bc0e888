#include "query/api/xor_chunk.hpp"

#include <algorithm>
#include <bit>

#include "daemon/base/check.hpp"

namespace plumbline::query {

namespace {

class Bits {
 public:
  explicit Bits(std::string& out) : out_(out) {}
  // The lowest n bits of v, most significant first; n in 0..64.
  void write(std::uint64_t v, int n) {
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
  void uvarint(std::uint64_t v) {
    for (; v >= 0x80; v >>= 7) write(v | 0x80, 8);
    write(v, 8);
  }
  void varint(std::int64_t v) { uvarint(static_cast<std::uint64_t>(v) << 1 ^ static_cast<std::uint64_t>(v >> 63)); }

 private:
  std::string& out_;
  int free_ = 0;  // bits of the last byte
};

// Upstream's range of n bits has one negative number less and one positive more than two's complement.
bool fits(std::int64_t v, int n) { return v > -(1ll << (n - 1)) && v <= 1ll << (n - 1); }

void write_step(Bits& out, std::int64_t dod) {
  if (dod == 0) return out.write(0, 1);
  struct Bucket {
    int bits;
    std::uint64_t prefix;
    int prefix_bits;
  };
  for (const Bucket b : {Bucket{14, 0b10, 2}, Bucket{17, 0b110, 3}, Bucket{20, 0b1110, 4}})
    if (fits(dod, b.bits)) {
      out.write(b.prefix, b.prefix_bits);
      return out.write(static_cast<std::uint64_t>(dod), b.bits);
    }
  out.write(0b1111, 4);
  out.write(static_cast<std::uint64_t>(dod), 64);
}

struct Window {
  int leading = 0xff;  // none yet
  int trailing = 0;
};

void write_value(Bits& out, std::uint64_t changed, Window& window) {
  if (changed == 0) return out.write(0, 1);
  out.write(1, 1);
  // Five bits hold the leading zeros.
  const int leading = std::min(std::countl_zero(changed), 31);
  const int trailing = std::countr_zero(changed);
  if (window.leading != 0xff && leading >= window.leading && trailing >= window.trailing) {
    out.write(0, 1);
    return out.write(changed >> window.trailing, 64 - window.leading - window.trailing);
  }
  window = {leading, trailing};
  const int significant = 64 - leading - trailing;
  out.write(1, 1);
  out.write(static_cast<std::uint64_t>(leading), 5);
  out.write(static_cast<std::uint64_t>(significant), 6);  // 64 is written as 0
  out.write(changed >> trailing, significant);
}

}  // namespace

std::string encode_xor_chunk(std::span<const model::Sample> samples) {
  PLUMBLINE_CHECK(!samples.empty() && samples.size() <= 0xffff, "a chunk has 1 to 65,535 samples");
  std::string bytes;
  bytes.push_back(static_cast<char>(samples.size() >> 8));
  bytes.push_back(static_cast<char>(samples.size()));
  Bits out(bytes);
  Window window;
  std::uint64_t delta = 0;  // unsigned: it wraps as upstream's does
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto bits = std::bit_cast<std::uint64_t>(samples[i].v);
    if (i == 0) {
      out.varint(samples[0].t);
      out.write(bits, 64);
      continue;
    }
    const std::uint64_t step = static_cast<std::uint64_t>(samples[i].t) - static_cast<std::uint64_t>(samples[i - 1].t);
    if (i == 1)
      out.uvarint(step);
    else
      write_step(out, static_cast<std::int64_t>(step - delta));
    write_value(out, bits ^ std::bit_cast<std::uint64_t>(samples[i - 1].v), window);
    delta = step;
  }
  return bytes;
}

}  // namespace plumbline::query
