#include "alerting/drift.hpp"

#include <fmt/format.h>

#include <cmath>

#include "alerting/template.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::alerting {
namespace {

std::string number(double v) {
  return fmt::format("{:.4g}", v);
}

StringPairs annotations_of(const DriftSpec& rule, const query::DriftReport& report,
                           const query::DriftScore& score) {
  const std::string statistic(query::name_of(rule.statistic));
  StringPairs out;
  out.emplace_back("summary",
                   fmt::format("feature {} of model {} drifted: {} is {} (threshold {})", score.feature,
                               rule.model, statistic, number(score.value), number(score.threshold)));
  out.emplace_back(
      "description",
      fmt::format(
          "{} of {} is {} over the last {}, compared with reference {}: n = {} values there, m = {} in the "
          "window; missing {} there, {} in the window.",
          statistic, score.feature, number(score.value), format_duration_ms(rule.window.count()),
          report.reference.empty() ? rule.reference : report.reference, score.n, score.m,
          humanize_percentage(score.missing_reference), humanize_percentage(score.missing_window)));
  out.emplace_back("value", format_number(score.value));
  out.emplace_back("threshold", format_number(score.threshold));
  out.emplace_back("n", std::to_string(score.n));
  out.emplace_back("m", std::to_string(score.m));
  if (score.p_value) out.emplace_back("p_value", number(*score.p_value));
  if (score.detectable) out.emplace_back("detectable", number(*score.detectable));
  out.emplace_back("reference_version", report.reference);
  return out;
}

}  // namespace

query::DriftRequest drift_request(const DriftSpec& rule, std::int64_t ts_ms) {
  query::DriftRequest request;
  request.model = rule.model;
  request.reference = rule.reference;
  request.features = rule.features;
  request.statistics = {rule.statistic};
  request.window = {(ts_ms - rule.window.count()) * 1'000'000, ts_ms * 1'000'000, rule.where};
  request.rows_min = rule.rows_min;
  request.threshold = rule.threshold;
  return request;
}

model::Labels drift_labels(const DriftSpec& rule, const std::string& feature) {
  // The reference as configured: a new version of it must not start a new series or a new alert.
  return model::Labels::trusted({{"model", rule.model},
                                 {"feature", feature},
                                 {"statistic", std::string(query::name_of(rule.statistic))},
                                 {"reference", rule.reference},
                                 {"rule", rule.name}});
}

DriftStep drift_step(const DriftSpec& rule, const query::DriftReport& report, const Streaks& streaks,
                     std::int64_t ts_ms) {
  DriftStep out;
  for (const query::DriftScore& score : report.scores) {
    if (score.statistic != rule.statistic) continue;
    const model::Labels labels = drift_labels(rule, score.feature);
    const auto put = [&](std::string_view metric, double value) {
      out.series.push_back({labels.with(model::metric_name_label, metric), {{ts_ms, value}}});
    };
    const auto was = streaks.find(score.feature);
    int streak = was == streaks.end() ? 0 : was->second;
    put("plumbline_drift_rows", static_cast<double>(score.m));
    if (score.verdict == query::Verdict::insufficient_data || !std::isfinite(score.value)) {
      put("plumbline_drift_verdict", -1);
      out.unknown.push_back(score.feature);
      // It neither counts nor breaks the row: "three in a row" means three that could tell.
      if (streak > 0) out.streaks[score.feature] = streak;
      continue;
    }
    const bool drifted = score.verdict == query::Verdict::drifted;
    put("plumbline_drift_score", score.value);
    put("plumbline_drift_verdict", drifted ? 1 : 0);
    // Bounded by `consecutive`: what counts is whether the row is long enough.
    streak = drifted ? std::min(streak + 1, std::max(rule.consecutive, 1)) : 0;
    if (streak > 0) out.streaks[score.feature] = streak;
    if (streak >= std::max(rule.consecutive, 1))
      out.breaches.push_back({labels.without("rule"), annotations_of(rule, report, score), score.value});
  }
  return out;
}

}  // namespace plumbline::alerting
