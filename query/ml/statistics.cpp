// PSI, chi-square, proportions, false discovery rate, ROC-AUC. Tails come from Boost.Math.
#include "query/ml/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/non_central_chi_squared.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace plumbline::query::ml {
namespace {

// A tail that underflows is 0, not an exception.
using Quiet = boost::math::policies::policy<
    boost::math::policies::domain_error<boost::math::policies::ignore_error>,
    boost::math::policies::pole_error<boost::math::policies::ignore_error>,
    boost::math::policies::overflow_error<boost::math::policies::ignore_error>,
    boost::math::policies::underflow_error<boost::math::policies::ignore_error>,
    boost::math::policies::denorm_error<boost::math::policies::ignore_error>,
    boost::math::policies::evaluation_error<boost::math::policies::ignore_error>>;

constexpr double z975 = 1.959963984540054;
constexpr double z80 = 0.8416212335729143;

std::uint64_t total(std::span<const std::uint64_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

std::optional<double> ratio(double numerator, double denominator) {
  if (denominator == 0) return std::nullopt;
  return numerator / denominator;
}

}  // namespace

std::vector<double> quantile_edges(std::span<const double> sorted, int bins) {
  std::vector<double> edges;
  if (sorted.empty()) return edges;
  for (int k = 1; k < bins; ++k) {
    const double at = static_cast<double>(sorted.size() - 1) * (static_cast<double>(k) / bins);
    const double floor = std::floor(at);
    const auto index = static_cast<std::size_t>(floor);
    const double low = sorted[index];
    const double high = sorted[std::min(index + 1, sorted.size() - 1)];
    const double t = at - floor;
    // From the nearer end, as numpy does: the result then never leaves [low, high].
    double edge = t >= 0.5 ? high - (high - low) * (1 - t) : low + (high - low) * t;
    if (low == high) edge = low;  // also keeps infinities from becoming NaN
    if (!std::isnan(edge) && (edges.empty() || edge > edges.back())) edges.push_back(edge);
  }
  if (!edges.empty() && edges.front() == sorted.front() && std::isfinite(edges.front()))
    edges.insert(edges.begin(), std::nextafter(edges.front(), -std::numeric_limits<double>::infinity()));
  return edges;
}

std::size_t bin_of(std::span<const double> edges, double x) {
  return static_cast<std::size_t>(std::lower_bound(edges.begin(), edges.end(), x) - edges.begin());
}

Counts bin_counts(std::span<const double> edges, std::span<const double> values) {
  Counts counts(edges.size() + 1);
  for (const double x : values) ++counts[bin_of(edges, x)];
  return counts;
}

double psi(std::span<const std::uint64_t> reference, std::span<const std::uint64_t> window, double smoothing) {
  const auto bins = static_cast<double>(reference.size());
  const double n = static_cast<double>(total(reference)) + smoothing * bins;
  const double m = static_cast<double>(total(window)) + smoothing * bins;
  if (n <= 0 || m <= 0) return 0;
  double sum = 0;
  for (std::size_t k = 0; k < reference.size(); ++k) {
    const double r = (static_cast<double>(reference[k]) + smoothing) / n;
    const double w = (static_cast<double>(window[k]) + smoothing) / m;
    if (r > 0 && w > 0) sum += (r - w) * std::log(r / w);
  }
  return sum;
}

int occupied_dof(std::span<const std::uint64_t> reference, std::span<const std::uint64_t> window) {
  int occupied = 0;
  for (std::size_t k = 0; k < reference.size(); ++k) occupied += reference[k] + window[k] > 0 ? 1 : 0;
  return std::max(occupied - 1, 0);
}

double psi_p_value(double value, int dof, double n, double m) {
  return dof == 0 ? 1 : chi_square_sf(value / (1 / n + 1 / m), dof);
}
double psi_critical(double alpha, int dof, double n, double m) {
  return dof == 0 ? 0 : chi_square_critical(alpha, dof) * (1 / n + 1 / m);
}
double psi_detectable(int dof, double n, double m, double alpha, double power) {
  return dof == 0 ? 0 : chi_square_noncentrality(dof, alpha, power) * (1 / n + 1 / m);
}

double chi_square_sf(double x, double dof) {
  if (dof <= 0 || x <= 0) return 1;
  if (std::isinf(x)) return 0;
  return boost::math::gamma_q(dof / 2, x / 2, Quiet());
}

double chi_square_critical(double alpha, double dof) {
  return dof <= 0 ? 0 : 2 * boost::math::gamma_q_inv(dof / 2, alpha, Quiet());
}

double chi_square_noncentrality(double dof, double alpha, double power) {
  const double critical = chi_square_critical(alpha, dof);
  double low = 0, high = 1;
  const auto reached = [&](double lambda) {
    const boost::math::non_central_chi_squared_distribution<double, Quiet> shifted(dof, lambda);
    return boost::math::cdf(boost::math::complement(shifted, critical)) >= power;
  };
  while (high < 1e6 && !reached(high)) high *= 2;
  for (int i = 0; i < 60 && high - low > 1e-10 * high; ++i) {
    const double middle = (low + high) / 2;
    (reached(middle) ? high : low) = middle;
  }
  return high;
}

ChiSquareResult chi_square(std::span<const std::uint64_t> reference, std::span<const std::uint64_t> window) {
  ChiSquareResult result;
  const auto n = static_cast<double>(total(reference)), m = static_cast<double>(total(window));
  result.dof = occupied_dof(reference, window);
  if (result.dof == 0 || n == 0 || m == 0) return {0, 1, 0};
  const auto term = [&](double observed, double expected) {
    double difference = std::fabs(expected - observed);
    if (result.dof == 1) difference -= std::min(0.5, difference);
    return difference * difference / expected;
  };
  for (std::size_t k = 0; k < reference.size(); ++k) {
    const double column = static_cast<double>(reference[k]) + static_cast<double>(window[k]);
    if (column == 0) continue;
    result.statistic += term(static_cast<double>(reference[k]), column * n / (n + m));
    result.statistic += term(static_cast<double>(window[k]), column * m / (n + m));
  }
  result.p_value = chi_square_sf(result.statistic, result.dof);
  return result;
}

ProportionResult two_proportions(std::uint64_t hits_reference, std::uint64_t n, std::uint64_t hits_window,
                                 std::uint64_t m) {
  ProportionResult result;
  if (n == 0 || m == 0) return result;
  const auto dn = static_cast<double>(n), dm = static_cast<double>(m);
  result.difference = std::fabs(static_cast<double>(hits_window) / dm - static_cast<double>(hits_reference) / dn);
  const double pooled = static_cast<double>(hits_reference + hits_window) / (dn + dm);
  const double error = std::sqrt(pooled * (1 - pooled) * (1 / dn + 1 / dm));
  if (error > 0) result.p_value = std::erfc(result.difference / error / std::numbers::sqrt2);
  return result;
}

double proportion_critical(double alpha, double pooled, double n, double m) {
  // The two-sided normal quantile is the root of the chi-square quantile with one degree of freedom.
  return std::sqrt(chi_square_critical(alpha, 1) * pooled * (1 - pooled) * (1 / n + 1 / m));
}

double proportion_detectable(double pooled, double n, double m) {
  // A share nobody has seen yet is taken as half a row, or a window without missing values would claim to see everything.
  const double share = std::clamp(pooled, 0.5 / (n + m), 1 - 0.5 / (n + m));
  return (z975 + z80) * std::sqrt(share * (1 - share) * (1 / n + 1 / m));
}

double benjamini_hochberg_cut(std::vector<double> p_values, double q) {
  if (p_values.empty()) return q;
  std::sort(p_values.begin(), p_values.end());
  const auto count = static_cast<double>(p_values.size());
  for (std::size_t k = p_values.size(); k > 0; --k) {
    const double cut = q * static_cast<double>(k) / count;
    if (p_values[k - 1] <= cut) return cut;
  }
  return q / count;
}

std::optional<double> roc_auc(std::span<const double> scores, const std::vector<bool>& positive) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  double rank_sum = 0, positives = 0;
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    double tied_positives = 0;
    while (end < order.size() && scores[order[end]] == scores[order[i]]) tied_positives += positive[order[end++]] ? 1 : 0;
    rank_sum += tied_positives * (static_cast<double>(i + 1) + static_cast<double>(end)) / 2;
    positives += tied_positives;
    i = end;
  }
  const double negatives = static_cast<double>(scores.size()) - positives;
  if (positives == 0 || negatives == 0) return std::nullopt;
  return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
}

std::optional<double> ClassCounts::precision() const {
  return ratio(static_cast<double>(tp), static_cast<double>(tp + fp));
}
std::optional<double> ClassCounts::recall() const { return ratio(static_cast<double>(tp), static_cast<double>(tp + fn)); }
std::optional<double> ClassCounts::f1() const {
  return ratio(2 * static_cast<double>(tp), static_cast<double>(2 * tp + fp + fn));
}

RegressionErrors regression_errors(std::span<const double> predicted, std::span<const double> actual) {
  double absolute = 0, squared = 0;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    const double error = predicted[i] - actual[i];
    absolute += std::fabs(error);
    squared += error * error;
  }
  const auto n = static_cast<double>(predicted.size());
  return {absolute / n, std::sqrt(squared / n)};
}

}  // namespace plumbline::query::ml
