// Upstream's readers of chunks, written from its format page (tsdb/docs/format/chunks.md) and apart from the encoders.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "storage/model/histogram.hpp"

namespace plumbline::test {

// Throws std::out_of_range at the end of the bytes.
class ChunkBits {
 public:
  ChunkBits(std::string_view bytes, std::size_t header) : bytes_(bytes), at_(header * 8) {}
  int bit() {
    const auto byte = static_cast<unsigned char>(bytes_.at(at_ / 8));
    return (byte >> (7 - at_++ % 8)) & 1;
  }
  std::uint64_t bits(int n) {
    std::uint64_t v = 0;
    while (n-- > 0) v = v << 1 | static_cast<std::uint64_t>(bit());
    return v;
  }
  double number() { return std::bit_cast<double>(bits(64)); }
  std::uint64_t uvarint() {
    std::uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      const std::uint64_t byte = bits(8);
      v |= (byte & 0x7f) << shift;
      if (byte < 0x80) return v;
    }
  }
  // The upper half of a size's range is negative, but for its lowest number.
  static std::uint64_t with_sign(std::uint64_t v, int size) {
    return size > 0 && size < 64 && v > (1ull << (size - 1)) ? v - (1ull << size) : v;
  }
  int varbit_size() {
    int size = 0;
    for (const int next : {3, 6, 9, 12, 18, 25, 56, 64}) {
      if (bit() == 0) break;
      size = next;
    }
    return size;
  }
  std::uint64_t uvarbit() { return bits(varbit_size()); }
  std::int64_t varbit() {
    const int size = varbit_size();
    return static_cast<std::int64_t>(with_sign(bits(size), size));
  }
  // Whether all that is left is the zeros that fill the last byte.
  bool at_end() {
    while (at_ % 8 != 0)
      if (bit() != 0) return false;
    return at_ / 8 == bytes_.size();
  }

 private:
  std::string_view bytes_;
  std::size_t at_;
};

// A double as its difference from the one before.
struct ChunkXor {
  std::uint64_t v = 0;
  int leading = 0, significant = 0;
  void next(ChunkBits& in) {
    if (in.bit() == 0) return;
    if (in.bit() != 0) {
      leading = static_cast<int>(in.bits(5));
      significant = static_cast<int>(in.bits(6));
      if (significant == 0) significant = 64;
    }
    v ^= in.bits(significant) << (64 - leading - significant);
  }
  double value() const { return std::bit_cast<double>(v); }
};

inline std::size_t chunk_count(std::string_view bytes) {
  return static_cast<unsigned char>(bytes.at(0)) * 256u + static_cast<unsigned char>(bytes.at(1));
}

inline std::vector<model::Sample> decode_xor_chunk(std::string_view bytes) {
  ChunkBits in(bytes, 2);
  std::vector<model::Sample> out;
  std::uint64_t t = 0, delta = 0;
  ChunkXor value;
  for (std::size_t i = 0; i < chunk_count(bytes); ++i) {
    if (i == 0) {
      const std::uint64_t z = in.uvarint();
      t = z >> 1 ^ -(z & 1);
      value.v = in.bits(64);
    } else {
      if (i == 1) {
        delta = in.uvarint();
      } else {
        int size = 0;
        if (in.bit() != 0) size = in.bit() == 0 ? 14 : in.bit() == 0 ? 17 : in.bit() == 0 ? 20 : 64;
        delta += ChunkBits::with_sign(in.bits(size), size);
      }
      t += delta;
      value.next(in);
    }
    out.push_back({static_cast<std::int64_t>(t), value.value()});
  }
  return out;
}

