// Arithmetic of native histograms as PromQL sees them: counts are floats, and only buckets that are not empty are there.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/model/histogram.hpp"

namespace plumbline::query::promql {

struct NativeHistogram {
  struct Bucket {
    std::int32_t index = 0;
    double count = 0;
  };
  int schema = 0;
  model::ResetHint reset = model::ResetHint::unknown;
  double zero_threshold = 0, zero_count = 0;
  double count = 0, sum = 0;
  std::vector<double> bounds;               // of schema -53
  std::vector<Bucket> positive, negative;   // by ascending index; of custom buckets, index 0 is the first
  bool is_custom() const { return schema == model::histogram_schema_custom; }
};
using HistogramPtr = std::shared_ptr<const NativeHistogram>;  // null: there is none
struct HistogramPoint {
  std::int64_t t = 0;
  HistogramPtr h;  // null: a stale marker
};

NativeHistogram from_model(const model::Histogram& histogram);
model::Histogram to_model(const NativeHistogram& histogram);

// The same bits in what is measured; what is known of resets does not count.
bool same_value(const NativeHistogram& a, const NativeHistogram& b);

// A bucket by its bounds. As the API names their sides: 0 (lower, upper], 1 [lower, upper), 2 open, 3 closed at both ends.
struct BoundedBucket {
  int rule = 0;
  double lower = 0, upper = 0, count = 0;
};
// Ascending; the zero bucket among them when it is not empty.
std::vector<BoundedBucket> all_buckets(const NativeHistogram& h);

// Adds with `sign` (1 or -1). What had to be done to make them fit: nothing of it is done when the answer is `incompatible`.
struct Reconciled {
  bool incompatible = false;       // exponential and custom buckets
  bool bounds_mismatched = false;  // custom bounds that only one has were left out
  bool reset_collision = false;    // one side says "reset", the other "no reset"
};
Reconciled add(NativeHistogram& to, const NativeHistogram& other, double sign);
void scale(NativeHistogram& h, double factor);
// Zero divisors make NaN and Inf of every count, and drop the buckets.
void divide(NativeHistogram& h, double divisor);
// To a coarser schema; not of custom buckets.
void reduce(NativeHistogram& h, int schema);
// Whether a counter was reset between `before` and `now`.
bool was_reset(const NativeHistogram& now, const NativeHistogram& before);
bool has_infinity(const NativeHistogram& h);

double mean_of(const NativeHistogram& h);
double variance_of(const NativeHistogram& h);
double quantile_of(const NativeHistogram& h, double q);
double fraction_of(const NativeHistogram& h, double lower, double upper);
// What lies below (keep_below) or above a value; a bucket that the value cuts is interpolated.
NativeHistogram trimmed(const NativeHistogram& h, double at, bool keep_below);
// {count:2, sum:1, (0.5,1]:2}
std::string text_of(const NativeHistogram& h);

}  // namespace plumbline::query::promql
