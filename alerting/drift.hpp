// Drift rules: from a drift report to series and breaches. Pure; the report comes from query::Models.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "alerting/alert_machine.hpp"
#include "alerting/alerting.hpp"

namespace plumbline::alerting {

// How many evaluations in a row each feature has been over the threshold.
using Streaks = std::map<std::string, int>;

struct DriftStep {
  Streaks streaks;
  std::vector<storage::SeriesSamples> series;
  // Features that are over the threshold for `consecutive` evaluations, with labels and default annotations,
  // and without the rule's own labels and alertname.
  std::vector<Breach> breaches;
  // Features about which this window can say nothing; their alerts stay as they are: unknown is never
  // resolved.
  std::vector<std::string> unknown;
};

query::DriftRequest drift_request(const DriftSpec& rule, std::int64_t ts_ms);
DriftStep drift_step(const DriftSpec& rule, const query::DriftReport& report, const Streaks& streaks,
                     std::int64_t ts_ms);
// {model, feature, statistic, reference, rule}: of the series and, without rule, of the alert.
model::Labels drift_labels(const DriftSpec& rule, const std::string& feature);

}  // namespace plumbline::alerting
