#include "storage/codec/group_column.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <tuple>

#include "storage/codec/decimal.hpp"
#include "storage/codec/tans.hpp"

namespace plumbline::storage::codec {
namespace {

using decimal::bits_of;
using decimal::block;
using decimal::least_exponent;
using decimal::minus;
using decimal::power;
using decimal::Rule;
using decimal::unzigzag;
using decimal::zigzag;

struct Guess {
  int exponent = 0;
  Rule rule = Rule::quotient;
  bool decimal = true;
};

// From a sample of sixteen: the exponent that those need which are decimals, and the rule by which most are.
Guess guess_decimals(std::span<const double> values, std::uint8_t last) {
  Guess guess;
  std::array<double, 16> sample;
  const std::size_t step = (values.size() + sample.size() - 1) / sample.size();
  std::size_t count = 0;
  for (std::size_t i = 0; i < values.size(); i += step)
    if (std::isfinite(values[i])) sample[count++] = values[i];
  const auto misses = [&](int e, Rule rule) {
    std::size_t n = 0;
    std::int64_t m = 0;
    for (std::size_t i = 0; i < count; ++i)
      n += decimal::from_double(sample[i], power(e), m, rule) != 0 ? 1 : 0;
    return n;
  };
  std::size_t missed = 0;
  int& e = guess.exponent;
  for (std::size_t i = 0; i < count && missed < 8; ++i) {
    std::int64_t m = 0;
    if (decimal::from_double(sample[i], power(e), m) == 0) continue;
    if (last > e && decimal::from_double(sample[i], power(last), m) == 0)
      e = last;
    else if (const int found = least_exponent(sample[i], e + 1); found > 0)
      e = found;
    else if (++missed > 3 && missed > i)
      break;
  }
  if (missed == 0) return guess;
  // Some are no decimals, or none at all: then by another rule, with the exponent of the others or of
  // milliseconds and so on.
  std::size_t least = misses(e, Rule::quotient);
  for (const int other : {e, 3, 6, 9}) {
    for (const Rule rule : {Rule::product, Rule::quotients}) {
      if (other == 0 || (rule == Rule::quotients && other <= 3)) continue;
      if (const std::size_t n = misses(other, rule); n < least) {
        least = n;
        guess = {other, rule, true};
      }
    }
  }
  guess.decimal = least * 4 <= count;
  return guess;
}

struct Run {
  std::size_t at;
  std::size_t length;
  std::uint64_t bits;
};

void write_exceptions(const std::vector<Run>& runs, std::string& out) {
  ByteWriter bytes;
  bytes.varint(runs.size());
  std::size_t last = 0;
  for (const Run& r : runs) {
    bytes.varint(r.at - last);
    bytes.varint(r.length);
    bytes.le64(r.bits);
    last = r.at + r.length;
  }
  out = bytes.take();
}

// Fills `integers`. False when the column is no decimal one.
bool to_decimals(std::span<const double> values, ColumnScratch& s, ColumnForm& form) {
  const Guess guess = guess_decimals(values, s.exponent);
  if (!guess.decimal) return false;
  const std::size_t n = values.size();
  int e = guess.exponent;
  const Rule rule = guess.rule;
  std::vector<Run> runs;
  for (std::size_t i = 0; i < n;) {
    if (i + block <= n && decimal::from_block(&values[i], e, &s.integers[i], rule) == 0) {
      i += block;
      continue;
    }
    const std::size_t end = std::min(n, i + block);
    bool again = false;
    for (; i < end; ++i) {
      const double v = values[i];
      if (decimal::from_double(v, power(e), s.integers[i], rule) == 0) continue;
      // Sixteen values that a greater exponent would not mend are enough to know that it is of no use.
      if (runs.size() < 16 && rule == Rule::quotient) {
        const int greater = least_exponent(v, e + 1);
        if (greater > 0) {
          e = greater;
          again = true;
          break;
        }
      }
      s.integers[i] = i > 0 ? s.integers[i - 1] : 0;
      if (!runs.empty() && runs.back().at + runs.back().length == i && runs.back().bits == bits_of(v))
        ++runs.back().length;
      else
        runs.push_back({i, 1, bits_of(v)});
      if (runs.size() > n / 8 + 2) return false;  // ten bytes each: floats are smaller
    }
    if (again) {  // from the start with the greater exponent; at most eighteen times, as it only grows
      runs.clear();
      i = 0;
    }
  }
  if (!runs.empty() &&
      runs[0].at == 0) {  // a column that begins with an exception begins at its first decimal
    const std::size_t good = runs[0].length < n ? runs[0].length : 0;
    std::size_t begin = good;
    for (std::size_t r = 1; r < runs.size() && runs[r].at == begin; ++r) begin += runs[r].length;
    if (begin >= n) return false;
    std::fill_n(s.integers.begin(), begin, s.integers[begin]);
  }
  form.has_exceptions = !runs.empty();
  if (form.has_exceptions) write_exceptions(runs, s.exceptions);
  form.exponent = static_cast<std::uint8_t>(e);
  form.rule = rule;
  s.exponent = form.exponent;
  return true;
}

// The greatest divisor of all differences: 4096 for a gauge in pages. Wrapped differences keep their trailing
// zeros only, so that `exact` (no difference overflows) decides whether odd divisors are looked for.
std::uint64_t common_divisor(std::span<const std::int64_t> m, bool exact) {
  std::uint64_t any = 0;
  for (std::size_t i = 1; i < m.size(); ++i) any |= static_cast<std::uint64_t>(minus(m[i], m[i - 1]));
  if (any == 0) return 1;
  const int zeros = std::countr_zero(any);
  if (!exact) return zeros == 63 ? 1 : 1ull << zeros;
  std::uint64_t odd = 0;
  for (std::size_t i = 1; i < m.size() && odd != 1; ++i) {
    const auto d = static_cast<std::uint64_t>(std::abs(m[i] - m[i - 1])) >> zeros;
    if (d != 0 && (odd == 0 || d % odd != 0)) odd = std::gcd(d, odd);
  }
  return odd << zeros;
}

// Divides every m - first exactly: by a shift and by the inverse of the odd part modulo 2^64.
void divide(std::span<std::int64_t> m, std::uint64_t divisor) {
  const std::int64_t first = m[0];
  const int zeros = std::countr_zero(divisor);
  const std::uint64_t odd = divisor >> zeros;
  std::uint64_t inverse = odd;
  for (int i = 0; i < 6; ++i) inverse *= 2 - odd * inverse;
  if (divisor == 1)
    for (std::int64_t& x : m) x = minus(x, first);
  else
    for (std::int64_t& x : m)
      x = static_cast<std::int64_t>(static_cast<std::uint64_t>(minus(x, first) >> zeros) * inverse);
}

struct Middle {
  std::int64_t low, median, high;  // quartiles of a sample
};
Middle middle_of(std::span<const std::int64_t> v) {
  std::array<std::int64_t, 31> sample{};
  const std::size_t step = v.size() / sample.size() + 1;
  std::size_t n = 0;
  for (std::size_t i = step / 2; i < v.size() && n < sample.size(); i += step) sample[n++] = v[i];
  if (n == 0) return {v[0], v[0], v[0]};
  std::sort(sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(n));
  return {sample[n / 4], sample[n / 2], sample[n * 3 / 4]};
}

// A center that outliers do not move far: the mean, unless it is away from where most of a sample lies.
std::int64_t center_of(std::span<const std::int64_t> v) {
  const Middle middle = middle_of(v);
  double sum = 0;
  for (const std::int64_t x : v) sum += static_cast<double>(minus(x, middle.median));
  const double offset = sum / static_cast<double>(v.size());
  const auto low = static_cast<double>(minus(middle.low, middle.median));
  const auto high = static_cast<double>(minus(middle.high, middle.median));
  if (!(offset >= low && offset <= high)) return middle.median;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(middle.median) +
                                   static_cast<std::uint64_t>(std::llrint(offset)));
}

struct Estimate {
  std::array<std::uint64_t, 3> bits{};
  std::uint64_t values = 0;  // that were looked at
};

// A cheap measure of how many bits residuals need, per order: of half the column, in stretches.
Estimate estimate(std::span<const std::int64_t> x) {
  Estimate out;
  constexpr std::size_t stretch = 32;
  const std::int64_t center = middle_of(x.subspan(1)).median;
  const std::int64_t mean_step = minus(x.back(), x.front()) / static_cast<std::int64_t>(x.size());
  for (std::size_t begin = 1; begin < x.size(); begin += 2 * stretch) {
    const std::size_t end = std::min(x.size(), begin + stretch);
    std::int64_t last = begin == 1 ? mean_step : minus(x[begin - 1], x[begin - 2]);
    out.values += end - begin;
    for (std::size_t i = begin; i < end; ++i) {
      const std::int64_t step = minus(x[i], x[i - 1]);
      out.bits[0] += static_cast<std::uint64_t>(std::bit_width(zigzag(minus(x[i], center))));
      out.bits[1] += static_cast<std::uint64_t>(std::bit_width(zigzag(minus(step, mean_step))));
      out.bits[2] += static_cast<std::uint64_t>(std::bit_width(zigzag(minus(step, last))));
      last = step;
    }
  }
  return out;
}

struct Choice {
  std::int64_t center = 0;
  bool is_signed = false;
};

// Into residuals, tokens and histogram. Returns their cost in 1/256 bits with a model of their own.
std::uint64_t make_residuals(std::span<const std::int64_t> x, int order, ColumnScratch& s, Choice& choice) {
  const std::size_t n = x.size() - 1;
  s.steps.resize(std::max(s.steps.size(), n));
  const std::span<std::int64_t> v(s.steps.data(), n);
  if (order == 0) {
    std::copy(x.begin() + 1, x.end(), v.begin());
  } else {
    for (std::size_t i = 0; i < n; ++i) v[i] = minus(x[i + 1], x[i]);
    if (order == 2) {
      choice.center = v[0];
      for (std::size_t i = n - 1; i > 0; --i) v[i] = minus(v[i], v[i - 1]);
      v[0] = 0;
    }
  }
  std::int64_t base = 0;
  if (order != 2) {
    std::int64_t least = v[0];
    std::int64_t most = v[0];
    for (const std::int64_t d : v) {
      least = std::min(least, d);
      most = std::max(most, d);
    }
    choice.is_signed = false;
    choice.center = 0;
    if (least < 0 || most >= 32) {
      choice.center = center_of(v);
      choice.is_signed = true;
      if (least >= 0) {  // bursts: mostly little above nought, where a sign would cost a bit
        std::uint64_t with_sign = 0;
        std::uint64_t without = 0;
        for (const std::int64_t d : v) {
          with_sign += static_cast<std::uint64_t>(std::bit_width(zigzag(minus(d, choice.center))));
          without += static_cast<std::uint64_t>(std::bit_width(static_cast<std::uint64_t>(d)));
        }
        if (without < with_sign) choice = {};
      }
    }
    base = choice.center;
  } else {
    choice.is_signed = true;
  }
  s.residuals.resize(n);
  s.tokens.resize(n);
  if (choice.is_signed)
    for (std::size_t i = 0; i < n; ++i) s.residuals[i] = zigzag(minus(v[i], base));
  else
    for (std::size_t i = 0; i < n; ++i) s.residuals[i] = static_cast<std::uint64_t>(v[i]);
  s.histogram = {};
  std::array<std::uint32_t, token_count>
      second{};  // neighbours are often equal, and would wait for each other's count
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint8_t t = token_of(s.residuals[i]);
    s.tokens[i] = t;
    ++((i & 1) == 0 ? s.histogram : second)[t];
  }
  for (std::size_t t = 0; t < token_count; ++t) s.histogram[t] += second[t];
  std::uint64_t cost = 0;
  const std::uint32_t all = log2_fixed(static_cast<std::uint32_t>(n));
  for (std::size_t t = 0; t < token_count; ++t)
    if (s.histogram[t] != 0)
      cost += s.histogram[t] * std::uint64_t{all - log2_fixed(s.histogram[t]) +
                                             256 * static_cast<unsigned>(token_raw_bits(t))} +
              1536;
  return cost;
}

