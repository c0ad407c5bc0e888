// One evaluation of one rule (or of one SLO, or of one drift rule): data in, series and breaches out. Changes
// nothing; the data come through two functions, so that tests need neither an engine nor a store.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "alerting/drift.hpp"
#include "alerting/plan.hpp"
#include "alerting/slo.hpp"

namespace plumbline::alerting {

struct Sources {
  // Threads: any. An instant vector; a scalar comes as one sample without labels.
  std::function<Result<query::Vector>(std::string_view expression, std::int64_t t_ms)> query;
  std::function<Result<query::DriftReport>(const query::DriftRequest&)> drift;
};
Sources make_sources(const query::Engine& engine, const query::Models& models);

// What the evaluation must know of before.
struct Before {
  std::vector<const Alerts*> alerts;  // by rule of the unit
  Streaks streaks;
  // The SLO window as it was read last; read again when it is older than period_refresh().
  std::int64_t period_read_ms = 0;
  WindowBurn period;
};

struct RuleBreaches {
  std::size_t rule = 0;
  std::vector<Breach> breaches;
};

struct Evaluated {
  std::vector<storage::SeriesSamples> series;  // without ALERTS
  std::vector<storage::SeriesHistograms> histograms;
  std::vector<RuleBreaches> breaches;          // of alerting rules only
  Streaks streaks;
  Burns burns;
  std::int64_t period_read_ms = 0;
  std::string insufficient;  // why a drift rule can say nothing: no such model or reference yet, no records, none that passes
};

// Group units: one rule. ts is the slot.
Result<Evaluated> evaluate_rule(const Plan& plan, const PlannedUnit& unit, std::size_t rule,
                                const Sources& sources, std::int64_t ts_ms);
Result<Evaluated> evaluate_slo(const Plan& plan, const PlannedUnit& unit, const Sources& sources,
                               const Before& before, std::int64_t ts_ms);
Result<Evaluated> evaluate_drift(const Plan& plan, const PlannedUnit& unit, const Sources& sources,
                                 const Before& before, std::int64_t ts_ms);

}  // namespace plumbline::alerting
