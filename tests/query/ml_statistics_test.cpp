// Hand values; the wide comparison with scipy is tests/conformance/scipy_oracle.py.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "query/ml/statistics.hpp"

using namespace plumbline::query::ml;

TEST_CASE("quantile edges are numpy's, without duplicates and open at both ends") {
  std::vector<double> v;
  for (int i = 1; i <= 11; ++i) v.push_back(i);
  CHECK(quantile_edges(v) == std::vector<double>{2, 3, 4, 5, 6, 7, 8, 9, 10});
  CHECK(bin_of(std::vector<double>{2, 3}, 2) == 0);  // closed on the right
  CHECK(bin_of(std::vector<double>{2, 3}, 2.5) == 1);
  CHECK(bin_of(std::vector<double>{2, 3}, 1e300) == 2);
  const std::vector<double> constant(50, 7.0);
  const std::vector<double> edges = quantile_edges(constant);
  REQUIRE(edges.size() == 2);
  CHECK(bin_of(edges, 6) == 0);
  CHECK(bin_of(edges, 7) == 1);
  CHECK(bin_of(edges, 8) == 2);
  CHECK(quantile_edges({}).empty());
}

TEST_CASE("psi has Jeffreys' half counts and is symmetric") {
  const Counts r{10, 20, 70}, w{30, 30, 40};
  double expected = 0;
  for (int k = 0; k < 3; ++k) {
    const double p = (static_cast<double>(r[static_cast<std::size_t>(k)]) + 0.5) / 101.5;
    const double q = (static_cast<double>(w[static_cast<std::size_t>(k)]) + 0.5) / 101.5;
    expected += (p - q) * std::log(p / q);
  }
  CHECK(psi(r, w) == Approx(expected).epsilon(1e-14));
  CHECK(psi(w, r) == Approx(expected).epsilon(1e-14));
  CHECK(psi(r, r) == 0);
  CHECK(std::isfinite(psi(Counts{100, 0}, Counts{0, 100})));
}

TEST_CASE("the sample-size table of PSI: critical values and detectable effects") {
  CHECK(psi_critical(0.05, 9, 1000, 1000) == Approx(0.033838).epsilon(1e-4));
  CHECK(psi_critical(0.001, 9, 200, 200) == Approx(0.27877).epsilon(1e-4));
  CHECK(chi_square_noncentrality(9, 0.05, 0.8) == Approx(15.65).epsilon(1e-3));
  CHECK(psi_detectable(9, 500, 500) == Approx(0.0626).epsilon(1e-3));
  CHECK(ks_critical(0.05, 1000, 1000) == Approx(0.0607).epsilon(1e-2));
}

TEST_CASE("PSI stays near its nominal false-alarm rate when nothing moved") {
  const unsigned seed = 7;
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  int alarms = 0;
  const int runs = 1000;
  for (int run = 0; run < runs; ++run) {
    std::vector<double> a(500), b(500);
    for (double& x : a) x = normal(random);
    for (double& x : b) x = normal(random);
    std::sort(a.begin(), a.end());
    const auto edges = quantile_edges(a);
    const auto r = bin_counts(edges, a), w = bin_counts(edges, b);
    alarms += psi_p_value(psi(r, w), occupied_dof(r, w), 500, 500) < 0.05 ? 1 : 0;
  }
  CHECK(alarms > runs * 2 / 100);
  CHECK(alarms < runs * 9 / 100);
}

TEST_CASE("ks_two_sample on small samples, by hand") {
  // 2 of C(4,2) = 6 orders part {1,2} and {3,4} completely.
  const std::vector<double> a{1, 2}, b{3, 4};
  const KsResult apart = ks_two_sample(a, b);
  CHECK(apart.statistic == 1);
  CHECK(apart.p_value == Approx(1.0 / 3).epsilon(1e-14));
  CHECK(apart.exact);
  // scipy.stats.ks_2samp([1,2,3],[2,3,4,5,6]): D = 0.6, p = 5/14... counted over C(8,3) = 56 paths.
  const std::vector<double> c{1, 2, 3}, d{2, 3, 4, 5, 6};
  CHECK(ks_two_sample(c, d).statistic == Approx(0.6).epsilon(1e-15));
  CHECK(ks_two_sample(a, a).p_value == 1);
  const KsResult swapped = ks_two_sample(d, c), straight = ks_two_sample(c, d);
  CHECK(swapped.p_value == Approx(straight.p_value).epsilon(1e-12));
}

TEST_CASE("the finite-n Kolmogorov distribution meets its closed ends") {
  CHECK(kolmogorov_sf(1, 0.75) == Approx(0.5).epsilon(1e-14));    // 2(1 - d)
  CHECK(kolmogorov_sf(2, 0.8) == Approx(2 * 0.04).epsilon(1e-13));
  CHECK(kolmogorov_sf(10, 0) == 1);
  CHECK(kolmogorov_sf(10, 1) == 0);
  CHECK(kolmogorov_sf(100'000, 0.5) == 0);
  double last = 1;
  for (double d = 0.001; d < 0.2; d += 0.001) {  // falls through every method's border
    const double p = kolmogorov_sf(1000, d);
    CHECK(p <= last + 1e-9);
    last = p;
  }
}

TEST_CASE("chi_square corrects for continuity with one degree of freedom only") {
  const ChiSquareResult two = chi_square(Counts{10, 20}, Counts{30, 20});
  CHECK(two.dof == 1);
  CHECK(two.statistic == Approx(4.32).epsilon(1e-14));
  const ChiSquareResult three = chi_square(Counts{10, 10, 20}, Counts{20, 20, 20});  // scipy's own example
  CHECK(three.dof == 2);
  CHECK(three.statistic == Approx(2.7777777777777777).epsilon(1e-14));
  CHECK(three.p_value == Approx(0.24935220877729614).epsilon(1e-12));
  CHECK(chi_square(Counts{10, 0, 10, 20}, Counts{20, 0, 20, 20}).dof == 2);  // empty columns do not count
  CHECK(chi_square(Counts{5}, Counts{9}).p_value == 1);
}

TEST_CASE("proportions, corrections and ranks") {
  const ProportionResult p = two_proportions(10, 100, 20, 100);
  CHECK(p.difference == Approx(0.1));
  CHECK(p.p_value == Approx(0.0476703).epsilon(1e-5));
  CHECK(two_proportions(0, 100, 0, 100).p_value == 1);
  CHECK(benjamini_hochberg_cut({0.01, 0.02, 0.03, 0.5}, 0.05) == Approx(0.0375));
  CHECK(benjamini_hochberg_cut({0.9, 0.8}, 0.05) == Approx(0.025));
  CHECK(*roc_auc(std::vector<double>{0.1, 0.4, 0.35, 0.8}, {false, false, true, true}) == Approx(0.75));
  CHECK(*roc_auc(std::vector<double>{1, 1, 1}, {true, false, true}) == Approx(0.5));
  CHECK_FALSE(roc_auc(std::vector<double>{1, 2}, {true, true}).has_value());
  const ClassCounts counts{8, 2, 4};
  CHECK(*counts.precision() == Approx(0.8));
  CHECK(*counts.recall() == Approx(8.0 / 12));
  CHECK(*counts.f1() == Approx(16.0 / 22));
  CHECK_FALSE(ClassCounts{}.precision().has_value());
  const RegressionErrors errors = regression_errors(std::vector<double>{1, 2, 6}, std::vector<double>{1, 4, 2});
  CHECK(errors.mae == Approx(2));
  CHECK(errors.rmse == Approx(std::sqrt(20.0 / 3)));
}
