#include "storage/series/summary_column.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>

namespace plumbline::storage::series {

namespace {

// Bits of a shape. min and max: 0 as first, 1 as last, 2 of its own.
constexpr std::uint8_t shape_stale = 1;
constexpr std::uint8_t shape_constant = 2;
constexpr int shape_min = 2;  // where its two bits begin
constexpr int shape_max = 4;
constexpr std::uint8_t shape_reset = 64;
constexpr std::uint8_t as_first = 0;
constexpr std::uint8_t as_last = 1;
constexpr std::uint8_t own = 2;

// Modes: numbers as bits, as decimals of mode - 1 digits, or none because every sample is a stale marker.
constexpr std::uint8_t mode_raw = 0;
constexpr std::uint8_t mode_sum_raw = 32;  // added to a decimal one
constexpr std::uint8_t mode_none = 31;
constexpr int digits_max = 14;
constexpr std::array<double, digits_max + 1> powers{1,   1e1, 1e2, 1e3,  1e4,  1e5,  1e6, 1e7,
                                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
constexpr double decimal_max = 9007199254740992.0;  // 2^53
constexpr double sum_max = 4.6e18;                  // below 2^62

bool same(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }
// What a derived sum may differ by. NaN equals NaN: which of several payloads a sum takes is not defined.
bool close(double derived, double value) {
  if (std::isnan(value)) return std::isnan(derived);
  return derived == value || std::fabs(derived - value) <= 1e-13 * std::fabs(value);
}

std::uint8_t where(double v, const ChunkSummary& s) {
  if (same(v, s.first)) return as_first;
  return same(v, s.last) ? as_last : own;
}

double of_decimal(std::int64_t m, int digits) { return static_cast<double>(m) / powers[static_cast<std::size_t>(digits)]; }

std::optional<std::int64_t> to_decimal(double v, int digits) {
  const double scaled = v * powers[static_cast<std::size_t>(digits)];
  if (!(std::fabs(scaled) < decimal_max)) return std::nullopt;
  const std::int64_t m = std::llrint(scaled);
  if (!same(of_decimal(m, digits), v)) return std::nullopt;
  return m;
}

// The trapezium under first and last. The bound of decimals keeps it inside i64 for chunks; for a bucket of thousands of samples it may
// wrap, to the same number when it is read.
std::int64_t expected_sum(std::int64_t first, std::int64_t last, std::uint32_t count) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(first + last) * count) / 2;
}

std::int64_t minus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
std::int64_t plus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

}  // namespace

void SummaryEncoder::add(const ChunkSummary& s, std::uint32_t samples) {
  std::uint8_t shape = s.has_stale ? shape_stale : 0;
  if (s.has_stale) stale_.varint(samples - s.count);
  if (s.count == 0) {
    shapes_.push_back(shape);
    modes_.push_back(mode_none);
    return;
  }
  const std::uint8_t min = where(s.min, s);
  const std::uint8_t max = where(s.max, s);
  if (same(s.first, s.last) && min == as_first && max == as_first && same(s.reset_correction, 0) &&
      close(s.first * s.count, s.sum))
    shape |= shape_constant;
  shape |= static_cast<std::uint8_t>(min << shape_min | max << shape_max);
  if (!same(s.reset_correction, 0)) shape |= shape_reset;
  shapes_.push_back(shape);
  if (!add_decimal(s, shape)) add_raw(s, shape);
}

void SummaryEncoder::add_raw(const ChunkSummary& s, std::uint8_t shape) {
  modes_.push_back(mode_raw);
  raw_.f64(s.first);
  if ((shape & shape_constant) != 0) return;
  raw_.f64(s.last);
  if ((shape >> shape_min & 3) == own) raw_.f64(s.min);
  if ((shape >> shape_max & 3) == own) raw_.f64(s.max);
  raw_.f64(s.sum);
  if ((shape & shape_reset) != 0) raw_.f64(s.reset_correction);
}

