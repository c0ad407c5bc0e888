// The life of a rule's alerts: absent -> pending -> firing -> resolved. Pure: no clock, no I/O; the same
// inputs give the same answer, so tests, restart and replay share it. The rules are Prometheus' (for,
// keep_firing_for, limit).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "alerting/alerting.hpp"
#include "storage/model/labels.hpp"

namespace plumbline::alerting {

using model::Labels;

enum class AlertState : std::uint8_t { pending = 1, firing = 2 };
std::string_view name_of(AlertState state);

struct Alert {
  Labels labels;  // with alertname: the identity
  StringPairs annotations;
  AlertState state = AlertState::pending;
  double value = 0;
  std::int64_t active_at_ms = 0;
  std::int64_t fired_at_ms = 0;    // 0: never fired
  std::int64_t keep_since_ms = 0;  // since when only keep_firing_for holds it; 0: the condition holds
  bool operator==(const Alert&) const = default;
};
using Alerts = std::map<Labels, Alert>;

// One sample of the rule's expression, with the alert's final labels.
struct Breach {
  Labels labels;
  StringPairs annotations;
  double value = 0;
};

struct Timing {
  Millis hold{0};
  Millis keep_firing_for{0};
  std::uint64_t limit = 0;  // 0: none
};

enum class Change : std::uint8_t {
  pended,  // new, waiting for `for`
  fired,
  refreshed,  // still firing; value and annotations are newer
  resolved,
  withdrawn,  // pending, and gone before `for` was over
  demoted,    // firing, but `for` was raised above its age: pending again
};
std::string_view name_of(Change change);

struct Transition {
  Change change = Change::pended;
  Alert alert;  // after the change; for resolved and withdrawn as it was last
};

struct StepResult {
  Alerts alerts;
  std::vector<Transition> transitions;
  // The limit was exceeded: every alert of the rule is dropped, as in Prometheus.
  std::optional<std::string> error;
};

// `breaches` have distinct labels (the evaluator refuses duplicates before).
StepResult step(const Alerts& alerts, const Timing& timing, const std::vector<Breach>& breaches,
                std::int64_t ts_ms);

// After a restart: the time in which nobody evaluated counts neither towards `for` nor towards
// keep_firing_for. One interval between two evaluations is no downtime.
void discount_downtime(Alerts& alerts, std::int64_t last_ts_ms, std::int64_t ts_ms, std::int64_t interval_ms);

// ALERTS{...,alertstate} = 1 and ALERTS_FOR_STATE = Unix seconds of activation, for each alert.
std::vector<storage::SeriesSamples> alert_series(const Alerts& alerts, std::int64_t ts_ms);
// A stale marker at ts for everything that was in `previous` and is not in `now`.
void add_stale_markers(const std::set<Labels>& previous, const std::set<Labels>& now, std::int64_t ts_ms,
                       std::vector<storage::SeriesSamples>& out);

}  // namespace plumbline::alerting
