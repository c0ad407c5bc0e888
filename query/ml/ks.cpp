// Kolmogorov-Smirnov: the two-sample statistic, its exact p-value by counting paths, and the finite-n distribution.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "query/ml/statistics.hpp"

namespace plumbline::query::ml {
namespace {

constexpr std::size_t exact_max = 10'000;      // scipy's MAX_AUTO_N
constexpr std::int64_t smirnov_max = 1'000'000;  // above it scipy uses the asymptotic form
constexpr double pi = std::numbers::pi;

double clip(double p) { return std::clamp(p, 0.0, 1.0); }

// Of all ways to interleave n and n values, the share that parts the two distribution functions by h/n or more: an
// alternating sum of binomials, folded from the inside so that no term is larger than the sum.
double share_outside_square(std::int64_t n, std::int64_t h) {
  double folded = 0;
  for (std::int64_t k = n / h; k >= 0; --k) {
    double ratio = 1;
    for (std::int64_t j = 0; j < h; ++j)
      ratio *= static_cast<double>(n - k * h - j) / static_cast<double>(n + k * h + j + 1);
    folded = ratio * (1 - folded);
  }
  return 2 * folded;
}

// The same for m and n values. left[j] is the share of paths from (0,0) to (i,j) that were outside |i/m - j/n| < h/lcm at
// some point; a path comes from the left with probability i/(i+j) and from below with j/(i+j). Only positive terms: no
// cancellation and no overflow.
double share_outside(std::int64_t m, std::int64_t n, std::int64_t divisor, std::int64_t h) {
  if (m < n) std::swap(m, n);
  const std::int64_t mg = m / divisor, ng = n / divisor;
  std::vector<double> inverse(static_cast<std::size_t>(m + n + 1));
  for (std::size_t k = 1; k < inverse.size(); ++k) inverse[k] = 1.0 / static_cast<double>(k);
  std::vector<double> left(static_cast<std::size_t>(n + 1), 1.0);
  for (std::int64_t j = 0; j <= n && j * mg < h; ++j) left[static_cast<std::size_t>(j)] = 0;
  for (std::int64_t i = 1; i <= m; ++i) {
    const std::int64_t below = ng * i - h;  // inside means mg j > below and mg j < ng i + h
    const std::int64_t first = below < 0 ? 0 : below / mg + 1;
    const std::int64_t last = std::min(n, (ng * i + h - 1) / mg);
    if (first > last) return 1;
    double value = 0;
    if (first > 0) {
      left[static_cast<std::size_t>(first - 1)] = 1;
      value = 1;
    }
    const auto di = static_cast<double>(i);
    for (std::int64_t j = first; j <= last; ++j) {
      const auto at = static_cast<std::size_t>(j);
      value = (left[at] * di + value * static_cast<double>(j)) * inverse[static_cast<std::size_t>(i) + at];
      left[at] = value;
    }
  }
  return left[static_cast<std::size_t>(n)];
}

using Matrix = std::vector<double>;

Matrix multiply(const Matrix& a, const Matrix& b, std::size_t size) {
  Matrix out(size * size, 0.0);
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t k = 0; k < size; ++k) {
      const double x = a[i * size + k];
      if (x == 0) continue;
      for (std::size_t j = 0; j < size; ++j) out[i * size + j] += x * b[k * size + j];
    }
  return out;
}

// P(D_n < d) by Durbin's matrix: the middle entry of H^n times n!/n^n, with powers of two kept aside.
double durbin_cdf(std::int64_t n, double d) {
  const double t = static_cast<double>(n) * d;
  const auto k = static_cast<std::size_t>(std::ceil(t));
  const double h = static_cast<double>(k) - t;
  const std::size_t size = 2 * k - 1;
  std::vector<double> inverse_factorial(size + 1);
  inverse_factorial[0] = 1;
  for (std::size_t j = 1; j <= size; ++j) inverse_factorial[j] = inverse_factorial[j - 1] / static_cast<double>(j);
  Matrix base(size * size, 0.0);
  for (std::size_t row = 0; row < size; ++row)
    for (std::size_t column = 0; column <= std::min(row + 1, size - 1); ++column)
      base[row * size + column] = inverse_factorial[row + 1 - column];
  // The first column and the last row lose the paths that left through the fractional edge.
  for (std::size_t j = 0; j < size; ++j) {
    const double edge = (1 - std::pow(h, static_cast<double>(j + 1))) * inverse_factorial[j + 1];
    base[j * size] = edge;
    base[(size - 1) * size + (size - 1 - j)] = edge;
  }
  const auto power = static_cast<double>(size);
  base[(size - 1) * size] =
      (1 - 2 * std::pow(h, power) + std::pow(std::max(2 * h - 1, 0.0), power)) * inverse_factorial[size];

  constexpr int step = 128;
  int exponent = 0, base_exponent = 0;
  Matrix result(size * size, 0.0);
  for (std::size_t i = 0; i < size; ++i) result[i * size + i] = 1;
  const std::size_t middle = (k - 1) * size + (k - 1);
  for (std::int64_t left = n; left > 0; left /= 2) {
    if (left % 2 == 1) {
      result = multiply(result, base, size);
      exponent += base_exponent;
    }
    if (left == 1) break;
    base = multiply(base, base, size);
    base_exponent *= 2;
    if (std::fabs(base[middle]) > std::ldexp(1.0, step)) {
      for (double& x : base) x = std::ldexp(x, -step);
      base_exponent += step;
    }
  }
  double p = result[middle];
  for (std::int64_t i = 1; i <= n; ++i) {
    p = static_cast<double>(i) * p / static_cast<double>(n);
    if (std::fabs(p) < std::ldexp(1.0, -step)) {
      p = std::ldexp(p, step);
      exponent -= step;
    }
  }
  return clip(std::ldexp(p, exponent));
}

// Pelz and Good's expansion K0 + K1/sqrt(n) + K2/n + K3/n^1.5 in the theta form that converges for small z; for the z that
// reach it (n d^2 < 18) a dozen terms are exact to the last bit.
double pelz_good_cdf(std::int64_t n, double d) {
  const double z = std::sqrt(static_cast<double>(n)) * d;
  const double z2 = z * z, z4 = z2 * z2, z6 = z4 * z2, z8 = z4 * z4;
  if (-pi * pi / 8 / z2 < -708) return 0;  // exp would underflow
  double k0 = 0, k1 = 0, k2 = 0, k3 = 0;
  for (int k = 0; k < 200; ++k) {  // half-integers; the sum over negative k doubles it
    const double a = pi * pi * (k + 0.5) * (k + 0.5);
    const double weight = std::exp(-a / (2 * z2));
    if (weight == 0) break;
    k0 += weight;
    k1 += (a - z2) * weight;
    k2 += (6 * z6 + 2 * z4 + (2 * z4 - 5 * z2) * a + (1 - 2 * z2) * a * a) * weight;
    k3 += (-30 * z6 - 90 * z8 + (135 * z4 - 96 * z6) * a + (212 * z4 - 60 * z2) * a * a + (5 - 30 * z2) * a * a * a) *
          weight;
  }
  double k2_whole = 0, k3_whole = 0;
  for (int k = 1; k < 200; ++k) {  // integers
    const double a = pi * pi * k * k;
    const double weight = std::exp(-a / (2 * z2));
    if (weight == 0) break;
    k2_whole += a * weight;
    k3_whole += (3 * z2 * a - a * a) * weight;
  }
  const double scale = 2 * std::sqrt(pi / 2);
  const auto count = static_cast<double>(n);
  const double sum = scale * k0 / z + scale * k1 / (6 * z4) / std::sqrt(count) +
                     scale * (k2 / (72 * z6 * z) - k2_whole / (36 * z2 * z)) / count +
                     scale * (k3 / (6480 * z8 * z2) + k3_whole / (216 * z6)) / (count * std::sqrt(count));
  return clip(sum);
}

}  // namespace