bool SummaryEncoder::add_decimal(const ChunkSummary& s, std::uint8_t shape) {
  for (int digits = 0; digits <= digits_max; ++digits) {
    if (!(std::fabs(s.first) * powers[static_cast<std::size_t>(digits)] < decimal_max)) return false;
    const auto first = to_decimal(s.first, digits);
    if (!first) continue;
    if ((shape & shape_constant) != 0) {
      modes_.push_back(static_cast<std::uint64_t>(digits) + 1);
      first_.zigzag(*first);
      return true;
    }
    const auto last = to_decimal(s.last, digits);
    const auto min = to_decimal(s.min, digits);
    const auto max = to_decimal(s.max, digits);
    if (!last || !min || !max) continue;
    const double scale = powers[static_cast<std::size_t>(digits)];
    std::int64_t reset = 0;
    if ((shape & shape_reset) != 0) {
      if (!(std::fabs(s.reset_correction * scale) < sum_max)) return false;
      reset = std::llrint(s.reset_correction * scale);
      if (!close(of_decimal(reset, digits), s.reset_correction)) return false;
    }
    bool sum_raw = !(std::fabs(s.sum * scale) < sum_max);
    const std::int64_t sum = sum_raw ? 0 : std::llrint(s.sum * scale);
    sum_raw = sum_raw || !close(of_decimal(sum, digits), s.sum);
    modes_.push_back(static_cast<std::uint64_t>(digits) + 1 + (sum_raw ? mode_sum_raw : 0));
    first_.zigzag(*first);
    last_.zigzag(*last - *first);
    if ((shape >> shape_min & 3) == own) low_.zigzag(*first - *min);
    if ((shape >> shape_max & 3) == own) high_.zigzag(*max - *first);
    if (sum_raw)
      raw_.f64(s.sum);
    else
      sum_.zigzag(minus(sum, expected_sum(*first, *last, s.count)));
    if ((shape & shape_reset) != 0) reset_.zigzag(reset);
    return true;
  }
  return false;
}

void SummaryEncoder::finish(ByteWriter& out) {
  put_column(out, shapes_);
  put_column(out, modes_);
  for (ByteWriter* column : {&stale_, &first_, &last_, &low_, &high_, &sum_, &reset_, &raw_}) {
    out.sized(column->str());
    *column = {};
  }
  shapes_.clear();
  modes_.clear();
}

Result<std::vector<ChunkSummary>> decode_summaries(NumberReader& in, std::span<const std::uint32_t> samples) {
  const auto shapes = get_column(in, samples.size());
  const auto modes = get_column(in, samples.size());
  const auto column = [&] { return NumberReader(in.raw(in.varint())); };
  NumberReader stale = column(), first = column(), last = column(), low = column(), high = column(), sum = column(),
               reset = column(), raw = column();
  std::vector<ChunkSummary> out(samples.size());
  bool sound = true;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    ChunkSummary& s = out[i];
    const std::uint64_t shape = shapes[i];
    s.has_stale = (shape & shape_stale) != 0;
    const std::uint64_t markers = s.has_stale ? stale.varint() : 0;
    if (shape >= 128 || markers > samples[i]) return fail(Code::corrupt, "summary that makes no sense");
    s.count = samples[i] - static_cast<std::uint32_t>(markers);
    if (modes[i] == mode_none) {
      s.first = s.last = s.min = s.max = std::numeric_limits<double>::quiet_NaN();
      sound = sound && s.count == 0;
      continue;
    }
    sound = sound && s.count > 0;
    const std::uint64_t min = shape >> shape_min & 3;
    const std::uint64_t max = shape >> shape_max & 3;
    const bool constant = (shape & shape_constant) != 0;
    if (modes[i] == mode_raw) {
      s.first = raw.f64();
      s.last = constant ? s.first : raw.f64();
      s.min = min == own ? raw.f64() : min == as_last ? s.last : s.first;
      s.max = max == own ? raw.f64() : max == as_last ? s.last : s.first;
      s.sum = constant ? s.first * s.count : raw.f64();
      if ((shape & shape_reset) != 0) s.reset_correction = raw.f64();
      continue;
    }
    const std::uint64_t digits = (modes[i] & 31) - 1;
    if (digits > digits_max || modes[i] > 63) return fail(Code::corrupt, "summary of an unknown mode");
    const int d = static_cast<int>(digits);
    const std::int64_t m = first.zigzag();
    s.first = of_decimal(m, d);
    if (constant) {
      s.last = s.min = s.max = s.first;
      s.sum = s.first * s.count;
      continue;
    }
    const std::int64_t n = plus(m, last.zigzag());
    // Keeps expected_sum() in range on bytes that no encoder wrote.
    constexpr auto most = static_cast<std::int64_t>(decimal_max);
    if (m <= -most || m >= most || n <= -most || n >= most) return fail(Code::corrupt, "summary out of range");
    s.last = of_decimal(n, d);
    s.min = min == own ? of_decimal(minus(m, low.zigzag()), d) : min == as_last ? s.last : s.first;
    s.max = max == own ? of_decimal(plus(m, high.zigzag()), d) : max == as_last ? s.last : s.first;
    s.sum = (modes[i] & mode_sum_raw) != 0 ? raw.f64() : of_decimal(plus(sum.zigzag(), expected_sum(m, n, s.count)), d);
    if ((shape & shape_reset) != 0) s.reset_correction = of_decimal(reset.zigzag(), d);
  }
  for (const NumberReader* c : {&stale, &first, &last, &low, &high, &sum, &reset, &raw})
    sound = sound && c->ok() && c->left() == 0;
  if (!sound || !in.ok()) return fail(Code::corrupt, "summaries that make no sense");
  return out;
}

}  // namespace plumbline::storage::series
