#include "storage/codec/column_floats.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "daemon/base/compression.hpp"
#include "storage/codec/column_ints.hpp"

namespace plumbline::storage::codec {
namespace {

enum Form : std::uint8_t { constant = 0, decimals = 1, dictionary = 2, planes = 3 };
enum Plane : std::uint8_t { plane_constant = 0, plane_raw = 1, plane_zstd = 2 };

constexpr std::size_t dictionary_max = 256;  // an index then fits a byte; more distinct values repeat too seldom to win
constexpr std::uint8_t exponent_max = 15;    // 15 significant digits always survive decimal -> double -> decimal
constexpr double mantissa_max = 9007199254740992.0;  // 2^53: up to here every integer is a double
constexpr std::array<double, exponent_max + 1> tens{1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

std::uint64_t bits_of(double v) { return std::bit_cast<std::uint64_t>(v); }

// m with m / 10^exponent having exactly v's bits: both operands are exact, so the quotient is the double nearest to the
// decimal, which is what parsing its text gives. Not for NaN, infinities and -0.0.
std::optional<std::int64_t> mantissa(double v, std::uint8_t exponent) {
  const double scaled = v * tens[exponent];
  if (!(std::fabs(scaled) < mantissa_max)) return std::nullopt;
  const double rounded = std::nearbyint(scaled);
  if (bits_of(rounded / tens[exponent]) != bits_of(v) || (rounded == 0 && std::signbit(v))) return std::nullopt;
  return static_cast<std::int64_t>(rounded);
}

std::optional<std::uint8_t> least_exponent(double v) {
  for (std::uint8_t e = 0; e <= exponent_max; ++e)
    if (mantissa(v, e)) return e;
  return std::nullopt;
}

// Refused early when a sample of 32 shows that more than a quarter of the values are no short decimals.
bool looks_decimal(std::span<const double> values) {
  const std::size_t step = std::max<std::size_t>(1, values.size() / 32);
  std::size_t seen = 0;
  std::size_t good = 0;
  for (std::size_t i = 0; i < values.size(); i += step) {
    ++seen;
    if (least_exponent(values[i])) ++good;
  }
  return good * 4 >= seen * 3;
}

bool put_decimals(ByteWriter& out, std::span<const double> values) {
  if (!looks_decimal(values)) return false;
  // The exponent that all but a 64th of the decimals need; the rest become exceptions.
  std::array<std::size_t, exponent_max + 1> needed{};
  std::size_t decimal = 0;
  for (const double v : values)
    if (const auto e = least_exponent(v)) {
      ++needed[*e];
      ++decimal;
    }
  if (decimal == 0) return false;
  std::uint8_t exponent = exponent_max;
  for (std::size_t above = 0; exponent > 0; --exponent) {
    above += needed[exponent];
    if (above > decimal / 64) break;
  }
  std::vector<std::int64_t> mantissas;
  mantissas.reserve(values.size());
  ByteWriter exceptions;
  std::size_t count = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (const auto m = mantissa(values[i], exponent)) {
      mantissas.push_back(*m);
      continue;
    }
    mantissas.push_back(mantissas.empty() ? 0 : mantissas.back());
    exceptions.varint(i - last);
    exceptions.le64(bits_of(values[i]));
    last = i;
    ++count;
  }
  out.u8(Form::decimals);
  out.u8(exponent);
  out.varint(count);
  out.raw(exceptions.str());
  encode_ints(out, mantissas);
  return true;
}

bool get_decimals(ByteReader& in, std::size_t count, std::vector<double>& out) {
  const std::uint8_t exponent = in.u8();
  const std::uint64_t exceptions = in.varint();
  if (!in.ok() || exponent > exponent_max || exceptions > count || exceptions > in.left() / 9) return false;
  std::vector<std::pair<std::size_t, double>> replaced;
  replaced.reserve(exceptions);
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < exceptions; ++i) {
    const std::uint64_t gap = in.varint();
    const double v = in.f64();
    if (!in.ok() || gap >= count - at) return false;
    at += gap;
    replaced.emplace_back(at, v);
  }
  std::vector<std::int64_t> mantissas;
  if (!decode_ints(in, count, mantissas)) return false;
  const std::size_t begin = out.size();
  for (const std::int64_t m : mantissas) out.push_back(static_cast<double>(m) / tens[exponent]);
  for (const auto& [index, v] : replaced) out[begin + index] = v;
  return true;
}

bool put_dictionary(ByteWriter& out, std::span<const double> values) {
  if (values.size() < 16) return false;
  std::unordered_map<std::uint64_t, std::uint64_t> index_of;
  std::vector<std::uint64_t> indexes;
  std::vector<std::uint64_t> entries;
  indexes.reserve(values.size());
  for (const double v : values) {
    const auto [at, added] = index_of.try_emplace(bits_of(v), entries.size());
    if (added) entries.push_back(bits_of(v));
    if (entries.size() > std::min(dictionary_max, values.size() / 2)) return false;
    indexes.push_back(at->second);
  }
  out.u8(Form::dictionary);
  out.varint(entries.size());
  for (const std::uint64_t e : entries) out.le64(e);
  pack_bits(out, indexes, static_cast<unsigned>(std::bit_width(entries.size() - 1)));
  return true;
}

bool get_dictionary(ByteReader& in, std::size_t count, std::vector<double>& out) {
  const std::uint64_t size = in.varint();
  if (!in.ok() || size == 0 || size > dictionary_max || size > in.left() / 8) return false;
  std::vector<double> entries;
  for (std::uint64_t i = 0; i < size; ++i) entries.push_back(in.f64());
  const auto width = static_cast<unsigned>(std::bit_width(size - 1));
  if (width > 0 && count / 8 > in.left()) return false;  // before the indexes are allocated
  std::vector<std::uint64_t> indexes(count);
  if (!unpack_bits(in, indexes, width)) return false;
  for (const std::uint64_t i : indexes) {
    if (i >= size) return false;
    out.push_back(entries[i]);
  }
  return true;
}

// Plane k holds byte k of every value: signs and exponents come together and compress, and the zero low bytes of values
// that were f32 or small integers vanish.
void put_planes(ByteWriter& out, std::span<const double> values) {
  out.u8(Form::planes);
  std::string plane(values.size(), '\0');
  for (int k = 0; k < 8; ++k) {
    for (std::size_t i = 0; i < values.size(); ++i)
      plane[i] = static_cast<char>(static_cast<std::uint8_t>(bits_of(values[i]) >> (8 * k)));
    if (plane.find_first_not_of(plane[0]) == std::string::npos) {
      out.u8(Plane::plane_constant);
      out.u8(static_cast<std::uint8_t>(plane[0]));
      continue;
    }
    const std::string packed = zstd(plane);
    if (packed.size() + packed.size() / 16 < plane.size()) {  // a gain below a sixteenth is not worth its decoding
      out.u8(Plane::plane_zstd);
      out.sized(packed);
    } else {
      out.u8(Plane::plane_raw);
      out.raw(plane);
    }
  }
}

bool get_planes(ByteReader& in, std::size_t count, std::vector<double>& out) {
  std::vector<std::uint64_t> words;
  for (int k = 0; k < 8; ++k) {
    std::string inflated;
    std::string_view plane;
    switch (in.u8()) {
      case Plane::plane_constant: {
        const std::uint64_t byte = in.u8();
        words.resize(count);
        for (std::uint64_t& w : words) w |= byte << (8 * k);
        continue;
      }
      case Plane::plane_raw: plane = in.raw(count); break;
      case Plane::plane_zstd: {
        Result<std::string> unpacked = unzstd(in.sized(), count);
        if (!unpacked) return false;
        inflated = std::move(*unpacked);
        plane = inflated;
        break;
      }
      default: return false;
    }
    if (!in.ok() || plane.size() != count) return false;
    words.resize(count);
    for (std::size_t i = 0; i < count; ++i)
      words[i] |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(plane[i])) << (8 * k);
  }
  if (!in.ok()) return false;
  for (const std::uint64_t w : words) out.push_back(std::bit_cast<double>(w));
  return true;
}

}  // namespace