void choose_order(std::span<const std::int64_t> x, ColumnForm& form, ColumnScratch& s) {
  const Estimate estimated = estimate(x);
  const std::array<std::uint64_t, 3>& bits = estimated.bits;
  std::array<int, 3> by_bits{1, 0, 2};
  // Differences first among equals, then values.
  std::sort(by_bits.begin(), by_bits.end(), [&](int a, int b) {
    return std::pair(bits[static_cast<std::size_t>(a)], a ^ 1) <
           std::pair(bits[static_cast<std::size_t>(b)], b ^ 1);
  });
  Choice choice;
  int order = by_bits[0];
  std::uint64_t cost = make_residuals(x, order, s, choice);
  for (std::size_t k = 1; k < 3; ++k) {
    // The estimate errs by less than half a bit per value.
    if (bits[static_cast<std::size_t>(by_bits[k])] >
        bits[static_cast<std::size_t>(by_bits[0])] + estimated.values / 2)
      break;
    s.other_residuals.swap(s.residuals);
    s.other_tokens.swap(s.tokens);
    std::swap(s.other_histogram, s.histogram);
    Choice other;
    const std::uint64_t other_cost = make_residuals(x, by_bits[k], s, other);
    if (other_cost < cost) {
      cost = other_cost;
      choice = other;
      order = by_bits[k];
    } else {
      s.other_residuals.swap(s.residuals);
      s.other_tokens.swap(s.tokens);
      std::swap(s.other_histogram, s.histogram);
    }
  }
  form.order = static_cast<std::uint8_t>(order);
  form.is_signed = choice.is_signed;
  form.center = choice.center;
}

}  // namespace

