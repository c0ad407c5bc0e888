// Drift of a window against a reference: one column scan, then every statistic from the same values.
#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "daemon/base/text.hpp"
#include "query/ml/models_impl.hpp"
#include "query/ml/records.hpp"

namespace plumbline::query::ml {
namespace {

// What one feature of the window adds up to, in the reference's own bins.
struct WindowFeature {
  explicit WindowFeature(const FeatureReference& f) : reference(&f) {
    if (f.type == FeatureType::category) categories.emplace(f);
    counts.resize(f.type == FeatureType::category ? categories->size() : f.edges.size() + 1);
  }
  // False when the value counts as missing: null, NaN, a list, or text where the reference has numbers.
  bool add(const model::Value& value) {
    if (reference->type == FeatureType::category) {
      if (const auto* text = std::get_if<std::string>(&value)) return text->empty() ? false : (++counts[categories->bin(*text)], true);
      const std::optional<std::string> text = text_of(value);
      if (text) ++counts[categories->bin(*text)];
      return text.has_value();
    }
    if (std::holds_alternative<bool>(value)) return false;
    const std::optional<double> number = number_of(value);
    if (!number) return false;
    ++counts[bin_of(reference->edges, *number)];
    if (keep_values) values.push_back(*number);
    return true;
  }

  const FeatureReference* reference;
  std::optional<CategoryBins> categories;
  Counts counts;
  std::vector<double> values;  // only when KS needs them
  bool keep_values = false;
  std::uint64_t present = 0;
};

bool applies(Statistic statistic, FeatureType type) { return statistic != Statistic::ks || type == FeatureType::number; }

Counts reference_counts(const WindowFeature& f) {
  return f.reference->type == FeatureType::category ? f.categories->reference_counts() : f.reference->bins;
}

std::string share_words(std::uint64_t have, std::uint64_t need, std::string_view side) {
  return "the " + std::string(side) + " has " + std::to_string(have) + " values, a verdict needs " + std::to_string(need);
}

// The numbers of one score; verdict and threshold come later, when all p-values of the statistic are known.
DriftScore measure(WindowFeature& f, Statistic statistic, std::uint64_t window_rows, std::uint64_t rows_min) {
  const FeatureReference& r = *f.reference;
  DriftScore score;
  score.feature = r.name;
  score.statistic = statistic;
  const bool of_rows = statistic == Statistic::missing_rate;
  score.n = statistic == Statistic::ks ? r.sample.size() : r.count();
  score.m = f.present;
  score.missing_reference = r.rows == 0 ? 0 : static_cast<double>(r.missing) / static_cast<double>(r.rows);
  score.missing_window =
      window_rows == 0 ? 0 : static_cast<double>(window_rows - f.present) / static_cast<double>(window_rows);
  const std::uint64_t have_n = of_rows ? r.rows : score.n, have_m = of_rows ? window_rows : score.m;
  if (!applies(statistic, r.type)) {
    score.reason = "ks needs numbers; this feature is a category (use chi_square or psi)";
    return score;
  }
  if (have_n < rows_min) score.reason = share_words(have_n, rows_min, "reference");
  else if (have_m < rows_min) score.reason = share_words(have_m, rows_min, "window");
  if (have_n == 0 || have_m == 0) return score;
  const auto n = static_cast<double>(have_n), m = static_cast<double>(have_m);
  switch (statistic) {
    case Statistic::psi: {
      const Counts expected = reference_counts(f);
      const int dof = occupied_dof(expected, f.counts);
      score.value = psi(expected, f.counts);
      score.p_value = psi_p_value(score.value, dof, n, m);
      score.detectable = psi_detectable(dof, n, m);
      break;
    }
    case Statistic::ks: {
      std::sort(f.values.begin(), f.values.end());
      const KsResult result = ks_two_sample(r.sample, f.values);
      score.value = result.statistic;
      score.p_value = result.p_value;
      score.detectable = ks_detectable(n, m);
      break;
    }
    case Statistic::chi_square: {
      const ChiSquareResult result = chi_square(reference_counts(f), f.counts);
      score.value = result.statistic;
      score.p_value = result.p_value;
      // As Cramer's V, which does not grow with the sample: sqrt(non-centrality / (n + m)).
      score.detectable = result.dof == 0 ? 0 : std::sqrt(chi_square_noncentrality(result.dof, 0.05, 0.8) / (n + m));
      break;
    }
    case Statistic::missing_rate: {
      const ProportionResult result = two_proportions(r.missing, r.rows, window_rows - f.present, window_rows);
      score.value = result.difference;
      score.p_value = result.p_value;
      score.detectable = proportion_detectable(
          static_cast<double>(r.missing + window_rows - f.present) / (n + m), n, m);
      break;
    }
  }
  if (!std::isfinite(score.value)) {  // infinite feature values can only do this through an edge: never a verdict
    score.value = 0;
    score.p_value.reset();
    if (score.reason.empty()) score.reason = "the statistic is not finite on this data";
  }
  return score;
}

// The value a score had to reach: the smallest effect worth it, or what is significant at `alpha`, whichever is larger.
double default_threshold(const DriftScore& s, const WindowFeature& f, double alpha, std::uint64_t window_rows,
                         double v_min) {
  const auto n = static_cast<double>(s.n), m = static_cast<double>(s.m);
  switch (s.statistic) {
    case Statistic::psi:
      return std::max(psi_effect_min, psi_critical(alpha, occupied_dof(reference_counts(f), f.counts), n, m));
    case Statistic::ks: return std::max(ks_effect_min, ks_critical(alpha, n, m));
    case Statistic::chi_square:
      return std::max(v_min * v_min * (n + m),
                      chi_square_critical(alpha, occupied_dof(reference_counts(f), f.counts)));
    case Statistic::missing_rate: {
      const auto rows = static_cast<double>(f.reference->rows), window = static_cast<double>(window_rows);
      const double pooled = static_cast<double>(f.reference->missing + window_rows - f.present) / (rows + window);
      return std::max(missing_effect_min, proportion_critical(alpha, pooled, rows, window));
    }
  }
  return 0;
}

double effect_min(const DriftScore& s, double v_min) {
  switch (s.statistic) {
    case Statistic::psi: return psi_effect_min;
    case Statistic::ks: return ks_effect_min;
    case Statistic::chi_square: return v_min * v_min * static_cast<double>(s.n + s.m);
    case Statistic::missing_rate: return missing_effect_min;
  }
  return 0;
}

}  // namespace

Result<DriftReport> compute_drift(const StoppingReader& reader, const Reference& reference, const DriftRequest& request) {
  std::vector<WindowFeature> features;
  if (request.features.empty()) {
    for (const FeatureReference& f : reference.features) features.emplace_back(f);
  } else {
    std::set<std::string> asked(request.features.begin(), request.features.end());
    for (const std::string& name : asked) {
      const FeatureReference* f = reference.find(name);
      if (f == nullptr) {
        std::string known;
        for (const FeatureReference& k : reference.features) known += (known.empty() ? "" : ", ") + k.name;
        return fail(Code::invalid_input, "reference " + reference.id() + " has no feature " + json_quote(name) +
                                             "; it has " + known.substr(0, 2000));
      }
      features.emplace_back(*f);
    }
  }
  const auto wanted = [&](Statistic s, FeatureType type) {
    if (!request.statistics.empty())
      return std::find(request.statistics.begin(), request.statistics.end(), s) != request.statistics.end() &&
             (applies(s, type) || !request.features.empty());
    if (s == Statistic::chi_square) return type == FeatureType::category;
    return applies(s, type);
  };

  Records what{request.model, request.window, {}};
  for (WindowFeature& f : features) {
    f.keep_values = f.reference->type == FeatureType::number && wanted(Statistic::ks, FeatureType::number);
    what.columns.push_back(std::string(model::field::feature_prefix) + f.reference->name);
  }
  std::uint64_t rows = 0, values = 0;
  std::vector<const storage::Column*> columns(features.size());
  const auto on_block = [&](const storage::RowBlock& block) {
    for (std::size_t k = 0; k < features.size(); ++k) columns[k] = block.find(what.columns[k]);
  };
  const auto visit = [&](const storage::RowBlock&, std::size_t row) -> Status {
    ++rows;
    for (std::size_t k = 0; k < features.size(); ++k) {
      if (columns[k] == nullptr || !features[k].add(columns[k]->values[row])) continue;
      ++features[k].present;
      if (features[k].keep_values && ++values > window_values_max)
        return fail(Code::over_limit, "the window holds more than " + std::to_string(window_values_max) +
                                          " values (window_values_max); ask for fewer features, a shorter window or psi only");
    }
    return {};
  };
  DriftReport report;
  PLUMBLINE_TRY(report.notes, scan_records(reader, what, on_block, visit));
  report.model = request.model;
  report.reference = reference.id();
  report.reference_hash = reference.hash;
  report.window = request.window;
  report.reference_rows = reference.rows;
  report.window_rows = rows;
  const std::uint64_t rows_min = std::max<std::uint64_t>(request.rows_min, 1);
  std::vector<std::size_t> owner;  // feature of each score
  for (std::size_t k = 0; k < features.size(); ++k)
    for (const Statistic s : {Statistic::psi, Statistic::ks, Statistic::chi_square, Statistic::missing_rate}) {
      if (!wanted(s, features[k].reference->type)) continue;
      PLUMBLINE_CHECK_OK(go_on(reader.stop()));  // an exact KS takes a good part of a second
      report.scores.push_back(measure(features[k], s, rows, rows_min));
      owner.push_back(k);
    }
  for (const Statistic s : {Statistic::psi, Statistic::ks, Statistic::chi_square, Statistic::missing_rate}) {
    // Features are corrected together, one statistic at a time: asking for KS as well must not change PSI's verdicts.
    std::vector<double> p_values;
    for (const DriftScore& score : report.scores)
      if (score.statistic == s && score.reason.empty() && score.p_value) p_values.push_back(*score.p_value);
    const double cut = benjamini_hochberg_cut(p_values, verdict_alpha);
    for (std::size_t i = 0; i < report.scores.size(); ++i) {
      DriftScore& score = report.scores[i];
      if (score.statistic != s) continue;
      // The statistic itself grows with the number of rows: a threshold on chi-square is one on its effect size, Cramer's V.
      const bool chi_square = s == Statistic::chi_square;
      const bool given = request.threshold && !chi_square;
      const double v_min = chi_square ? request.threshold.value_or(cramers_v_min) : 0;
      const bool measured = score.p_value.has_value();
      score.threshold = given ? *request.threshold
                        : measured ? default_threshold(score, features[owner[i]], cut, rows, v_min)
                                   : effect_min(score, v_min);
      if (!score.reason.empty() || !measured) continue;  // insufficient data
      const bool drifted = given ? score.value >= *request.threshold
                                 : *score.p_value <= cut && score.value >= effect_min(score, v_min);
      score.verdict = drifted ? Verdict::drifted : Verdict::ok;
    }
  }
  return report;
}

}  // namespace plumbline::query::ml
