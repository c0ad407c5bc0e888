#include "alerting/alert_machine.hpp"

namespace plumbline::alerting {

std::string_view name_of(AlertState state) {
  return state == AlertState::firing ? "firing" : "pending";
}

std::string_view name_of(Change change) {
  switch (change) {
    case Change::pended:
      return "pending";
    case Change::fired:
      return "firing";
    case Change::refreshed:
      return "refreshed";
    case Change::resolved:
      return "resolved";
    case Change::withdrawn:
      return "withdrawn";
    case Change::demoted:
      return "demoted";
  }
  return "unknown";
}

StepResult step(const Alerts& alerts, const Timing& timing, const std::vector<Breach>& breaches,
                std::int64_t ts_ms) {
  StepResult out;
  out.alerts = alerts;
  std::set<Labels> breached;
  std::set<Labels> fresh;
  for (const Breach& breach : breaches) {
    breached.insert(breach.labels);
    auto [it, inserted] = out.alerts.try_emplace(breach.labels);
    Alert& alert = it->second;
    if (inserted) {
      alert.labels = breach.labels;
      alert.active_at_ms = ts_ms;
      fresh.insert(breach.labels);
    }
    alert.value = breach.value;
    alert.annotations = breach.annotations;
  }
  for (auto it = out.alerts.begin(); it != out.alerts.end();) {
    Alert& alert = it->second;
    if (!breached.contains(it->first)) {
      bool keep = false;
      if (alert.state == AlertState::firing && timing.keep_firing_for.count() > 0) {
        if (alert.keep_since_ms == 0) alert.keep_since_ms = ts_ms;
        keep = ts_ms - alert.keep_since_ms < timing.keep_firing_for.count();
      }
      if (!keep) {
        out.transitions.push_back(
            {alert.state == AlertState::firing ? Change::resolved : Change::withdrawn, alert});
        it = out.alerts.erase(it);
        continue;
      }
    } else {
      alert.keep_since_ms = 0;
    }
    const bool held = ts_ms - alert.active_at_ms >= timing.hold.count();
    if (alert.state == AlertState::pending && held) {
      alert.state = AlertState::firing;
      alert.fired_at_ms = ts_ms;
      out.transitions.push_back({Change::fired, alert});
    } else if (alert.state == AlertState::firing && !held && ts_ms >= alert.fired_at_ms) {
      // Its `for` has grown. A wall clock that stepped back looks alike and must not resolve anything.
      alert.state = AlertState::pending;
      alert.fired_at_ms = 0;
      alert.keep_since_ms = 0;
      out.transitions.push_back({Change::demoted, alert});
    } else if (alert.state == AlertState::firing) {
      out.transitions.push_back({Change::refreshed, alert});
    } else if (fresh.contains(it->first)) {
      out.transitions.push_back({Change::pended, alert});
    }
    ++it;
  }
  if (timing.limit > 0 && out.alerts.size() > timing.limit) {
    out.error = "exceeded limit of " + std::to_string(timing.limit) + " with " +
                std::to_string(out.alerts.size()) + " alerts";
    out.alerts.clear();
    out.transitions.clear();
    // What was known before ends; what came with this evaluation was never seen by anybody.
    for (const auto& [labels, alert] : alerts)
      out.transitions.push_back(
          {alert.state == AlertState::firing ? Change::resolved : Change::withdrawn, alert});
  }
  return out;
}

void discount_downtime(Alerts& alerts, std::int64_t last_ts_ms, std::int64_t ts_ms,
                       std::int64_t interval_ms) {
  const std::int64_t down = ts_ms - last_ts_ms - interval_ms;
  if (last_ts_ms == 0 || down <= 0) return;
  for (auto& [labels, alert] : alerts) {
    if (alert.state == AlertState::pending) alert.active_at_ms += down;
    if (alert.keep_since_ms != 0) alert.keep_since_ms += down;
  }
}

std::vector<storage::SeriesSamples> alert_series(const Alerts& alerts, std::int64_t ts_ms) {
  std::vector<storage::SeriesSamples> out;
  out.reserve(alerts.size() * 2);
  for (const auto& [labels, alert] : alerts) {
    out.push_back({labels.with(model::metric_name_label, "ALERTS").with("alertstate", name_of(alert.state)),
                   {{ts_ms, 1.0}}});
    out.push_back({labels.with(model::metric_name_label, "ALERTS_FOR_STATE"),
                   {{ts_ms, static_cast<double>(alert.active_at_ms / 1000)}}});
  }
  return out;
}

void add_stale_markers(const std::set<Labels>& previous, const std::set<Labels>& now, std::int64_t ts_ms,
                       std::vector<storage::SeriesSamples>& out) {
  for (const Labels& labels : previous)
    if (!now.contains(labels)) out.push_back({labels, {{ts_ms, model::stale_nan}}});
}

}  // namespace plumbline::alerting
