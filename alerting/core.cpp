#include "alerting/core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "daemon/base/bytes.hpp"

namespace plumbline::alerting {

std::string_view name_of(Health health) {
  return health == Health::ok ? "ok" : health == Health::err ? "err" : "unknown";
}

Core::Core(Needs needs)
    : needs_(std::move(needs)),
      evaluations_(
          needs_.registry.counter("plumbline_rule_evaluations_total", "Rule evaluations, good and bad.")),
      missed_(needs_.registry.counter("plumbline_rule_slots_missed_total",
                                      "Evaluation slots that passed while the daemon was busy.")),
      writes_failed_(needs_.registry.counter("plumbline_alerting_writes_failed_total",
                                             "Batches of rule results that the store did not take.")),
      not_routed_(needs_.registry.counter("plumbline_alerts_not_routed_total",
                                          "Alerts beyond the limit of notification groups.",
                                          {{"reason", "limit"}})),
      dead_dropped_(needs_.registry.counter("plumbline_dead_letters_dropped_total",
                                            "Dead letters removed to keep the list bounded.",
                                            {{"reason", "limit"}})),
      seconds_(
          needs_.registry.histogram("plumbline_rule_evaluation_seconds", "Time of one rule evaluation.")),
      pending_(needs_.registry.gauge("plumbline_alerts", "Alerts by state.", {{"state", "pending"}})),
      firing_(needs_.registry.gauge("plumbline_alerts", "Alerts by state.", {{"state", "firing"}})),
      outbox_size_(needs_.registry.gauge("plumbline_outbox_deliveries",
                                         "Notifications that wait for their receiver.")),
      dead_size_(needs_.registry.gauge("plumbline_dead_letters", "Notifications that were given up.")),
      random_(needs_.seed) {}

double Core::uniform() {  // splitmix64: enough for jitter, and a seed replays it
  random_ += 0x9e3779b97f4a7c15ull;
  std::uint64_t z = random_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

Result<std::shared_ptr<const Plan>> Core::compile(const RuleSet& rules) const {
  std::vector<std::string> errors;
  auto plan = std::make_shared<const Plan>(make_plan(rules, needs_.check, errors));
  if (errors.empty()) return plan;
  std::string text;
  for (const std::string& e : errors) text += (text.empty() ? "" : "\n") + e;
  return fail(Code::invalid_input, text);
}

Status Core::restore_rows(Known& known, std::vector<AlertGroup>& groups) {
  Status newer;
  // A damaged row costs one rule its memory, never the daemon its start; a row of a newer version does stop
  // the start, because going on would overwrite what the newer program wrote.
  const auto trouble = [&](std::string_view key, const Error& error) {
    if (error.code == Code::unsupported)
      newer = fail(error.in(key));
    else
      needs_.log.error("alert state cannot be read and is left out",
                       {{"key", key}, {"error", error.message}});
  };
  const auto rows =
      [this](std::string_view prefix) -> Result<std::vector<std::pair<std::string, std::string>>> {
    std::vector<std::pair<std::string, std::string>> out;
    PLUMBLINE_CHECK_OK(needs_.state.list(prefix, [&](std::string_view key, std::string_view value) {
      out.emplace_back(key, value);
      return true;
    }));
    return out;
  };
  PLUMBLINE_TRY(const auto rule_rows, rows(rule_prefix));
  for (const auto& [key, value] : rule_rows) {
    auto record = decode_rule(value);
    if (!record) {
      trouble(key, record.error());
      continue;
    }
    RuleRuntime rule;
    rule.alerts = std::move(record->alerts);
    rule.streaks = std::move(record->streaks);
    rule.evaluated_ms = record->evaluated_ms;
    rule.restored = rule.stored = true;
    for (const storage::SeriesSamples& s : alert_series(rule.alerts, 0)) rule.previous.insert(s.labels);
    known.emplace(key.substr(rule_prefix.size()), std::move(rule));
  }
  PLUMBLINE_TRY(const auto group_rows, rows(group_prefix));
  for (const auto& [key, value] : group_rows) {
    if (auto group = decode_group(value))
      groups.push_back(std::move(*group));
    else
      trouble(key, group.error());
  }
  PLUMBLINE_TRY(const auto outbox_rows, rows(outbox_prefix));
  for (const auto& [key, value] : outbox_rows) {
    auto delivery = decode_delivery(value);
    if (!delivery) {
      trouble(key, delivery.error());
      continue;
    }
    next_seq_ = std::max(next_seq_, delivery->seq + 1);
    outbox_.add(std::move(*delivery));
  }
  PLUMBLINE_TRY(const auto dead_rows, rows(dead_prefix));
  for (const auto& [key, value] : dead_rows) {
    auto letter = decode_dead_letter(value);
    if (!letter) {
      trouble(key, letter.error());
      continue;
    }
    const std::uint64_t seq = letter->delivery.seq;
    next_seq_ = std::max(next_seq_, seq + 1);
    dead_.emplace(seq, std::move(*letter));
  }
  PLUMBLINE_TRY(const auto history_rows, rows(history_prefix));
  for (const auto& [key, value] : history_rows) {
    const auto seq = seq_of(key, history_prefix);
    if (!seq) {
      trouble(key, seq.error());
      continue;
    }
    if (history_next_ == 1) history_first_ = *seq;
    history_next_ = std::max(history_next_, *seq + 1);
  }
  return newer;
}

Status Core::start(const RuleSet& rules) {
  PLUMBLINE_TRY(auto plan, compile(rules));
  Lock lock(mutex_);
  Known known;
  std::vector<AlertGroup> groups;
  PLUMBLINE_CHECK_OK(restore_rows(known, groups));
  load(std::move(plan), std::move(known), groups);
  paused_ = false;
  needs_.log.info(
      "alerting started",
      {{"units", units_.size()}, {"alerts", pending_.value() + firing_.value()}, {"outbox", outbox_.size()}});
  return {};
}

Status Core::reload(const RuleSet& rules) {
  PLUMBLINE_TRY(auto plan, compile(rules));
  Lock lock(mutex_);
  paused_ = true;
  while (running_ > 0) idle_.wait(mutex_);
  Known known;
  for (std::size_t u = 0; u < units_.size(); ++u)
    for (std::size_t r = 0; r < units_[u].rules.size(); ++r)
      known.emplace(plan_->units[u].rules[r].uid, std::move(units_[u].rules[r]));
  std::vector<AlertGroup> groups;
  for (const auto& [id, group] : grouping_.groups()) groups.push_back(group);
  load(std::move(plan), std::move(known), groups);
  paused_ = stopping_;
  return {};
}

void Core::load(std::shared_ptr<const Plan> plan, Known known, const std::vector<AlertGroup>& groups) {
  const std::int64_t now_ms = needs_.clock.now_ms();
  plan_ = std::move(plan);
  units_.clear();
  for (const PlannedUnit& unit : plan_->units) {
    UnitRuntime runtime{Slots(unit.interval_ms, unit.offset_ms, now_ms)};
    for (const PlannedRule& rule : unit.rules) {
      const auto it = known.find(rule.uid);
      runtime.rules.push_back(it == known.end() ? RuleRuntime{} : std::move(it->second));
      if (it != known.end()) known.erase(it);
    }
    units_.push_back(std::move(runtime));
  }
  storage::WriteBatch batch;
  for (const auto& [uid, gone] : known) {  // rules that are no longer there: their alerts end here
    add_stale_markers(gone.previous, {}, now_ms, batch.series);
    if (gone.stored) batch.state.push_back({std::string(rule_prefix) + uid, std::nullopt});
  }
  for (const AlertGroup& group : groups)
    batch.state.push_back(
        {std::string(group_prefix) + hash128_hex(group.receiver + '\0' + group.key), std::nullopt});
  grouping_ = Grouping(plan_->routes);
  grouping_.adopt(groups, now_ms);
  reconcile(batch);
  refresh_gauges();
  if (batch.empty()) return;
  std::vector<storage::StatePut> puts = batch.state;
  if (const Status written = write(std::move(batch)); !written) {
    needs_.log.warn("rules are loaded, and their state is not stored yet",
                    {{"error", written.error().message}});
    owed_.insert(owed_.end(), puts.begin(), puts.end());
  }
}

// Alerts that fire and groups that know them, brought together: after a reload or a restart either side may
// have changed (a rule removed, an external label added, a route moved).
void Core::reconcile(storage::WriteBatch& batch) {
  const std::int64_t now_ms = needs_.clock.now_ms();
  std::vector<AlertEvent> events;
  std::set<Labels> firing;
  for (std::size_t u = 0; u < units_.size(); ++u) {
    for (std::size_t r = 0; r < units_[u].rules.size(); ++r) {
      for (const auto& [labels, alert] : units_[u].rules[r].alerts) {
        if (alert.state != AlertState::firing) continue;
        events.push_back({AlertEvent::Kind::refresh, routed(plan_->units[u].rules[r], alert, 0)});
        firing.insert(events.back().alert.labels);
      }
    }
  }
  for (const auto& [id, group] : grouping_.groups()) {
    for (const auto& [labels, alert] : group.alerts) {
      if (!alert.firing() || firing.contains(labels)) continue;
      AlertEvent event{AlertEvent::Kind::resolve, alert};
      event.alert.ends_at_ms = now_ms;
      events.push_back(std::move(event));
    }
  }
  const GroupChanges changes = grouping_.apply(events, now_ms);
  if (changes.refused > 0) not_routed_.add(changes.refused);
  grouping_.install(changes);
  GroupChanges all;
  for (const auto& [id, group] : grouping_.groups()) {
    all.groups.emplace(id, group);
    all.durable.insert(id);
  }
  put_groups(all, batch);
}

RoutedAlert Core::routed(const PlannedRule& rule, const Alert& alert, std::int64_t ends_at_ms) const {
  Labels labels = alert.labels;
  for (const auto& [name, value] : plan_->external_labels)
    if (!labels.has(name)) labels = labels.with(name, value);
  return {std::move(labels), alert.annotations, alert.fired_at_ms, ends_at_ms, rule.generator_url};
}

std::vector<Job> Core::take_due() {
  Lock lock(mutex_);
  std::vector<Job> out;
  if (paused_ || stopping_) return out;
  const std::int64_t now_ms = needs_.clock.now_ms();
  for (std::size_t u = 0; u < units_.size(); ++u) {
    UnitRuntime& unit = units_[u];
    if (unit.running) continue;  // never two evaluations of one unit; the slot is counted as missed later
    const auto due = unit.slots.take(now_ms);
    if (!due) continue;
    if (due->missed > 0) {
      unit.missed += due->missed;
      missed_.add(due->missed);
    }
    unit.running = true;
    ++running_;
    out.push_back({u, due->slot_ms});
  }
  return out;
}

void Core::abandon(const Job& job) {
  Lock lock(mutex_);
  units_[job.unit].running = false;
  ++units_[job.unit].missed;
  missed_.add();
  if (--running_ == 0) idle_.notify_all();
}

void Core::stop() {
  Lock lock(mutex_);
  stopping_ = true;
  while (running_ > 0) idle_.wait(mutex_);
  if (owed_.empty()) return;
  if (const Status written = write({}); !written)
    needs_.log.warn("deliveries that went out are not struck off; they repeat after the next start",
                    {{"error", written.error().message}});
}

std::int64_t Core::next_evaluation_ms() const {
  Lock lock(mutex_);
  std::int64_t next = std::max(grouping_.next_ms(), flush_not_before_ms_);
  for (const UnitRuntime& unit : units_)
    if (!unit.running) next = std::min(next, unit.slots.next_ms());
  return next;
}

std::int64_t Core::next_delivery_ms() const {
  Lock lock(mutex_);
  return outbox_.next_ms();
}

View Core::view() const {
  Lock lock(mutex_);
  View out{plan_, units_, {}, {}};
  for (const auto& [seq, delivery] : outbox_.rows()) out.outbox.push_back(delivery);
  for (const auto& [seq, letter] : dead_) out.dead.push_back(letter);
  return out;
}

Result<std::vector<HistoryRow>> Core::history(std::size_t rows_max) const {
  std::vector<HistoryRow> out;
  PLUMBLINE_CHECK_OK(needs_.state.list(history_prefix, [&](std::string_view, std::string_view value) {
    if (auto row = decode_history(value)) out.push_back(std::move(*row));
    return true;
  }));
  std::reverse(out.begin(), out.end());
  if (out.size() > rows_max) out.resize(rows_max);
  return out;
}

void Core::refresh_gauges() {
  double pending = 0, firing = 0;
  for (const UnitRuntime& unit : units_)
    for (const RuleRuntime& rule : unit.rules)
      for (const auto& [labels, alert] : rule.alerts)
        (alert.state == AlertState::firing ? firing : pending) += 1;
  pending_.set(pending);
  firing_.set(firing);
  outbox_size_.set(static_cast<double>(outbox_.size()));
  dead_size_.set(static_cast<double>(dead_.size()));
}

}  // namespace plumbline::alerting
