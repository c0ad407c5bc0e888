#include "query/api/histogram_chunk.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "daemon/base/check.hpp"
#include "query/api/chunk_bits.hpp"
#include "query/api/xor_chunk.hpp"

namespace plumbline::query {

namespace {

using model::Histogram;
using model::HistogramLayout;
using model::HistogramSample;
using model::ResetHint;

// Zero is one byte, powers of two from 2^-243 to 2^10 another, the rest nine.
void write_zero_threshold(BitWriter& out, double threshold) {
  if (threshold == 0) return out.write(0, 8);
  int exponent = 0;
  if (std::frexp(threshold, &exponent) == 0.5 && exponent >= -242 && exponent <= 11)
    return out.write(static_cast<std::uint64_t>(exponent + 243), 8);
  out.write(255, 8);
  out.write(std::bit_cast<std::uint64_t>(threshold), 64);
}

void write_spans(BitWriter& out, const std::vector<model::BucketSpan>& spans) {
  out.uvarbit(spans.size());
  for (const model::BucketSpan& span : spans) {
    out.uvarbit(span.length);
    out.varbit(span.offset);
  }
}

// Thousandths in at most four bytes; 0 says that another bound follows as it is.
void write_bound(BitWriter& out, double bound) {
  constexpr double thousandths_max = 33'554'430;
  if (const double rounded = std::round(bound * 1000); rounded >= 0 && rounded <= thousandths_max) {
    const auto thousandths = static_cast<std::uint64_t>(rounded);
    // Of bits: -0.0 is none of them.
    if (std::bit_cast<std::uint64_t>(static_cast<double>(thousandths) / 1000) == std::bit_cast<std::uint64_t>(bound))
      return out.uvarbit(thousandths + 1);
  }
  out.write(0, 1);
  out.write(std::bit_cast<std::uint64_t>(bound), 64);
}

void write_layout(BitWriter& out, const HistogramLayout& layout) {
  write_zero_threshold(out, layout.zero_threshold);
  out.varbit(layout.schema);
  write_spans(out, layout.positive_spans);
  write_spans(out, layout.negative_spans);
  if (!layout.is_custom()) return;
  out.uvarbit(layout.custom_bounds.size());
  for (const double bound : layout.custom_bounds) write_bound(out, bound);
}

// Integers of one field: as they are, and from the second sample on the change of their difference from the sample before.
class DeltaField {
 public:
  // What changed since the difference before; the first sample's is its value. Unsigned inside: it wraps as upstream's does.
  std::int64_t change(std::int64_t v) {
    const auto now = static_cast<std::uint64_t>(v);
    const std::uint64_t delta = now - before_, changed = delta - delta_;
    before_ = now;
    delta_ = is_first_ ? 0 : delta;
    is_first_ = false;
    return static_cast<std::int64_t>(changed);
  }

 private:
  std::uint64_t before_ = 0, delta_ = 0;
  bool is_first_ = true;
};

void write_integers(BitWriter& out, std::span<const HistogramSample> samples, bool stale) {
  DeltaField time, count, zero;
  XorField sum;
  std::vector<DeltaField> positive(samples.front().h.positive.size()), negative(samples.front().h.negative.size());
  const auto write_count = [&](bool first, DeltaField& field, double v) {
    const std::int64_t change = field.change(static_cast<std::int64_t>(v));
    first ? out.uvarbit(static_cast<std::uint64_t>(change)) : out.varbit(change);
  };
  const auto write_side = [&](std::vector<DeltaField>& fields, const std::vector<double>& counts) {
    std::int64_t before = 0;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const auto v = static_cast<std::int64_t>(counts[i]);
      out.varbit(fields[i].change(v - before));
      before = v;
    }
  };
  for (const HistogramSample& s : samples) {
    const bool first = &s == samples.data();
    out.varbit(time.change(s.t));
    write_count(first, count, stale ? 0 : s.h.count);
    write_count(first, zero, stale ? 0 : s.h.zero_count);
    first ? sum.first(out, s.h.sum) : sum.next(out, s.h.sum);
    if (stale) continue;
    write_side(positive, s.h.positive);
    write_side(negative, s.h.negative);
  }
}

void write_floats(BitWriter& out, std::span<const HistogramSample> samples, bool stale) {
  DeltaField time;
  XorField count, zero, sum;
  std::vector<XorField> positive(samples.front().h.positive.size()), negative(samples.front().h.negative.size());
  for (const HistogramSample& s : samples) {
    const bool first = &s == samples.data();
    const auto write_value = [&](XorField& field, double v) { first ? field.first(out, v) : field.next(out, v); };
    out.varbit(time.change(s.t));
    write_value(count, stale ? 0 : s.h.count);
    write_value(zero, stale ? 0 : s.h.zero_count);
    write_value(sum, s.h.sum);
    if (stale) continue;
    for (std::size_t i = 0; i < positive.size(); ++i) write_value(positive[i], s.h.positive[i]);
    for (std::size_t i = 0; i < negative.size(); ++i) write_value(negative[i], s.h.negative[i]);
  }
}

unsigned flags(const Histogram& first) {
  switch (first.reset) {
    case ResetHint::reset: return 0b10;
    case ResetHint::no_reset: return 0b01;
    case ResetHint::gauge: return 0b11;
    case ResetHint::unknown: break;
  }
  return 0b00;
}

bool fell(const std::vector<double>& before, const std::vector<double>& now) {
  return !std::ranges::equal(before, now, [](double a, double b) { return !(b < a); });
}

// Whether `now` can stand after `before` in one chunk.
bool goes_on(const Histogram& before, const Histogram& now) {
  if (before.is_stale() || now.is_stale()) return before.is_stale() && now.is_stale() && before.is_integer == now.is_integer;
  const bool gauge = before.reset == ResetHint::gauge;
  if (before.is_integer != now.is_integer || gauge != (now.reset == ResetHint::gauge)) return false;
  if (!same_bits(before.layout, now.layout)) return false;
  if (gauge) return true;
  return now.reset != ResetHint::reset && !(now.count < before.count) && !(now.zero_count < before.zero_count) &&
         !fell(before.positive, now.positive) && !fell(before.negative, now.negative);
}

}  // namespace

std::size_t histogram_chunk_samples(std::span<const HistogramSample> samples) {
  std::size_t n = 1;
  while (n < samples.size() && n < xor_chunk_samples && goes_on(samples[n - 1].h, samples[n].h)) ++n;
  return n;
}

std::string encode_histogram_chunk(std::span<const HistogramSample> samples) {
  PLUMBLINE_CHECK(!samples.empty() && samples.size() <= xor_chunk_samples, "a chunk has 1 to 120 histograms");
  const Histogram& first = samples.front().h;
  // The counts of an end mean nothing: upstream writes none, below an empty layout.
  const bool stale = first.is_stale();
  std::string bytes;
  bytes.push_back(static_cast<char>(samples.size() >> 8));
  bytes.push_back(static_cast<char>(samples.size()));
  bytes.push_back(static_cast<char>(flags(first) << 6));
  BitWriter out(bytes);
  write_layout(out, stale ? HistogramLayout{} : first.layout);
  first.is_integer ? write_integers(out, samples, stale) : write_floats(out, samples, stale);
  return bytes;
}

int histogram_chunk_encoding(const Histogram& first) { return first.is_integer ? chunk_encoding_histogram : chunk_encoding_float_histogram; }

}  // namespace plumbline::query
