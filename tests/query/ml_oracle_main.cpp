// The C++ side of the scipy oracle. Reads requests from stdin, one after another, and prints one JSON object for each:
//   number <name> <n> <m>     then n + m lines with one number each: reference, then window
//   category <name> <n> <m>   then n + m lines with one category each
//   auc <name> <n> 0          then n lines "score label", label 0 or 1
//   kstwo <name> <n> 0        then n lines "count d": survival of the finite-n Kolmogorov distribution
// The summaries are built as an upload builds them (FeatureBuilder, CategoryBins), so that what is compared is what serves.
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <string>

#include "daemon/base/json_writer.hpp"
#include "query/ml/reference.hpp"
#include "query/ml/statistics.hpp"

namespace ml = plumbline::query::ml;

namespace {

void numbers(const std::string& name, std::size_t n, std::size_t m, plumbline::JsonWriter& json) {
  ml::FeatureBuilder builder;
  double x = 0;
  for (std::size_t i = 0; i < n && std::cin >> x; ++i) (void)builder.add(x);
  const ml::FeatureReference reference = builder.finish(name, n, false);
  std::vector<double> window;
  for (std::size_t i = 0; i < m && std::cin >> x; ++i) window.push_back(x);
  std::sort(window.begin(), window.end());
  const ml::Counts counts = ml::bin_counts(reference.edges, window);
  const double psi = ml::psi(reference.bins, counts);
  const int dof = ml::occupied_dof(reference.bins, counts);
  const ml::KsResult ks = ml::ks_two_sample(reference.sample, window);
  const ml::ChiSquareResult chi = ml::chi_square(reference.bins, counts);
  json.key("edges").begin_array();
  for (const double edge : reference.edges) json.number(edge);
  json.end_array();
  json.field("psi", psi);
  json.field("psi_p", ml::psi_p_value(psi, dof, static_cast<double>(n), static_cast<double>(m)));
  json.field("ks", ks.statistic).field("ks_p", ks.p_value).field("ks_exact", ks.exact);
  json.field("chi", chi.statistic).field("chi_p", chi.p_value).field("chi_dof", chi.dof);
}

void categories(const std::string& name, std::size_t n, std::size_t m, plumbline::JsonWriter& json) {
  ml::FeatureBuilder builder;
  std::string word;
  for (std::size_t i = 0; i < n && std::getline(std::cin, word); ++i) (void)builder.add(std::string_view(word));
  const ml::FeatureReference reference = builder.finish(name, n, true);
  const ml::CategoryBins bins(reference);
  ml::Counts window(bins.size());
  for (std::size_t i = 0; i < m && std::getline(std::cin, word); ++i) ++window[bins.bin(word)];
  const ml::Counts expected = bins.reference_counts();
  const ml::ChiSquareResult chi = ml::chi_square(expected, window);
  json.field("psi", ml::psi(expected, window));
  json.field("chi", chi.statistic).field("chi_p", chi.p_value).field("chi_dof", chi.dof);
}

void area(std::size_t n, plumbline::JsonWriter& json) {
  std::vector<double> scores;
  std::vector<bool> positive;
  double score = 0;
  int label = 0;
  for (std::size_t i = 0; i < n && std::cin >> score >> label; ++i) {
    scores.push_back(score);
    positive.push_back(label == 1);
  }
  json.key("auc");
  if (const auto auc = ml::roc_auc(scores, positive)) json.number(*auc);
  else json.null();
}

void survival(std::size_t n, plumbline::JsonWriter& json) {
  json.key("sf").begin_array();
  std::int64_t count = 0;
  double d = 0;
  for (std::size_t i = 0; i < n && std::cin >> count >> d; ++i) json.number(ml::kolmogorov_sf(count, d));
  json.end_array();
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  std::string kind, name;
  std::size_t n = 0, m = 0;
  while (std::cin >> kind >> name >> n >> m) {
    std::cin.ignore(1, '\n');
    std::string out;
    plumbline::JsonWriter json(out);
    json.begin_object().field("name", name);
    if (kind == "number") numbers(name, n, m, json);
    else if (kind == "category") categories(name, n, m, json);
    else if (kind == "auc") area(n, json);
    else if (kind == "kstwo") survival(n, json);
    else {
      std::cerr << "unknown request " << kind << "\n";
      return 2;
    }
    json.end_object();
    std::cout << out << "\n";
  }
  return 0;
}
