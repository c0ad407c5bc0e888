#include "storage/codec/block16.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "storage/codec/decimal.hpp"

// A block is
//   u8  form: bits 0-1 kind, bit 2 differences (else values), bit 3 shifted, bits 4-7 exponent
//   constant: bits 2-5 of the form are the length of the zigzagged integer that follows; 8 means the double's
//   bits else: u8 width; u8 lengths of first (low four bits) and least; first and least, zigzagged, in so
//   many bytes; [u8 shift]; the values less `least`, shifted right, `width` bits each
namespace plumbline::storage::codec {
namespace {

static_assert(std::endian::native == std::endian::little,
              "words are read and written as they stand in memory");
static_assert(block_values_max == decimal::block);

using decimal::minus;
using decimal::unzigzag;
using decimal::zigzag;

enum Kind : std::uint8_t { constant = 0, decimals = 1, floats = 2 };
constexpr std::uint8_t differences = 0x04;
constexpr std::uint8_t shifted = 0x08;
constexpr int block_exponent_max = 15;  // four bits

// A hint: an exponent, or this and the number of blocks for which floats are not tried as decimals again.
constexpr std::uint8_t hint_floats = 0x80;
constexpr std::uint8_t float_blocks = 15;

std::uint64_t load(const std::uint8_t* at) {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  return word;
}
void store(std::uint8_t* at, std::uint64_t word) {
  std::memcpy(at, &word, 8);
}
unsigned byte_width(std::uint64_t v) {
  return static_cast<unsigned>(std::bit_width(v) + 7) / 8;
}
std::uint64_t low_bytes(std::uint64_t word, unsigned n) {
  return n >= 8 ? word : word & ((1ull << (8 * n)) - 1);
}

std::uint8_t* pack(const std::uint64_t* v, std::size_t n, unsigned width, std::uint8_t* out) {
  std::uint64_t word = 0;
  unsigned used = 0;
  for (std::size_t i = 0; i < n; ++i) {
    word |= v[i] << used;
    used += width;
    if (used >= 64) {
      store(out, word);
      out += 8;
      used -= 64;
      word = used == 0 ? 0 : v[i] >> (width - used);
    }
  }
  store(out, word);
  return out + (used + 7) / 8;
}

const std::uint8_t* unpack(const std::uint8_t* in, std::size_t n, unsigned width, std::uint64_t* v) {
  const std::uint64_t mask = width == 64 ? ~0ull : (1ull << width) - 1;
  std::size_t at = 0;
  if (width <= 56) {
    for (std::size_t i = 0; i < n; ++i, at += width) v[i] = (load(in + at / 8) >> (at % 8)) & mask;
  } else {
    for (std::size_t i = 0; i < n; ++i, at += width) {
      const unsigned shift = at % 8;
      std::uint64_t word = load(in + at / 8) >> shift;
      if (shift > 0) word |= static_cast<std::uint64_t>(in[at / 8 + 8]) << (64 - shift);
      v[i] = word & mask;
    }
  }
  return in + (n * width + 7) / 8;
}

// n >= 1 integers, as they are or as differences, whichever is narrower.
std::uint8_t* put_integers(const std::int64_t* m, std::size_t n, std::uint8_t form, std::uint8_t* out) {
  std::array<std::int64_t, block_values_max> steps;
  std::uint64_t any = 0;
  std::int64_t least = m[0];
  std::int64_t most = m[0];
  std::int64_t least_step = n > 1 ? minus(m[1], m[0]) : 0;
  std::int64_t most_step = least_step;
  for (std::size_t i = 1; i < n; ++i) {
    steps[i] = minus(m[i], m[i - 1]);
    any |= static_cast<std::uint64_t>(steps[i]);
    least = std::min(least, m[i]);
    most = std::max(most, m[i]);
    least_step = std::min(least_step, steps[i]);
    most_step = std::max(most_step, steps[i]);
  }
  const auto shift = static_cast<unsigned>(any == 0 ? 0 : std::countr_zero(any));
  const auto range = static_cast<std::uint64_t>(minus(most, least)) >> shift;
  const auto range_step = static_cast<std::uint64_t>(minus(most_step, least_step)) >> shift;
  std::array<std::uint64_t, block_values_max> packed;
  const bool by_difference = std::bit_width(range_step) <= std::bit_width(range);
  const auto width = static_cast<unsigned>(std::bit_width(by_difference ? range_step : range));
  std::size_t count = n;
  std::uint64_t first = 0;
  std::uint64_t base = 0;
  if (by_difference) {
    first = zigzag(m[0]);
    base = zigzag(least_step >> shift);
    count = n - 1;
    for (std::size_t i = 0; i < count; ++i)
      packed[i] = static_cast<std::uint64_t>(minus(steps[i + 1], least_step)) >> shift;
    form |= differences;
  } else {
    first = zigzag(least);
    for (std::size_t i = 0; i < n; ++i) packed[i] = static_cast<std::uint64_t>(minus(m[i], least)) >> shift;
  }
  if (shift > 0) form |= shifted;
  const unsigned first_bytes = byte_width(first);
  const unsigned base_bytes = byte_width(base);
  *out++ = form;
  *out++ = static_cast<std::uint8_t>(width);
  *out++ = static_cast<std::uint8_t>(first_bytes | base_bytes << 4);
  store(out, first);
  out += first_bytes;
  store(out, base);
  out += base_bytes;
  if (shift > 0) *out++ = static_cast<std::uint8_t>(shift);
  return pack(packed.data(), count, width, out);
}

const std::uint8_t* get_integers(const std::uint8_t* in, std::size_t n, std::uint8_t form, std::int64_t* m) {
  const unsigned width = *in++;
  const unsigned first_bytes = *in & 15;
  const unsigned base_bytes = *in >> 4;
  ++in;
  std::uint64_t value = static_cast<std::uint64_t>(unzigzag(low_bytes(load(in), first_bytes)));
  in += first_bytes;
  const std::uint64_t base = static_cast<std::uint64_t>(unzigzag(low_bytes(load(in), base_bytes)));
  in += base_bytes;
  const unsigned shift = (form & shifted) != 0 ? *in++ : 0;
  std::array<std::uint64_t, block_values_max> packed;
  if ((form & differences) != 0) {
    in = unpack(in, n - 1, width, packed.data());
    m[0] = static_cast<std::int64_t>(value);
    for (std::size_t i = 1; i < n; ++i)
      m[i] = static_cast<std::int64_t>(value += (packed[i - 1] + base) << shift);
  } else {
    in = unpack(in, n, width, packed.data());
    for (std::size_t i = 0; i < n; ++i) m[i] = static_cast<std::int64_t>(value + (packed[i] << shift));
  }
  return in;
}

// The exponent with which all 16 values (and their integers) are decimals, or -1.
int find_decimals(const double* v, std::int64_t* m, std::uint8_t hint) {
  int e = hint & 15;
  std::int64_t ignored = 0;
  // A series of decimals may turn to integers: three that are make the block worth a try.
  if (e > 0 && (decimal::from_double(v[0], 1, ignored) | decimal::from_double(v[7], 1, ignored) |
                decimal::from_double(v[15], 1, ignored)) == 0)
    e = 0;
  for (int tries = 0; tries < 4; ++tries) {
    if (decimal::from_block(v, e, m) == 0) return e;
    std::size_t i = 0;
    while (decimal::from_double(v[i], decimal::power(e), ignored) == 0) ++i;
    e = std::max(decimal::least_exponent(v[i], e + 1), -1);
    if (e < 0 || e > block_exponent_max) return -1;
  }
  return -1;
}

}  // namespace

std::size_t encode_block(std::span<const double> values, std::uint8_t* out, std::uint8_t& hint) {
  const std::size_t n = values.size();
  std::array<double, block_values_max> v;
  std::array<std::int64_t, block_values_max> m;
  if (n == block_values_max) {
    std::memcpy(v.data(), values.data(), sizeof v);
  } else {
    std::copy(values.begin(), values.end(), v.begin());
    std::fill(v.begin() + static_cast<std::ptrdiff_t>(n), v.end(), values[n - 1]);
  }
  std::uint64_t different = 0;
  for (std::size_t i = 0; i < block_values_max; ++i)
    different |= decimal::bits_of(v[i]) ^ decimal::bits_of(v[0]);
  if (different == 0) {
    std::uint64_t word = decimal::bits_of(v[0]);
    unsigned bytes = 8;
    if (decimal::from_double(v[0], 1, m[0]) == 0) {
      word = zigzag(m[0]);
      bytes = byte_width(word);
    }
    *out = static_cast<std::uint8_t>(Kind::constant | bytes << 2);
    store(out + 1, word);
    return 1 + bytes;
  }
  if ((hint & hint_floats) == 0 || hint == hint_floats) {
    const int e = find_decimals(v.data(), m.data(), hint & 15);
    if (e >= 0) {
      hint = static_cast<std::uint8_t>(e);
      return static_cast<std::size_t>(
          put_integers(m.data(), n, static_cast<std::uint8_t>(Kind::decimals | e << 4), out) - out);
    }
    hint = hint_floats | float_blocks;
  } else {
    --hint;
  }
  for (std::size_t i = 0; i < n; ++i) m[i] = decimal::ordered(std::bit_cast<std::int64_t>(v[i]));
  return static_cast<std::size_t>(put_integers(m.data(), n, Kind::floats, out) - out);
}

std::size_t encode_block(std::span<const double> values, std::uint8_t* out) {
  std::uint8_t hint = 0;
  return encode_block(values, out, hint);
}

std::size_t decode_block(const std::uint8_t* in, std::span<double> out) {
  const std::uint8_t form = *in;
  const auto kind = static_cast<Kind>(form & 3);
  if (kind == Kind::constant) {
    const unsigned bytes = form >> 2;
    const std::uint64_t word = load(in + 1);
    const double v =
        bytes == 8 ? std::bit_cast<double>(word) : static_cast<double>(unzigzag(low_bytes(word, bytes)));
    std::fill(out.begin(), out.end(), v);
    return 1 + bytes;
  }
  std::array<std::int64_t, block_values_max> m{};
  const std::uint8_t* const end = get_integers(in + 1, out.size(), form, m.data());
  if (kind == Kind::floats) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::bit_cast<double>(decimal::ordered(m[i]));
  } else if (out.size() == block_values_max) {
    decimal::to_block(m.data(), form >> 4, out.data());
  } else {
    std::array<double, block_values_max> v;
    decimal::to_block(m.data(), form >> 4, v.data());
    std::copy_n(v.begin(), out.size(), out.begin());
  }
  return static_cast<std::size_t>(end - in);
}

std::size_t encode_times_block(std::span<const std::int64_t> times, std::uint8_t* out) {
  return static_cast<std::size_t>(put_integers(times.data(), times.size(), 0, out) - out);
}

std::size_t decode_times_block(const std::uint8_t* in, std::span<std::int64_t> out) {
  return static_cast<std::size_t>(get_integers(in + 1, out.size(), *in, out.data()) - in);
}

}  // namespace plumbline::storage::codec
