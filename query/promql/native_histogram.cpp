#include "query/promql/native_histogram.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "query/promql/numbers.hpp"

namespace plumbline::query::promql {

namespace {

using Bucket = NativeHistogram::Bucket;
using Buckets = std::vector<Bucket>;

Buckets sparse(const std::vector<model::BucketSpan>& spans, const std::vector<double>& counts) {
  Buckets out;
  std::int64_t index = 0;
  std::size_t at = 0;
  for (const model::BucketSpan& s : spans) {
    index += s.offset;
    for (std::uint32_t i = 0; i < s.length; ++i, ++index)
      if (const double count = counts[at++]; count != 0) out.push_back({static_cast<std::int32_t>(index), count});
  }
  return out;
}

void dense(const Buckets& buckets, std::vector<model::BucketSpan>& spans, std::vector<double>& counts) {
  std::int64_t next = 0;
  for (const Bucket& b : buckets) {
    if (spans.empty() || b.index != next) spans.push_back({static_cast<std::int32_t>(b.index - next), 0});
    ++spans.back().length;
    counts.push_back(b.count);
    next = std::int64_t{b.index} + 1;
  }
}

// The upper bound of a bucket of the positive side; its lower one is that of the bucket before.
double exponential_bound(std::int64_t index, int schema) {
  if (schema <= 0) return std::ldexp(1, static_cast<int>(std::clamp<std::int64_t>(index << -schema, -5000, 5000)));
  const std::int64_t whole = index >> schema;
  const std::int64_t part = index - (whole << schema);
  return std::ldexp(std::exp2(static_cast<double>(part) / static_cast<double>(1 << schema)),
                    static_cast<int>(std::clamp<std::int64_t>(whole, -5000, 5000)));
}

double upper_of(const NativeHistogram& h, std::int32_t index) {
  if (!h.is_custom()) return exponential_bound(index, h.schema);
  return static_cast<std::size_t>(index) < h.bounds.size() ? h.bounds[static_cast<std::size_t>(index)] : infinity;
}
double lower_of(const NativeHistogram& h, std::int32_t index) {
  if (!h.is_custom()) return exponential_bound(std::int64_t{index} - 1, h.schema);
  return index == 0 ? -infinity : h.bounds[static_cast<std::size_t>(index) - 1];
}

// Both ascend. Buckets that come out empty are left out.
Buckets merged(const Buckets& a, const Buckets& b, double sign) {
  Buckets out;
  out.reserve(a.size() + b.size());
  auto i = a.begin();
  auto k = b.begin();
  while (i != a.end() || k != b.end()) {
    Bucket next;
    if (k == b.end() || (i != a.end() && i->index < k->index)) {
      next = *i++;
    } else if (i == a.end() || k->index < i->index) {
      next = {k->index, sign * k->count};
      ++k;
    } else {
      next = {i->index, i->count + sign * k->count};
      ++i, ++k;
    }
    if (next.count != 0) out.push_back(next);
  }
  return out;
}

// Buckets under new indexes, which ascend as the old ones do; those that fall together are added.
template <class Map>
Buckets mapped(const Buckets& in, Map map) {
  Buckets out;
  for (const Bucket& b : in) {
    const auto index = static_cast<std::int32_t>(map(b.index));
    if (!out.empty() && out.back().index == index)
      out.back().count += b.count;
    else
      out.push_back({index, b.count});
  }
  std::erase_if(out, [](const Bucket& b) { return b.count == 0; });
  return out;
}

// A wider zero bucket takes in what lies under it; a populated bucket that it would cut widens it further.
void widen_zero(NativeHistogram& h, double threshold) {
  const auto take = [&](Buckets& side) {
    std::size_t taken = 0;
    while (taken < side.size() && lower_of(h, side[taken].index) < threshold) {
      h.zero_count += side[taken].count;
      threshold = std::max(threshold, upper_of(h, side[taken].index));
      ++taken;
    }
    side.erase(side.begin(), side.begin() + static_cast<std::ptrdiff_t>(taken));
    return taken > 0;
  };
  for (bool more = true; more;) {
    more = take(h.positive);
    more |= take(h.negative);
  }
  h.zero_threshold = threshold;
}

void reconcile_zero(NativeHistogram& a, NativeHistogram& b) {
  while (a.zero_threshold != b.zero_threshold) {
    if (a.zero_threshold > b.zero_threshold)
      widen_zero(b, a.zero_threshold);
    else
      widen_zero(a, b.zero_threshold);
  }
}

// The buckets under those of the bounds that are common to both.
void reduce_to_bounds(NativeHistogram& h, const std::vector<double>& common) {
  h.positive = mapped(h.positive, [&](std::int32_t index) {
    return std::ranges::lower_bound(common, upper_of(h, index)) - common.begin();
  });
  h.bounds = common;
}

std::vector<double> common_bounds(const NativeHistogram& a, const NativeHistogram& b) {
  std::vector<double> out;
  std::ranges::set_intersection(a.bounds, b.bounds, std::back_inserter(out));
  return out;
}

// True when any of `before` is less in `now`.
bool any_less(const Buckets& now, const Buckets& before) {
  auto i = now.begin();
  for (const Bucket& b : before) {
    while (i != now.end() && i->index < b.index) {
      if (i->count < 0) return true;
      ++i;
    }
    const double there = i != now.end() && i->index == b.index ? i->count : 0;
    if (there < b.count) return true;
  }
  return false;
}

bool is_zero_bucket(const NativeHistogram& h, const BoundedBucket& b) { return !h.is_custom() && b.rule == 3; }

// With observations on one side of zero only, the zero bucket has them on that side.
void cut_zero_bucket(const NativeHistogram& h, BoundedBucket& b) {
  if (!is_zero_bucket(h, b)) return;
  if (h.negative.empty() && !h.positive.empty()) b.lower = 0;
  if (h.positive.empty() && !h.negative.empty()) b.upper = 0;
}

// Which part of a bucket lies below v: linear where a bucket has no ratio of bounds, else on the scale of its logarithm.
double part_below(const NativeHistogram& h, const BoundedBucket& b, double v) {
  if (h.is_custom() || is_zero_bucket(h, b)) {
    if (b.lower == -infinity) return 1;
    return (v - b.lower) / (b.upper - b.lower);
  }
  const double low = std::log2(std::fabs(b.lower)), high = std::log2(std::fabs(b.upper)), at = std::log2(std::fabs(v));
  return v > 0 ? (at - low) / (high - low) : 1 - (at - high) / (low - high);
}

double middle_of(const NativeHistogram& h, const BoundedBucket& b) {
  if (h.is_custom()) return (b.upper + b.lower) / 2;
  if (b.lower <= 0 && b.upper >= 0) return 0;
  const double middle = std::sqrt(b.upper * b.lower);
  return b.upper < 0 ? -middle : middle;
}

}  // namespace

NativeHistogram from_model(const model::Histogram& in) {
  NativeHistogram out;
  out.schema = in.layout.schema;
  out.reset = in.reset;
  out.zero_threshold = in.layout.zero_threshold;
  out.zero_count = in.zero_count;
  out.count = in.count;
  out.sum = in.sum;
  out.bounds = in.layout.custom_bounds;
  out.positive = sparse(in.layout.positive_spans, in.positive);
  out.negative = sparse(in.layout.negative_spans, in.negative);
  return out;
}

model::Histogram to_model(const NativeHistogram& in) {
  model::Histogram out;
  out.is_integer = false;
  out.layout.schema = in.schema;
  out.reset = in.reset;
  out.layout.zero_threshold = in.zero_threshold;
  out.zero_count = in.zero_count;
  out.count = in.count;
  out.sum = in.sum;
  out.layout.custom_bounds = in.bounds;
  dense(in.positive, out.layout.positive_spans, out.positive);
  dense(in.negative, out.layout.negative_spans, out.negative);
  return out;
}

bool same_value(const NativeHistogram& a, const NativeHistogram& b) {
  const auto bits = [](double v) { return std::bit_cast<std::uint64_t>(v); };
  const auto side = [&](const Buckets& x, const Buckets& y) {
    return std::ranges::equal(x, y, [&](const Bucket& l, const Bucket& r) { return l.index == r.index && bits(l.count) == bits(r.count); });
  };
  return a.schema == b.schema && bits(a.zero_threshold) == bits(b.zero_threshold) && bits(a.zero_count) == bits(b.zero_count) &&
         bits(a.count) == bits(b.count) && bits(a.sum) == bits(b.sum) && std::ranges::equal(a.bounds, b.bounds, {}, bits, bits) &&
         side(a.positive, b.positive) && side(a.negative, b.negative);
}

std::vector<BoundedBucket> all_buckets(const NativeHistogram& h) {
  std::vector<BoundedBucket> out;
  out.reserve(h.negative.size() + h.positive.size() + 1);
  // What reaches into the zero bucket begins where that ends, as upstream tells it.
  const double zero = h.is_custom() ? -infinity : h.zero_threshold;
  for (auto b = h.negative.rbegin(); b != h.negative.rend(); ++b)
    out.push_back({1, -upper_of(h, b->index), -std::max(lower_of(h, b->index), zero), b->count});
  if (h.zero_count > 0) out.push_back({3, -h.zero_threshold, h.zero_threshold, h.zero_count});
  for (const Bucket& b : h.positive) out.push_back({0, std::max(lower_of(h, b.index), zero), upper_of(h, b.index), b.count});
  return out;
}

void reduce(NativeHistogram& h, int schema) {
  if (schema >= h.schema) return;
  const int by = h.schema - schema;
  const auto map = [by](std::int32_t index) { return ((std::int64_t{index} - 1) >> by) + 1; };
  h.positive = mapped(h.positive, map);
  h.negative = mapped(h.negative, map);
  h.schema = schema;
}

Reconciled add(NativeHistogram& to, const NativeHistogram& other, double sign) {
  Reconciled out;
  if (to.is_custom() != other.is_custom()) {
    out.incompatible = true;
    return out;
  }
  NativeHistogram from = other;
  if (to.is_custom()) {
    if (to.bounds != from.bounds) {
      out.bounds_mismatched = true;
      const std::vector<double> common = common_bounds(to, from);
      reduce_to_bounds(to, common);
      reduce_to_bounds(from, common);
    }
  } else {
    reconcile_zero(to, from);
    reduce(to, from.schema);
    reduce(from, to.schema);
  }
  to.zero_count += sign * from.zero_count;
  to.count += sign * from.count;
  to.sum += sign * from.sum;
  to.positive = merged(to.positive, from.positive, sign);
  to.negative = merged(to.negative, from.negative, sign);
  using enum model::ResetHint;
  if (sign < 0) {
    to.reset = gauge;
  } else if (to.reset != other.reset && to.reset != gauge) {
    out.reset_collision = (to.reset == reset && other.reset == no_reset) || (to.reset == no_reset && other.reset == reset);
    to.reset = other.reset == gauge ? gauge : unknown;
  }
  return out;
}

void scale(NativeHistogram& h, double factor) {
  const auto side = [factor](Buckets& buckets) {
    for (Bucket& b : buckets) b.count *= factor;
    std::erase_if(buckets, [](const Bucket& b) { return b.count == 0; });
  };
  h.zero_count *= factor;
  h.count *= factor;
  h.sum *= factor;
  side(h.positive);
  side(h.negative);
  if (factor < 0) h.reset = model::ResetHint::gauge;
}

void divide(NativeHistogram& h, double divisor) {
  h.zero_count /= divisor;
  h.count /= divisor;
  h.sum /= divisor;
  if (divisor == 0) {
    h.positive.clear();
    h.negative.clear();
  }
  for (Buckets* side : {&h.positive, &h.negative}) {
    for (Bucket& b : *side) b.count /= divisor;
    std::erase_if(*side, [](const Bucket& b) { return b.count == 0; });
  }
  if (divisor < 0) h.reset = model::ResetHint::gauge;
}

bool was_reset(const NativeHistogram& now, const NativeHistogram& before) {
  if (now.reset == model::ResetHint::reset) return true;
  if (now.reset == model::ResetHint::no_reset) return false;
  if (now.count < before.count || now.is_custom() != before.is_custom()) return true;
  if (now.is_custom()) {
    if (now.bounds == before.bounds) return any_less(now.positive, before.positive);
    NativeHistogram a = now, b = before;
    const std::vector<double> common = common_bounds(now, before);
    reduce_to_bounds(a, common);
    reduce_to_bounds(b, common);
    return any_less(a.positive, b.positive);
  }
  // A counter never becomes finer, and its zero bucket never narrower.
  if (now.schema > before.schema || now.zero_threshold < before.zero_threshold) return true;
  NativeHistogram earlier = before;
  if (now.zero_threshold > before.zero_threshold) {
    widen_zero(earlier, now.zero_threshold);
    if (earlier.zero_threshold != now.zero_threshold) return true;  // it would cut a populated bucket
  }
  if (now.zero_count < earlier.zero_count) return true;
  reduce(earlier, now.schema);
  return any_less(now.positive, earlier.positive) || any_less(now.negative, earlier.negative);
}

bool has_infinity(const NativeHistogram& h) {
  const auto infinite = [](const Bucket& b) { return std::isinf(b.count); };
  return std::isinf(h.zero_count) || std::isinf(h.count) || std::isinf(h.sum) || std::ranges::any_of(h.positive, infinite) ||
         std::ranges::any_of(h.negative, infinite);
}

double mean_of(const NativeHistogram& h) { return h.sum / h.count; }

double variance_of(const NativeHistogram& h) {
  const double mean = mean_of(h);
  KahanSum variance;
  for (const BoundedBucket& b : all_buckets(h)) {
    const double delta = middle_of(h, b) - mean;
    variance.add(b.count * delta * delta);
  }
  return variance.total() / h.count;
}

double quantile_of(const NativeHistogram& h, double q) {
  if (q < 0) return -infinity;
  if (q > 1) return infinity;
  if (h.count == 0 || std::isnan(q)) return nan_value;
  // From the nearer end, for the smaller rounding error; but observations of NaN are counted and in no bucket, as if they were
  // above all others.
  const bool forward = std::isnan(h.sum) || q < 0.5;
  double rank = (forward ? q : 1 - q) * h.count;
  std::vector<BoundedBucket> buckets = all_buckets(h);
  if (!forward) std::ranges::reverse(buckets);
  BoundedBucket b;
  double reached = 0;
  for (const BoundedBucket& next : buckets) {
    b = next;
    reached += b.count;
    if (reached >= rank) break;
  }
  cut_zero_bucket(h, b);
  if (h.is_custom() && b.lower == -infinity) {
    if (b.upper <= 0) return b.upper;
    b.lower = 0;
  } else if (h.is_custom() && b.upper == infinity) {
    return b.lower;
  }
  reached = std::min(reached, h.count);
  if (reached < rank) return std::isnan(h.sum) ? nan_value : b.upper;
  rank = forward ? rank - (reached - b.count) : reached - rank;
  const double part = rank / b.count;
  if (h.is_custom() || is_zero_bucket(h, b)) return b.lower + (b.upper - b.lower) * part;
  const double low = std::log2(std::fabs(b.lower)), high = std::log2(std::fabs(b.upper));
  return b.lower > 0 ? std::exp2(low + (high - low) * part) : -std::exp2(high + (low - high) * (1 - part));
}

double fraction_of(const NativeHistogram& h, double lower, double upper) {
  if (h.count == 0 || std::isnan(lower) || std::isnan(upper)) return nan_value;
  if (lower >= upper) return 0;
  const std::vector<BoundedBucket> buckets = all_buckets(h);
  const auto below = [&](double v) {
    double rank = 0;
    for (BoundedBucket b : buckets) {
      cut_zero_bucket(h, b);
      if (b.lower >= v) return rank;
      if (b.upper > v) return std::min(h.count, rank + b.count * part_below(h, b, v));
      rank += b.count;
    }
    return h.count;
  };
  return (below(upper) - below(lower)) / h.count;
}

NativeHistogram trimmed(const NativeHistogram& h, double at, bool keep_below) {
  NativeHistogram out = h;
  KahanSum count, sum;
  bool cut = false;
  // How much of a bucket stays.
  const auto keep = [&](BoundedBucket b) {
    cut_zero_bucket(h, b);
    double below = b.upper <= at ? 1 : b.lower >= at ? 0 : part_below(h, b, at);
    const double part = keep_below ? below : 1 - below;
    if (part != 1) cut = true;
    const double kept = b.count * part;
    // The middle of what stays.
    if (kept != 0) {
      if (b.lower < at && b.upper > at) (keep_below ? b.upper : b.lower) = at;
      count.add(kept);
      sum.add(kept * middle_of(h, b));
    }
    return kept;
  };
  for (Bucket& b : out.negative) b.count = keep({1, -upper_of(h, b.index), -lower_of(h, b.index), b.count});
  if (h.zero_count > 0) out.zero_count = keep({3, -h.zero_threshold, h.zero_threshold, h.zero_count});
  for (Bucket& b : out.positive) b.count = keep({0, lower_of(h, b.index), upper_of(h, b.index), b.count});
  for (Buckets* side : {&out.positive, &out.negative}) std::erase_if(*side, [](const Bucket& b) { return b.count == 0; });
  if (!cut) return out;
  out.count = count.total();
  out.sum = sum.total();
  return out;
}

std::string text_of(const NativeHistogram& h) {
  std::string out = fmt::format("{{count:{:g}, sum:{:g}", h.count, h.sum);
  for (const BoundedBucket& b : all_buckets(h))
    out += fmt::format(", {}{:g},{:g}{}:{:g}", b.rule == 1 || b.rule == 3 ? '[' : '(', b.lower, b.upper,
                       b.rule == 0 || b.rule == 3 ? ']' : ')', b.count);
  return out + "}";
}

}  // namespace plumbline::query::promql
