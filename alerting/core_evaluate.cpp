// Core: evaluate and commit.
#include <fmt/format.h>

#include "alerting/core.hpp"
#include "daemon/base/bytes.hpp"

namespace plumbline::alerting {

void Core::run(const Job& job) {
  std::shared_ptr<const Plan> plan;
  {
    Lock lock(mutex_);
    plan = plan_;
  }
  const PlannedUnit& unit = plan->units[job.unit];
  const Steady begin = needs_.clock.steady();
  if (unit.kind == PlannedUnit::Kind::group) {
    // One after the other, each stored before the next, so that a rule sees what the rules above it recorded.
    for (std::size_t r = 0; r < unit.rules.size(); ++r) run_rules(job, r, 1);
  } else {
    run_rules(job, 0, unit.rules.size());
  }
  Lock lock(mutex_);
  UnitRuntime& runtime = units_[job.unit];
  runtime.running = false;
  runtime.last_ms = job.slot_ms;
  runtime.seconds = std::chrono::duration<double>(needs_.clock.steady() - begin).count();
  refresh_gauges();
  if (--running_ == 0) idle_.notify_all();
}

std::vector<std::pair<std::string, std::string>> Core::run_at(const Job& job) {
  {
    Lock lock(mutex_);
    units_[job.unit].running = true;
    ++running_;
  }
  run(job);
  Lock lock(mutex_);
  std::vector<std::pair<std::string, std::string>> failed;
  const std::vector<RuleRuntime>& rules = units_[job.unit].rules;
  for (std::size_t r = 0; r < rules.size(); ++r)
    if (rules[r].health == Health::err)
      failed.emplace_back(plan_->units[job.unit].rules[r].name, rules[r].last_error);
  return failed;
}

void Core::run_rules(const Job& job, std::size_t first, std::size_t count) {
  std::shared_ptr<const Plan> plan;
  Before before;
  std::vector<Alerts> copies;  // a reader may look at the alerts while the evaluation reads them
  {
    Lock lock(mutex_);
    if (stopping_) return;
    plan = plan_;
    UnitRuntime& runtime = units_[job.unit];
    if (plan->units[job.unit].kind != PlannedUnit::Kind::group) {
      for (const RuleRuntime& rule : runtime.rules) copies.push_back(rule.alerts);
      before.streaks = runtime.rules[0].streaks;
      before.period_read_ms = runtime.period_read_ms;
      const auto& slo = plan->units[job.unit].slo;
      if (slo && runtime.burns.contains(slo->window)) before.period = runtime.burns.at(slo->window);
    }
  }
  for (const Alerts& alerts : copies) before.alerts.push_back(&alerts);
  const PlannedUnit& unit = plan->units[job.unit];
  const Steady begin = needs_.clock.steady();
  Result<Evaluated> evaluated = unit.kind == PlannedUnit::Kind::slo
                                    ? evaluate_slo(*plan, unit, needs_.sources, before, job.slot_ms)
                                : unit.kind == PlannedUnit::Kind::drift
                                    ? evaluate_drift(*plan, unit, needs_.sources, before, job.slot_ms)
                                    : evaluate_rule(*plan, unit, first, needs_.sources, job.slot_ms);
  const double seconds = std::chrono::duration<double>(needs_.clock.steady() - begin).count();
  Lock lock(mutex_);
  Status status;
  if (evaluated)
    status = commit(job.unit, first, std::move(*evaluated), job.slot_ms);
  else
    status = fail(std::move(evaluated).error());
  for (std::size_t r = first; r < first + count; ++r) note(job.unit, r, status, seconds);
}

void Core::note(std::size_t unit, std::size_t rule, const Status& status, double seconds) {
  RuleRuntime& runtime = units_[unit].rules[rule];
  const PlannedUnit& planned = plan_->units[unit];
  evaluations_.add();
  seconds_.observe(seconds);
  runtime.last_ms = needs_.clock.now_ms();
  runtime.seconds = seconds;
  if (status) {
    runtime.health = Health::ok;
    runtime.last_error.clear();
    return;
  }
  needs_.registry
      .counter("plumbline_rule_evaluation_failures_total", "Rule evaluations that failed, by cause.",
               {{"reason", std::string(name_of(status.error().code))}})
      .add();
  // Once when it begins, not once per slot: the health of the rule says that it goes on.
  if (runtime.last_error != status.error().message)
    needs_.log.warn(
        "rule evaluation failed",
        {{"group", planned.name}, {"rule", planned.rules[rule].name}, {"error", status.error().message}});
  runtime.health = Health::err;
  runtime.last_error = status.error().message;
}

Status Core::commit(std::size_t unit_index, std::size_t main_rule, Evaluated evaluated, std::int64_t ts_ms) {
  struct Next {
    std::size_t rule;
    StepResult step;
    std::set<Labels> previous;
    bool stored;
  };
  const PlannedUnit& unit = plan_->units[unit_index];
  UnitRuntime& runtime = units_[unit_index];
  const std::int64_t at_ms = ts_ms - unit.query_offset_ms;
  storage::WriteBatch batch;
  std::vector<AlertEvent> events;
  std::vector<Next> next;
  std::uint64_t history = history_next_;
  Status limit;

  if (evaluated.breaches.empty()) evaluated.breaches.push_back({main_rule, {}});  // a recording rule
  for (const RuleBreaches& breaches : evaluated.breaches) {
    const PlannedRule& rule = unit.rules[breaches.rule];
    const RuleRuntime& was = runtime.rules[breaches.rule];
    Next n{breaches.rule, {}, {}, false};
    if (rule.alerting) {
      Alerts alerts = was.alerts;
      if (was.restored) discount_downtime(alerts, was.evaluated_ms, ts_ms, unit.interval_ms);
      n.step = step(alerts, rule.timing, breaches.breaches, ts_ms);
      if (n.step.error) limit = fail(Code::over_limit, *n.step.error);
    }
    std::vector<storage::SeriesSamples> series = alert_series(n.step.alerts, at_ms);
    if (breaches.rule == main_rule)
      for (storage::SeriesSamples& s : evaluated.series) series.push_back(std::move(s));
    for (const storage::SeriesSamples& s : series) n.previous.insert(s.labels);
    if (breaches.rule == main_rule)
      for (storage::SeriesHistograms& s : evaluated.histograms) {
        n.previous.insert(s.labels);
        batch.histograms.push_back(std::move(s));
      }
    add_stale_markers(was.previous, n.previous, at_ms, series);
    for (storage::SeriesSamples& s : series) batch.series.push_back(std::move(s));

    const Streaks& streaks = unit.kind == PlannedUnit::Kind::drift ? evaluated.streaks : was.streaks;
    n.stored = !n.step.alerts.empty() || !streaks.empty();
    if (n.stored)
      batch.state.push_back(
          {std::string(rule_prefix) + rule.uid, encode(RuleRecord{ts_ms, n.step.alerts, streaks})});
    else if (was.stored)
      batch.state.push_back({std::string(rule_prefix) + rule.uid, std::nullopt});

    for (const Transition& t : n.step.transitions) {
      switch (t.change) {
        case Change::fired:
          events.push_back({AlertEvent::Kind::fire, routed(rule, t.alert, 0)});
          break;
        case Change::refreshed:
          events.push_back({AlertEvent::Kind::refresh, routed(rule, t.alert, 0)});
          break;
        case Change::resolved:
        case Change::demoted:
          events.push_back({AlertEvent::Kind::resolve, routed(rule, t.alert, ts_ms)});
          break;
        case Change::pended:
        case Change::withdrawn:
          break;
      }
      if (t.change == Change::refreshed) continue;
      batch.state.push_back({seq_key(history_prefix, history++),
                             encode(HistoryRow{ts_ms, t.change, rule.name, t.alert.labels, t.alert.value})});
    }
    next.push_back(std::move(n));
  }
  std::uint64_t first = history_first_;
  while (history - first > history_rows_max)
    batch.state.push_back({seq_key(history_prefix, first++), std::nullopt});
  const GroupChanges groups = grouping_.apply(events, needs_.clock.now_ms());
  put_groups(groups, batch);

  if (!batch.empty()) {
    const Status written = write(std::move(batch));
    if (!written) return fail(written.error().in("the result is not stored"));
  }
  for (Next& n : next) {
    RuleRuntime& rule = runtime.rules[n.rule];
    rule.alerts = std::move(n.step.alerts);
    rule.previous = std::move(n.previous);
    rule.stored = n.stored;
    rule.restored = false;
    rule.evaluated_ms = ts_ms;
    if (unit.kind == PlannedUnit::Kind::drift) rule.streaks = evaluated.streaks;
  }
  history_first_ = first;
  history_next_ = history;
  grouping_.install(groups);
  if (groups.refused > 0) not_routed_.add(groups.refused);
  runtime.burns = std::move(evaluated.burns);
  runtime.period_read_ms = evaluated.period_read_ms;
  const std::int64_t now_ms = needs_.clock.now_ms();
  if (unit.kind == PlannedUnit::Kind::drift) {
    RuleRuntime& rule = runtime.rules[0];
    rule.insufficient = evaluated.insufficient;
    if (!rule.insufficient.empty() && now_ms - rule.insufficient_logged_ms >= 60'000) {
      rule.insufficient_logged_ms = now_ms;
      needs_.log.info("drift rule has insufficient data", {{"rule", unit.drift->name}, {"reason", rule.insufficient}});
    }
  }
  return limit;
}

Status Core::write(storage::WriteBatch batch) {
  batch.state.insert(batch.state.begin(), owed_.begin(), owed_.end());
  auto receipt = needs_.writer.write(std::move(batch));
  if (!receipt) {
    writes_failed_.add();
    return fail(std::move(receipt).error());
  }
  owed_.clear();
  for (const storage::Refusal& refusal : receipt->refusals)
    needs_.registry
        .counter("plumbline_rule_samples_refused_total", "Samples of rules that the store refused.",
                 {{"reason", refusal.reason}})
        .add(refusal.count);
  return {};
}

void Core::put_groups(const GroupChanges& changes, storage::WriteBatch& batch) const {
  for (const GroupId& id : changes.durable) {
    const auto it = changes.groups.find(id);
    const AlertGroup* known = it != changes.groups.end() && it->second ? &*it->second : nullptr;
    if (!known) {
      const auto installed = grouping_.groups().find(id);
      if (installed == grouping_.groups().end()) continue;
      known = &installed->second;
    }
    std::string key = std::string(group_prefix) + hash128_hex(known->receiver + '\0' + known->key);
    const bool gone = it != changes.groups.end() && !it->second;
    if (gone)
      batch.state.push_back({std::move(key), std::nullopt});
    else
      batch.state.push_back({std::move(key), encode(*known)});
  }
}

}  // namespace plumbline::alerting