ColumnForm analyze_column(std::span<const double> values, ColumnScratch& s) {
  ColumnForm form;
  const std::size_t n = values.size();
  const std::uint64_t first = bits_of(values[0]);
  std::size_t same = 1;
  while (same < n && bits_of(values[same]) == first) ++same;
  if (same == n) {
    const int e = least_exponent(values[0], 0);
    form.first = static_cast<std::int64_t>(first);
    if (e >= 0 && decimal::from_double(values[0], power(e), form.first) == 0) {
      form.kind = ColumnKind::constant_decimal;
      form.exponent = static_cast<std::uint8_t>(e);
    }
    return form;
  }
  s.integers.resize(std::max(s.integers.size(), n));
  const std::span<std::int64_t> m(s.integers.data(), n);
  if (to_decimals(values, s, form)) {
    form.kind = ColumnKind::decimals;
  } else {
    form.kind = ColumnKind::floats;
    for (std::size_t i = 0; i < n; ++i)
      m[i] = decimal::ordered(static_cast<std::int64_t>(bits_of(values[i])));
  }
  form.first = m[0];
  form.divisor = common_divisor(m, form.kind == ColumnKind::decimals);
  divide(m, form.divisor);
  choose_order(m, form, s);
  return form;
}

void restore_column(const ColumnForm& form, std::span<std::uint64_t> residuals, std::span<double> out) {
  const std::size_t n = out.size();
  const auto center = static_cast<std::uint64_t>(form.center);
  if (form.kind == ColumnKind::constant_bits || form.kind == ColumnKind::constant_decimal) {
    const double v = form.kind == ColumnKind::constant_bits
                         ? std::bit_cast<double>(form.first)
                         : static_cast<double>(form.first) / power(form.exponent);
    std::fill(out.begin(), out.end(), v);
    return;
  }
  if (form.is_signed)
    for (std::size_t i = 0; i + 1 < n; ++i) residuals[i] = static_cast<std::uint64_t>(unzigzag(residuals[i]));
  if (form.order == 0) {
    for (std::size_t i = 0; i + 1 < n; ++i) residuals[i] += center;
  } else {
    std::uint64_t step = center;
    std::uint64_t x = 0;
    if (form.order == 1)
      for (std::size_t i = 0; i + 1 < n; ++i) residuals[i] = x += residuals[i] + center;
    else
      for (std::size_t i = 0; i + 1 < n; ++i) residuals[i] = x += step += residuals[i];
  }
  const auto first = static_cast<std::uint64_t>(form.first);
  const auto integer = [&](std::size_t i) {
    return static_cast<std::int64_t>(i == 0 ? first : first + residuals[i - 1] * form.divisor);
  };
  if (form.kind == ColumnKind::floats) {
    for (std::size_t i = 0; i < n; ++i) out[i] = std::bit_cast<double>(decimal::ordered(integer(i)));
  } else if (form.exponent == 0) {
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<double>(integer(i));
  } else {
    const double ten = power(form.exponent);
    const auto by = [&](auto rule) {
      for (std::size_t i = 0; i < n; ++i)
        out[i] = decimal::back(static_cast<double>(integer(i)), ten, rule());
    };
    switch (form.rule) {
      case Rule::quotient:
        by([] { return Rule::quotient; });
        break;
      case Rule::product:
        by([] { return Rule::product; });
        break;
      case Rule::quotients:
        by([] { return Rule::quotients; });
        break;
    }
  }
}

bool read_exceptions(ByteReader& in, std::span<double> out) {
  std::size_t at = 0;
  for (std::uint64_t runs = in.varint(); runs > 0; --runs) {
    const std::uint64_t gap = in.varint();
    const std::uint64_t length = in.varint();
    const double v = in.f64();
    if (!in.ok() || gap > out.size() - at || length > out.size() - at - gap || length == 0) return false;
    at += gap;
    std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(at), length, v);
    at += length;
  }
  return in.ok();
}

}  // namespace plumbline::storage::codec