void encode_floats(ByteWriter& out, std::span<const double> values) {
  if (values.empty()) return;
  const std::uint64_t first = bits_of(values[0]);
  if (std::all_of(values.begin(), values.end(), [&](double v) { return bits_of(v) == first; })) {
    out.u8(Form::constant);
    out.le64(first);
    return;
  }
  ByteWriter best;
  bool found = put_decimals(best, values);
  ByteWriter by_dictionary;
  if (put_dictionary(by_dictionary, values) && (!found || by_dictionary.size() < best.size())) {
    best = std::move(by_dictionary);
    found = true;
  }
  // Planes are tried only where the others cost four bytes or more per value: below that they cannot be much smaller.
  if (!found || best.size() >= values.size() * 4) {
    ByteWriter by_planes;
    put_planes(by_planes, values);
    if (!found || by_planes.size() < best.size()) best = std::move(by_planes);
  }
  out.raw(best.str());
}

bool decode_floats(ByteReader& in, std::size_t count, std::vector<double>& out) {
  if (count == 0) return true;
  switch (in.u8()) {
    case Form::constant: {
      const double v = in.f64();
      if (!in.ok()) return false;
      out.insert(out.end(), count, v);
      return true;
    }
    case Form::decimals: return get_decimals(in, count, out);
    case Form::dictionary: return get_dictionary(in, count, out);
    case Form::planes: return get_planes(in, count, out);
    default: return false;
  }
}

}  // namespace plumbline::storage::codec
