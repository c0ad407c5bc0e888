// Float arithmetic that several parts share: Kahan-Neumaier sums, quantiles, Go's decimal form.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace plumbline::query::promql {

inline constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
inline constexpr double infinity = std::numeric_limits<double>::infinity();

// A sum that keeps what rounding loses. An infinite sum has nothing left to compensate.
struct KahanSum {
  double sum = 0;
  double lost = 0;
  void add(double v) {
    const double t = sum + v;
    if (std::isinf(t)) lost = 0;
    else if (std::fabs(sum) >= std::fabs(v)) lost += (sum - t) + v;
    else lost += (v - t) + sum;
    sum = t;
  }
  double total() const { return std::isinf(sum) ? sum : sum + lost; }
};

// A mean as sum / count until the sum overflows; then it goes on as a running mean.
struct KahanMean {
  KahanSum acc;
  double count = 0;
  bool running = false;
  void add(double v) {
    count += 1;
    if (count == 1) {
      acc.sum = v;
      return;
    }
    if (!running) {
      KahanSum next = acc;
      next.add(v);
      if (!std::isinf(next.sum)) {
        acc = next;
        return;
      }
      running = true;
      acc.sum /= count - 1;
      acc.lost /= count - 1;
    }
    const double q = (count - 1) / count;
    acc.sum *= q;
    acc.lost *= q;
    acc.add(v / count);
  }
  // As if what `other` has seen had come after what this one has. Both have seen something.
  void merge(const KahanMean& other) {
    if (!running && !other.running) {
      KahanSum next = acc;
      next.add(other.acc.sum);
      if (!std::isinf(next.sum)) {
        next.lost += other.acc.lost;
        acc = next;
        count += other.count;
        return;
      }
    }
    const double left = value(), right = other.value();
    const double all = count + other.count;
    // Infinities are not to meet in a difference.
    acc = {std::isfinite(left) && std::isfinite(right) ? left * (count / all) + right * (other.count / all) : left + right, 0};
    count = all;
    running = true;
  }
  double value() const { return running ? acc.sum + acc.lost : acc.sum / count + acc.lost / count; }
};

// NaN sorts as the smallest, and -0 before 0: what is at a place does not depend on how it was sorted.
inline bool nan_first_less(double a, double b) {
  if (std::isnan(a)) return !std::isnan(b);
  return a < b || (a == b && std::signbit(a) && !std::signbit(b));
}

// Linear interpolation at rank q * (n - 1) of values in that order.
inline double quantile_of_sorted(double q, const std::vector<double>& values) {
  if (values.empty() || std::isnan(q)) return nan_value;
  if (q < 0) return -infinity;
  if (q > 1) return infinity;
  const double rank = q * (static_cast<double>(values.size()) - 1);
  const double lower = std::max(0.0, std::floor(rank));
  const auto low = static_cast<std::size_t>(lower);
  const std::size_t high = std::min(values.size() - 1, low + 1);
  const double weight = rank - std::floor(rank);
  return values[low] * (1 - weight) + values[high] * weight;
}

// Reorders the values.
inline double quantile_of(double q, std::vector<double>& values) {
  std::sort(values.begin(), values.end(), nan_first_less);
  return quantile_of_sorted(q, values);
}

// Go's strconv.FormatFloat(v, 'f', -1, 64): never an exponent.
inline std::string format_float(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  std::array<char, 400> buffer;  // the smallest subnormal needs 1 + 2 + 324 characters
  const auto [end, ec] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), v, std::chars_format::fixed);
  return {buffer.data(), end};
}

}  // namespace plumbline::query::promql
