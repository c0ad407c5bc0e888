// SLO arithmetic: budgets in decimals, burn rates over windows, and which windows of a severity burn. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alerting/alerting.hpp"
#include "storage/model/labels.hpp"

namespace plumbline::alerting {

// 1 - objective as a ratio of integers: "99.9" is 1/1000 and not 0.0009999999999999432.
struct Budget {
  std::int64_t numerator = 0;
  std::int64_t denominator = 1;
  double value() const { return static_cast<double>(numerator) / static_cast<double>(denominator); }
  // factor x budget: the error ratio at which a window trips.
  double threshold(double factor) const {
    return factor * static_cast<double>(numerator) / static_cast<double>(denominator);
  }
  // An error ratio never passes 1, so an alert with factor x budget >= 1 is dead.
  bool can_fire(double factor) const { return threshold(factor) < 1; }
  double factor_max() const { return static_cast<double>(denominator) / static_cast<double>(numerator); }
};
// "99.9" or "99.9%". Fails: invalid_input outside 0 < objective < 100 or with more than 12 decimals.
Result<Budget> parse_objective(std::string_view objective);

bool has_window_placeholder(std::string_view query);  // {{.window}} or {{ .window }}
std::string with_window(std::string_view query, Millis window);

// What the two queries said about one window. Absent: the query returned nothing.
struct WindowReading {
  std::optional<double> errors;
  std::optional<double> total;
};
// errors / total. nullopt: no events (total absent, zero or NaN), so nothing burns. A missing numerator
// beside a present denominator is zero errors: a counter that never counted an error does not exist yet.
std::optional<double> error_ratio(const WindowReading& reading);

struct WindowBurn {
  std::optional<double> ratio;
  std::optional<double> burn;  // ratio / budget
};
using Burns = std::map<Millis, WindowBurn>;

// Every window whose burn rate an evaluation needs, ascending: both of each pair, and the SLO's own.
std::vector<Millis> windows_needed(const SloSpec& slo);
// The SLO's windows, or the workbook's.
std::vector<BurnWindow> windows_of(const SloSpec& slo);
// The severities of an SLO in order of first mention; one alert each.
std::vector<std::string> severities_of(const std::vector<BurnWindow>& windows);
// The pairs of this severity that burn: long > factor x budget and short > factor x budget, strictly.
std::vector<BurnWindow> burning(const std::vector<BurnWindow>& windows, std::string_view severity,
                                const Budget& budget, const Burns& burns);

// The error ratio over a window; nothing when it was not read, or had no events.
std::optional<double> ratio_over(const Burns& burns, Millis window);

// 1 - consumed; below zero when more than the budget is gone; nothing when there were no events.
std::optional<double> budget_remaining(const Budget& budget, std::optional<double> period_ratio);

// plumbline_slo_error_ratio, _burn_rate, _objective, _error_budget_remaining_ratio at ts.
std::vector<storage::SeriesSamples> slo_series(const SloSpec& slo, const Budget& budget, const Burns& burns,
                                               std::int64_t ts_ms);
// The numbers a person needs at three in the morning: burn rates, budget consumed, time to exhaustion.
StringPairs slo_annotations(const SloSpec& slo, const Budget& budget, const Burns& burns,
                            const BurnWindow& pair);
// The same condition over our own burn-rate series, for /api/v1/rules and generator links.
std::string slo_expression(const SloSpec& slo, const std::vector<BurnWindow>& windows,
                           std::string_view severity);

// How often the whole SLO window is read again: 30 days every 5 minutes, never more often than the rule runs.
// Shorter windows are read at every evaluation.
Millis period_refresh(Millis period, Millis interval);

}  // namespace plumbline::alerting
