#include "alerting/evaluator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "daemon/base/text.hpp"

namespace plumbline::alerting {
namespace {

std::string expanded(const Template& text, const TemplateData& data) {
  auto out = text.expand(data);
  // Prometheus' behaviour: a broken annotation must not swallow the alert.
  return out ? std::move(*out) : "<error expanding template: " + out.error().message + ">";
}

TemplateData data_of(const Plan& plan, const Labels& labels, double value) {
  return {&labels, &plan.external_labels, plan.external_url, value};
}

// The rule's labels over the sample's, then alertname.
Breach make_breach(const Plan& plan, const PlannedRule& rule, const Labels& metric, double value) {
  const TemplateData data = data_of(plan, metric, value);
  Labels labels = metric.without(model::metric_name_label);
  for (const auto& [name, text] : rule.labels) labels = labels.with(name, expanded(text, data));
  Breach out{labels.with("alertname", rule.name), {}, value};
  for (const auto& [name, text] : rule.annotations) out.annotations.emplace_back(name, expanded(text, data));
  return out;
}

// For SLO and drift alerts: the rule's labels under ours, its annotations over our defaults.
Breach dress(const Plan& plan, const PlannedRule& rule, const Labels& own, StringPairs annotations,
             double value) {
  const Labels full = own.with("alertname", rule.name);
  const TemplateData data = data_of(plan, full, value);
  Labels labels = full;
  for (const auto& [name, text] : rule.labels)
    if (!full.has(name)) labels = labels.with(name, expanded(text, data));
  for (const auto& [name, text] : rule.annotations) {
    std::erase_if(annotations, [&](const auto& pair) { return pair.first == name; });
    annotations.emplace_back(name, expanded(text, data));
  }
  return {labels, std::move(annotations), value};
}

Breach as_it_was(const Alert& alert) {
  return {alert.labels, alert.annotations, alert.value};
}

Result<std::optional<double>> single(const Sources& sources, std::string_view what, const std::string& query,
                                     std::int64_t t_ms) {
  auto vector = sources.query(query, t_ms);
  if (!vector) return fail(std::move(vector).error().in(what));
  if (vector->empty()) return std::nullopt;
  if (vector->size() > 1)
    return fail(Code::execution, fmt::format("{} returned {} series; aggregate them into one with sum()",
                                             what, vector->size()));
  return vector->front().v;
}

}  // namespace

Sources make_sources(const query::Engine& engine, const query::Models& models) {
  Sources out;
  out.query = [&engine](std::string_view expression, std::int64_t t_ms) -> Result<query::Vector> {
    PLUMBLINE_TRY(query::Answer answer, engine.instant(expression, t_ms));
    if (auto* vector = std::get_if<query::Vector>(&answer.value)) return std::move(*vector);
    if (const auto* scalar = std::get_if<query::Scalar>(&answer.value))
      return query::Vector{{Labels(), scalar->t, scalar->v}};
    return fail(Code::execution, "rule result is not a vector or scalar");
  };
  out.drift = [&models](const query::DriftRequest& request) { return models.drift(request); };
  return out;
}

Result<Evaluated> evaluate_rule(const Plan& plan, const PlannedUnit& unit, std::size_t index,
                                const Sources& sources, std::int64_t ts_ms) {
  const PlannedRule& rule = unit.rules[index];
  const std::int64_t at_ms = ts_ms - unit.query_offset_ms;
  PLUMBLINE_TRY(const query::Vector vector, sources.query(rule.expr, at_ms));
  Evaluated out;
  if (rule.alerting) {
    RuleBreaches breaches{index, {}};
    std::set<Labels> seen;
    for (const query::VectorPoint& point : vector) {
      Breach breach = make_breach(plan, rule, point.labels, point.v);
      if (!seen.insert(breach.labels).second)
        return fail(Code::execution,
                    "vector contains metrics with the same labelset after applying alert labels: " +
                        breach.labels.str());
      breaches.breaches.push_back(std::move(breach));
    }
    out.breaches.push_back(std::move(breaches));
    return out;
  }
  std::set<Labels> seen;
  for (const query::VectorPoint& point : vector) {
    Labels labels = point.labels.with(model::metric_name_label, rule.name);
    for (const auto& [name, value] : rule.fixed_labels) labels = labels.with(name, value);
    if (!seen.insert(labels).second)
      return fail(
          Code::execution,
          "vector contains metrics with the same labelset after applying rule labels: " + labels.str());
    if (point.histogram)
      out.histograms.push_back({std::move(labels), {{at_ms, *point.histogram}}});
    else
      out.series.push_back({std::move(labels), {{at_ms, point.v}}});
  }
  if (unit.limit > 0 && vector.size() > unit.limit)
    return fail(Code::over_limit, fmt::format("exceeded limit of {} with {} series", unit.limit, vector.size()));
  return out;
}

Result<Evaluated> evaluate_slo(const Plan& plan, const PlannedUnit& unit, const Sources& sources,
                               const Before& before, std::int64_t ts_ms) {
  const SloSpec& slo = *unit.slo;
  Evaluated out;
  out.period_read_ms = before.period_read_ms;
  bool shared = false;  // the SLO window is also an alert window: it is read every time
  for (const BurnWindow& w : unit.windows)
    shared = shared || w.long_window == slo.window || w.short_window == slo.window;
  const auto read = [&](Millis window) -> Status {
    WindowReading reading;
    PLUMBLINE_TRY(reading.errors,
                  single(sources, "error_query", with_window(slo.error_query, window), ts_ms));
    PLUMBLINE_TRY(reading.total, single(sources, "total_query", with_window(slo.total_query, window), ts_ms));
    WindowBurn burn;
    burn.ratio = error_ratio(reading);
    if (burn.ratio) burn.burn = *burn.ratio / unit.budget.value();
    out.burns[window] = burn;
    if (window == slo.window) out.period_read_ms = ts_ms;
    return {};
  };
  for (const Millis window : windows_needed(slo))
    if (shared || window != slo.window) PLUMBLINE_CHECK_OK(read(window));
  if (!shared) {
    // The SLO window is long and slow to read: seldom is enough, but an alert must not speak of a budget as it was before
    // the incident, nor as it was before there was traffic.
    const std::int64_t age = ts_ms - before.period_read_ms;
    const bool burns_now = std::ranges::any_of(unit.rules, [&](const PlannedRule& rule) {
      return !burning(unit.windows, rule.severity, unit.budget, out.burns).empty();
    });
    const bool keep = before.period_read_ms != 0 && before.period.ratio && !burns_now && age >= 0 &&
                      age < period_refresh(slo.window, slo.interval).count();
    if (keep) out.burns[slo.window] = before.period;
    else PLUMBLINE_CHECK_OK(read(slo.window));
  }
  out.series = slo_series(slo, unit.budget, out.burns, ts_ms);
  for (std::size_t i = 0; i < unit.rules.size(); ++i) {
    const PlannedRule& rule = unit.rules[i];
    RuleBreaches breaches{i, {}};
    const auto pairs = burning(unit.windows, rule.severity, unit.budget, out.burns);
    if (!pairs.empty()) {
      // One alert per severity. It keeps the window it began with while any pair burns: when the fast pair
      // recovers before the slow one, that is the same incident and not a resolved and a new alert.
      std::string long_window = format_duration_ms(pairs[0].long_window.count());
      const BurnWindow* pair = &pairs[0];
      if (i < before.alerts.size() && before.alerts[i] && !before.alerts[i]->empty()) {
        long_window = before.alerts[i]->begin()->first.get("long_window");
        for (const BurnWindow& p : pairs)
          if (format_duration_ms(p.long_window.count()) == long_window) pair = &p;
      }
      const Labels own = Labels::trusted({{"slo", slo.name},
                                          {"service", slo.service},
                                          {"severity", rule.severity},
                                          {"long_window", long_window}});
      const double burn = *out.burns[pair->long_window].burn;
      breaches.breaches.push_back(
          dress(plan, rule, own, slo_annotations(slo, unit.budget, out.burns, *pair), burn));
    }
    out.breaches.push_back(std::move(breaches));
  }
  return out;
}

Result<Evaluated> evaluate_drift(const Plan& plan, const PlannedUnit& unit, const Sources& sources,
                                 const Before& before, std::int64_t ts_ms) {
  const DriftSpec& spec = *unit.drift;
  const PlannedRule& rule = unit.rules[0];
  static const Alerts none;
  const Alerts& alerts = before.alerts.empty() || !before.alerts[0] ? none : *before.alerts[0];
  Evaluated out;
  RuleBreaches breaches{0, {}};
  auto report = sources.drift(drift_request(spec, ts_ms));
  if (!report) {
    if (report.error().code != Code::not_found) return fail(std::move(report).error());
    // The model's first record or the reference may come later than the rule: that is no error, and no
    // verdict either.
    out.insufficient = report.error().message;
    out.streaks = before.streaks;
    for (const auto& [labels, alert] : alerts) breaches.breaches.push_back(as_it_was(alert));
    out.breaches.push_back(std::move(breaches));
    return out;
  }
  if (report->window_rows == 0)
    out.insufficient = !report->notes.empty() ? report->notes.front()
                       : spec.where.empty()   ? fmt::format("no records of model {} in the last {}", json_quote(spec.model), format_duration_ms(spec.window.count()))
                                              : fmt::format("no record of model {} in the last {} passes where: {}", json_quote(spec.model),
                                                            format_duration_ms(spec.window.count()), spec.where);
  DriftStep step = drift_step(spec, *report, before.streaks, ts_ms);
  out.series = std::move(step.series);
  out.streaks = std::move(step.streaks);
  for (Breach& breach : step.breaches)
    breaches.breaches.push_back(
        dress(plan, rule, breach.labels, std::move(breach.annotations), breach.value));
  for (const auto& [labels, alert] : alerts)
    if (std::find(step.unknown.begin(), step.unknown.end(), std::string(labels.get("feature"))) !=
        step.unknown.end())
      breaches.breaches.push_back(as_it_was(alert));
  out.breaches.push_back(std::move(breaches));
  return out;
}

}  // namespace plumbline::alerting
