#include "storage/codec/column_ints.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace plumbline::storage::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "the bit packer reads and writes words as they stand in memory");

enum Mode : std::uint8_t { constant = 0, offsets = 1, differences = 2 };

// Exponents of the divisors that are tried: the steps between ns, us, ms and s.
constexpr std::array<std::uint8_t, 4> scale_exponents{9, 6, 3, 0};
constexpr std::uint64_t power_of_ten(std::uint8_t exponent) {
  std::uint64_t p = 1;
  while (exponent-- > 0) p *= 10;
  return p;
}

std::uint64_t bits(std::int64_t v) { return static_cast<std::uint64_t>(v); }
std::int64_t sum(std::int64_t a, std::int64_t b) { return static_cast<std::int64_t>(bits(a) + bits(b)); }
std::int64_t difference(std::int64_t a, std::int64_t b) { return static_cast<std::int64_t>(bits(a) - bits(b)); }

std::uint8_t common_scale(std::span<const std::int64_t> values) {
  std::size_t at = 0;
  for (const std::int64_t v : values) {
    std::int64_t d = 0;
    if (__builtin_sub_overflow(v, values[0], &d)) return 0;
    while (scale_exponents[at] != 0 && d % static_cast<std::int64_t>(power_of_ten(scale_exponents[at])) != 0) ++at;
    if (scale_exponents[at] == 0) return 0;
  }
  return scale_exponents[at];
}

void put_groups(ByteWriter& out, std::span<const std::int64_t> values) {
  std::array<std::uint64_t, int_group> packed{};
  while (!values.empty()) {
    const auto group = values.first(std::min(values.size(), int_group));
    const auto [least, most] = std::minmax_element(group.begin(), group.end());
    const auto width = static_cast<unsigned>(std::bit_width(bits(*most) - bits(*least)));
    for (std::size_t i = 0; i < group.size(); ++i) packed[i] = bits(group[i]) - bits(*least);
    out.zigzag(*least);
    out.u8(static_cast<std::uint8_t>(width));
    pack_bits(out, std::span(packed).first(group.size()), width);
    values = values.subspan(group.size());
  }
}

bool get_groups(ByteReader& in, std::size_t count, std::vector<std::int64_t>& out) {
  std::array<std::uint64_t, int_group> packed{};
  while (count > 0) {
    const std::size_t n = std::min(count, int_group);
    const std::int64_t least = in.zigzag();
    const unsigned width = in.u8();
    if (!in.ok() || width > 64 || !unpack_bits(in, std::span(packed).first(n), width)) return false;
    for (std::size_t i = 0; i < n; ++i) out.push_back(static_cast<std::int64_t>(packed[i] + bits(least)));
    count -= n;
  }
  return true;
}

}  // namespace

void pack_bits(ByteWriter& out, std::span<const std::uint64_t> values, unsigned width) {
  std::string bytes((values.size() * width + 7) / 8 + 9, '\0');  // 9: a value may touch nine bytes from its first
  std::size_t position = 0;
  for (const std::uint64_t v : values) {
    char* at = bytes.data() + position / 8;
    const unsigned shift = position % 8;
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    word |= v << shift;
    std::memcpy(at, &word, 8);
    if (shift + width > 64) at[8] = static_cast<char>(v >> (64 - shift));
    position += width;
  }
  out.raw(std::string_view(bytes).substr(0, bytes.size() - 9));
}

bool unpack_bits(ByteReader& in, std::span<std::uint64_t> values, unsigned width) {
  const std::string_view raw = in.raw((values.size() * width + 7) / 8);
  if (!in.ok()) return false;
  std::string bytes;
  bytes.reserve(raw.size() + 9);
  bytes.append(raw).append(9, '\0');
  const std::uint64_t mask = width == 64 ? ~0ull : (1ull << width) - 1;
  std::size_t position = 0;
  for (std::uint64_t& v : values) {
    const char* at = bytes.data() + position / 8;
    const unsigned shift = position % 8;
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    v = word >> shift;
    if (shift + width > 64) v |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(at[8])) << (64 - shift);
    v &= mask;
    position += width;
  }
  return true;
}

void encode_ints(ByteWriter& out, std::span<const std::int64_t> values) {
  if (values.empty()) return;
  const std::int64_t first = values[0];
  if (std::all_of(values.begin(), values.end(), [&](std::int64_t v) { return v == first; })) {
    out.u8(Mode::constant);
    out.zigzag(first);
    return;
  }
  const std::uint8_t exponent = common_scale(values);
  const auto divisor = static_cast<std::int64_t>(power_of_ten(exponent));
  std::vector<std::int64_t> steps;
  steps.reserve(values.size());
  for (const std::int64_t v : values) steps.push_back(difference(v, first) / divisor);
  ByteWriter by_offset;
  put_groups(by_offset, steps);
  for (std::size_t i = steps.size() - 1; i > 0; --i) steps[i] = difference(steps[i], steps[i - 1]);
  ByteWriter by_difference;
  put_groups(by_difference, std::span(steps).subspan(1));
  const bool differences = by_difference.size() < by_offset.size();
  out.u8(differences ? Mode::differences : Mode::offsets);
  out.u8(exponent);
  out.zigzag(first);
  out.raw(differences ? by_difference.str() : by_offset.str());
}

bool decode_ints(ByteReader& in, std::size_t count, std::vector<std::int64_t>& out) {
  if (count == 0) return true;
  const std::uint8_t mode = in.u8();
  if (mode == Mode::constant) {
    const std::int64_t value = in.zigzag();
    if (!in.ok()) return false;
    out.insert(out.end(), count, value);
    return true;
  }
  if (mode != Mode::offsets && mode != Mode::differences) return false;
  const std::uint8_t exponent = in.u8();
  const std::int64_t first = in.zigzag();
  if (!in.ok() || exponent > 9) return false;
  // Each group of 128 takes at least two bytes: a count that the input cannot hold is refused before it is allocated.
  if (count / int_group > in.left()) return false;
  const std::size_t begin = out.size();
  out.reserve(begin + count);
  if (mode == Mode::differences) out.push_back(0);
  if (!get_groups(in, mode == Mode::differences ? count - 1 : count, out)) return false;
  const std::uint64_t scale = power_of_ten(exponent);
  std::int64_t step = 0;
  for (std::size_t i = begin; i < out.size(); ++i) {
    step = mode == Mode::differences ? sum(step, out[i]) : out[i];
    out[i] = static_cast<std::int64_t>(bits(first) + bits(step) * scale);
  }
  return true;
}

}  // namespace plumbline::storage::codec