double smirnov_sf(std::int64_t n, double d) {
  if (d <= 0) return 1;
  if (d >= 1) return 0;
  const auto count = static_cast<long double>(n);
  if (n > smirnov_max) {
    const double x = 6 * static_cast<double>(n) * d + 1;
    return clip(std::exp(-x * x / (18 * static_cast<double>(n))));
  }
  const auto last = static_cast<std::int64_t>(std::floor(static_cast<double>(n) * (1 - d)));
  long double sum = 0;
  long double log_choose = 0;  // ln C(n, v); long double keeps 1e-13 relative at n = 1e6
  for (std::int64_t v = 0; v <= last && v < n; ++v) {
    if (v > 0) log_choose += std::log(static_cast<long double>(n - v + 1)) - std::log(static_cast<long double>(v));
    const long double x = static_cast<long double>(d) + static_cast<long double>(v) / count;
    if (x >= 1) break;
    const long double log_term = log_choose + static_cast<long double>(v - 1) * std::log(x) +
                                 static_cast<long double>(n - v) * std::log1p(-x);
    if (log_term > -11'000) sum += std::exp(log_term);  // below: under the smallest long double
  }
  return clip(static_cast<double>(sum * static_cast<long double>(d)));
}

double kolmogorov_sf(std::int64_t n, double d) {
  if (d >= 1) return 0;
  if (d <= 0 || n <= 0) return 1;
  const auto count = static_cast<double>(n);
  const double t = count * d;
  if (t <= 0.5) return 1;
  if (t <= 1) {  // n! (2d - 1/n)^n
    long double p = 1;
    for (std::int64_t i = 1; i <= n && p > 0; ++i)
      p *= static_cast<long double>(i) / static_cast<long double>(count) * (2 * static_cast<long double>(t) - 1);
    return clip(static_cast<double>(1 - p));
  }
  if (t >= count - 1) return clip(2 * std::pow(1 - d, count));
  if (d >= 0.5) return clip(2 * smirnov_sf(n, d));
  const double nd2 = t * d;
  if (n <= 140) return nd2 <= 4 ? 1 - durbin_cdf(n, d) : clip(2 * smirnov_sf(n, d));
  if (nd2 >= 370) return 0;
  if (nd2 >= 2.2) return clip(2 * smirnov_sf(n, d));
  if (n <= 100'000 && count * std::pow(d, 1.5) <= 1.4) return 1 - durbin_cdf(n, d);
  return 1 - pelz_good_cdf(n, d);
}

KsResult ks_two_sample(std::span<const double> a, std::span<const double> b) {
  KsResult result;
  const auto n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
  double lowest = 0, highest = 0;
  for (std::size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    const double x = j == b.size() || (i < a.size() && a[i] <= b[j]) ? a[i] : b[j];
    while (i < a.size() && a[i] == x) ++i;
    while (j < b.size() && b[j] == x) ++j;
    const double difference = static_cast<double>(i) / n - static_cast<double>(j) / m;
    lowest = std::min(lowest, difference);
    highest = std::max(highest, difference);
  }
  result.statistic = -lowest > highest ? -lowest : highest;
  const auto in = static_cast<std::int64_t>(a.size()), im = static_cast<std::int64_t>(b.size());
  if (std::max(a.size(), b.size()) <= exact_max) {
    const std::int64_t divisor = std::gcd(in, im);
    const std::int64_t multiple = in / divisor * im;
    const auto h = static_cast<std::int64_t>(std::nearbyint(result.statistic * static_cast<double>(multiple)));
    result.statistic = static_cast<double>(h) / static_cast<double>(multiple);
    if (h == 0) return result;
    const double p = in == im ? share_outside_square(in, h) : share_outside(in, im, divisor, h);
    if (p >= 0 && p <= 1) {
      result.p_value = p;
      return result;
    }
    // Rounding took the alternating sum past 1 (p is 1 to 1e-12): scipy then asks the finite-n distribution, and so do we.
  }
  result.exact = false;
  const double larger = std::max(n, m), smaller = std::min(n, m);
  const auto effective = static_cast<std::int64_t>(std::nearbyint(larger * smaller / (larger + smaller)));
  result.p_value = clip(kolmogorov_sf(effective, result.statistic));
  return result;
}

double ks_critical(double alpha, double n, double m) { return std::sqrt(-std::log(alpha / 2) / 2 * (1 / n + 1 / m)); }

double ks_detectable(double n, double m) {
  constexpr double z80 = 0.8416212335729143;
  return std::min(1.0, ks_critical(0.05, n, m) + z80 * 0.5 * std::sqrt(1 / n + 1 / m));
}

}  // namespace plumbline::query::ml
