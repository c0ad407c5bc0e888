// The statistics of drift and quality as pure functions. Every formula names its source and what it is checked against; all
// values are finite for finite input, and no function accepts NaN: the callers count NaN as missing.
// Threads: any. Blocks: never.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace plumbline::query::ml {

using Counts = std::vector<std::uint64_t>;

// ------------------------------------------------------------------------------------------------------------------ PSI

// Ten bins: 200 rows a side then keep the null rate of the calibrated test between 5 and 7 %.
inline constexpr int decile_bins = 10;
// Jeffreys' prior: half a count in every bin, so that an empty bin costs little and never infinity.
inline constexpr double jeffreys = 0.5;

// The inner edges of `bins` bins of equal count, from quantiles with linear interpolation (numpy.quantile's default, to the
// bit), duplicates dropped. Outer bins are open. When ties put the first edge on the smallest value, one edge just below it
// is added, so that a constant column has a bin for what moves down as it has one for what moves up.
// `sorted` ascending; empty gives no edges (one bin).
std::vector<double> quantile_edges(std::span<const double> sorted, int bins = decile_bins);

// Bins are closed on the right: bin k holds edges[k-1] < x <= edges[k].
std::size_t bin_of(std::span<const double> edges, double x);
Counts bin_counts(std::span<const double> edges, std::span<const double> values);

// Population stability index, in nats, both ways round the same:
//   sum over bins of (r - w) ln(r / w), r = (count + s) / (total + s K), K bins, s = `smoothing`.
// Spans have one length. Error against the same formula in numpy: 1e-15 relative.
double psi(std::span<const std::uint64_t> reference, std::span<const std::uint64_t> window, double smoothing = jeffreys);

// Under no drift PSI is about (1/n + 1/m) chi-square with K-1 degrees (Yurdakul 2018; checked by simulation: mean 0.0185
// at n = m = 1000, K = 10, where the formula says 0.0180). K counts the bins that hold anything on either side.
int occupied_dof(std::span<const std::uint64_t> reference, std::span<const std::uint64_t> window);
double psi_p_value(double value, int dof, double n, double m);
double psi_critical(double alpha, int dof, double n, double m);
// The PSI that a window of m rows against n would flag at `alpha` with probability `power`: non-centrality (1/n + 1/m).
double psi_detectable(int dof, double n, double m, double alpha = 0.05, double power = 0.8);

// ------------------------------------------------------------------------------------------------------------------- KS

struct KsResult {
  double statistic = 0;  // largest distance of the two empirical distribution functions, 0..1
  double p_value = 1;    // two-sided
  bool exact = true;     // path counting; else the finite-n Kolmogorov distribution
};

// Two-sample Kolmogorov-Smirnov, as scipy.stats.ks_2samp(method="auto"): exact when both samples have at most 10,000
// values (Hodges 1958, counted as probabilities so that nothing overflows), else kolmogorov_sf(D, round(nm / (n+m))).
// Both ascending and not empty. Error against scipy 1.10: 1e-9 relative. Time: the exact count is O(n m D), 0.4 s at worst.
KsResult ks_two_sample(std::span<const double> sorted_a, std::span<const double> sorted_b);

// P(D_n >= d) of the one-sample statistic with n values: scipy.stats.kstwo.sf. The method is chosen by (n, d) as in Simard and
// L'Ecuyer 2011: closed ends (Ruben and Gambino), Durbin's matrix (Marsaglia, Tsang, Wang 2003), Smirnov's sum, Pelz and
// Good 1976. Error against scipy: 1e-9 relative.
double kolmogorov_sf(std::int64_t n, double d);
// P(D_n^+ >= d), one-sided: Smirnov's finite sum in long double; above n = 1e6 the asymptotic exp(-(6nd+1)^2 / 18n).
double smirnov_sf(std::int64_t n, double d);
// The distance whose asymptotic two-sided p-value is alpha: sqrt(-ln(alpha/2)/2 (1/n + 1/m)).
double ks_critical(double alpha, double n, double m);
// A distance that is found with 80 % probability at 5 %: the critical distance plus 0.84 of the largest standard error
// 0.5 sqrt(1/n + 1/m); an upper bound.
double ks_detectable(double n, double m);

// ----------------------------------------------------------------------------------------------------------- chi-square

struct ChiSquareResult {
  double statistic = 0;
  double p_value = 1;
  int dof = 0;
};

// Homogeneity of two count vectors, as scipy.stats.chi2_contingency on the 2 x K table without its all-zero columns:
// Pearson's statistic, Yates' correction min(0.5, |o - e|) for one degree of freedom only; p from the regularised upper
// incomplete gamma function. No degree of freedom gives 0 and 1. Error against scipy: 1e-12 relative.
ChiSquareResult chi_square(std::span<const std::uint64_t> reference, std::span<const std::uint64_t> window);
double chi_square_sf(double x, double dof);
double chi_square_critical(double alpha, double dof);
// The non-centrality at which a chi-square test with `dof` degrees has this power: 15.65 for 9, 0.05, 0.8.
double chi_square_noncentrality(double dof, double alpha, double power);

// ---------------------------------------------------------------------------------------------------------- proportions

struct ProportionResult {
  double difference = 0;  // |share of window - share of reference|
  double p_value = 1;     // two-sided, pooled two-proportion z
};
ProportionResult two_proportions(std::uint64_t hits_reference, std::uint64_t n, std::uint64_t hits_window, std::uint64_t m);
// The difference whose pooled z-test has this p-value.
double proportion_critical(double alpha, double pooled, double n, double m);
double proportion_detectable(double pooled, double n, double m);  // 80 % power at 5 %

// ------------------------------------------------------------------------------------------------- several tests at once

// Benjamini-Hochberg: the largest p that is rejected at false discovery rate `q`, as the cut alpha k / K (alpha / K when
// none is): reject exactly the p-values <= the cut.
double benjamini_hochberg_cut(std::vector<double> p_values, double q);

// ---------------------------------------------------------------------------------------------------------- performance

// Area under the ROC curve by midranks (Mann-Whitney): ties count half. Nothing when one class is absent.
std::optional<double> roc_auc(std::span<const double> scores, const std::vector<bool>& positive);

struct ClassCounts {  // of one class against the rest
  std::uint64_t tp = 0, fp = 0, fn = 0;
  std::optional<double> precision() const;  // nothing was predicted so: undefined
  std::optional<double> recall() const;     // nothing is labelled so: undefined
  std::optional<double> f1() const;         // 2tp / (2tp + fp + fn); undefined when all are 0
};

struct RegressionErrors {
  double mae = 0;   // in the label's unit
  double rmse = 0;
};
RegressionErrors regression_errors(std::span<const double> predicted, std::span<const double> actual);  // not empty

}  // namespace plumbline::query::ml