namespace chunk_reader {

inline double zero_threshold(ChunkBits& in) {
  const std::uint64_t first = in.bits(8);
  if (first == 0) return 0;
  return first == 255 ? in.number() : std::ldexp(0.5, static_cast<int>(first) - 243);
}

inline std::vector<model::BucketSpan> spans(ChunkBits& in) {
  std::vector<model::BucketSpan> out(in.uvarbit());
  for (model::BucketSpan& s : out) {
    s.length = static_cast<std::uint32_t>(in.uvarbit());
    s.offset = static_cast<std::int32_t>(in.varbit());
  }
  return out;
}

inline std::size_t buckets(const std::vector<model::BucketSpan>& spans) {
  std::size_t n = 0;
  for (const model::BucketSpan& s : spans) n += s.length;
  return n;
}

// One field of an integer chunk: a value, a difference, then differences of differences.
struct Integer {
  std::int64_t v = 0, delta = 0;
  void next(std::size_t i, std::int64_t read) {
    if (i == 0) {
      v = read;
      return;
    }
    delta += read;
    v += delta;
  }
};

}  // namespace chunk_reader

// Samples after the first one say that nothing was reset, unless they are gauges: upstream's reader says so.
inline std::vector<model::HistogramSample> decode_histogram_chunk(int encoding, std::string_view bytes) {
  using namespace chunk_reader;
  if (encoding != 2 && encoding != 3) throw std::invalid_argument("not a chunk of histograms");
  const unsigned flags = static_cast<unsigned char>(bytes.at(2)) >> 6;
  static constexpr model::ResetHint hints[] = {model::ResetHint::unknown, model::ResetHint::no_reset, model::ResetHint::reset,
                                               model::ResetHint::gauge};
  ChunkBits in(bytes, 3);
  model::HistogramLayout layout;
  layout.zero_threshold = zero_threshold(in);
  layout.schema = static_cast<int>(in.varbit());
  layout.positive_spans = spans(in);
  layout.negative_spans = spans(in);
  if (layout.schema == -53) {
    layout.custom_bounds.resize(in.uvarbit());
    for (double& bound : layout.custom_bounds) {
      const std::uint64_t thousandths = in.uvarbit();
      bound = thousandths == 0 ? in.number() : static_cast<double>(thousandths - 1) / 1000;
    }
  }
  const std::size_t positive = buckets(layout.positive_spans), sides = positive + buckets(layout.negative_spans);
  std::vector<model::HistogramSample> out;
  Integer t, count, zero;
  ChunkXor float_count, float_zero, sum;
  std::vector<Integer> integers(sides);
  std::vector<ChunkXor> floats(sides);
  for (std::size_t i = 0; i < chunk_count(bytes); ++i) {
    model::HistogramSample s;
    model::Histogram& h = s.h;
    h.layout = layout;
    h.is_integer = encoding == 2;
    h.reset = i == 0 || hints[flags] == model::ResetHint::gauge ? hints[flags] : model::ResetHint::no_reset;
    const auto read_xor = [&](ChunkXor& field) {
      if (i == 0)
        field.v = in.bits(64);
      else
        field.next(in);
      return field.value();
    };
    const auto read_count = [&](Integer& field) {
      field.next(i, i == 0 ? static_cast<std::int64_t>(in.uvarbit()) : in.varbit());
      return static_cast<double>(field.v);
    };
    t.next(i, in.varbit());
    s.t = t.v;
    h.count = h.is_integer ? read_count(count) : read_xor(float_count);
    h.zero_count = h.is_integer ? read_count(zero) : read_xor(float_zero);
    h.sum = read_xor(sum);
    std::int64_t before = 0;
    for (std::size_t b = 0; b < sides && !h.is_stale(); ++b) {
      if (b == positive) before = 0;
      double v = 0;
      if (h.is_integer) {
        integers[b].next(i, in.varbit());
        before += integers[b].v;
        v = static_cast<double>(before);
      } else {
        v = read_xor(floats[b]);
      }
      (b < positive ? h.positive : h.negative).push_back(v);
    }
    out.push_back(std::move(s));
  }
  if (!in.at_end()) throw std::invalid_argument("bytes after the last histogram");
  return out;
}

}  // namespace plumbline::test
