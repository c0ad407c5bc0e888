#include <catch2/catch.hpp>

#include "alerting/alert_machine.hpp"
#include "alerting/drift.hpp"
#include "alerting/records.hpp"
#include "alerting/schedule.hpp"

using namespace plumbline;
using namespace plumbline::alerting;

TEST_CASE("slots are interval-aligned and shifted by a stable hash", "[alerting][schedule]") {
  const std::int64_t offset = slot_offset_ms("group", "rules.yaml", 60'000);
  CHECK(offset >= 0);
  CHECK(offset < 60'000);
  CHECK(offset == slot_offset_ms("group", "rules.yaml", 60'000));
  CHECK(offset != slot_offset_ms("other", "rules.yaml", 60'000));
  CHECK(slot_at_ms(125'000, 60'000, 5'000) == 125'000);
  CHECK(slot_at_ms(124'999, 60'000, 5'000) == 65'000);
  CHECK(slot_at_ms(1'000, 60'000, 5'000) == -55'000);
}

TEST_CASE("slots that passed are counted, and evaluated once", "[alerting][schedule]") {
  Slots slots(60'000, 5'000, 1'000'000);
  CHECK(slots.next_ms() == 1'025'000);
  CHECK_FALSE(slots.take(1'024'999));
  auto due = slots.take(1'025'010);
  REQUIRE(due);
  CHECK(due->slot_ms == 1'025'000);
  CHECK(due->missed == 0);
  CHECK_FALSE(slots.take(1'025'011));
  due = slots.take(1'025'000 + 3 * 60'000 + 59'999);
  REQUIRE(due);
  CHECK(due->slot_ms == 1'025'000 + 3 * 60'000);
  CHECK(due->missed == 2);
  SECTION("a clock that jumps back plans anew") {
    CHECK_FALSE(slots.take(500'000));
    CHECK(slots.next_ms() == 545'000);
    CHECK(slots.take(545'000));
  }
}

namespace {

const Labels a = Labels::of({{"alertname", "A"}, {"job", "a"}});
const Labels b = Labels::of({{"alertname", "A"}, {"job", "b"}});
std::vector<Breach> on(std::initializer_list<Labels> labels, double value = 1) {
  std::vector<Breach> out;
  for (const Labels& l : labels) out.push_back({l, {}, value});
  return out;
}
std::string changes(const StepResult& result) {
  std::string out;
  for (const Transition& t : result.transitions)
    out += std::string(out.empty() ? "" : " ") + std::string(name_of(t.change)) + "(" +
           std::string(t.alert.labels.get("job")) + ")";
  return out;
}

}  // namespace

TEST_CASE("an alert waits for `for`, fires, and resolves", "[alerting][machine]") {
  const Timing timing{Millis(120'000), Millis(0), 0};
  StepResult r = step({}, timing, on({a}), 1'000'000);
  CHECK(changes(r) == "pending(a)");
  r = step(r.alerts, timing, on({a}, 2), 1'060'000);
  CHECK(changes(r).empty());
  CHECK(r.alerts.at(a).value == 2);
  r = step(r.alerts, timing, on({a}, 3), 1'120'000);
  CHECK(changes(r) == "firing(a)");
  CHECK(r.alerts.at(a).active_at_ms == 1'000'000);
  CHECK(r.alerts.at(a).fired_at_ms == 1'120'000);
  r = step(r.alerts, timing, on({a, b}), 1'180'000);
  CHECK(changes(r) == "refreshed(a) pending(b)");
  r = step(r.alerts, timing, {}, 1'240'000);
  CHECK(changes(r) == "resolved(a) withdrawn(b)");
  CHECK(r.alerts.empty());
}

TEST_CASE("without `for` an alert fires at once", "[alerting][machine]") {
  CHECK(changes(step({}, {}, on({a}), 5)) == "firing(a)");
}

TEST_CASE("keep_firing_for holds a firing alert and no pending one", "[alerting][machine]") {
  const Timing timing{Millis(0), Millis(120'000), 0};
  StepResult r = step({}, timing, on({a}), 1'000'000);
  r = step(r.alerts, timing, {}, 1'060'000);
  CHECK(changes(r) == "refreshed(a)");
  CHECK(r.alerts.at(a).keep_since_ms == 1'060'000);
  SECTION("the condition comes back") {
    r = step(r.alerts, timing, on({a}), 1'120'000);
    CHECK(r.alerts.at(a).keep_since_ms == 0);
  }
  SECTION("it stays away") {
    r = step(r.alerts, timing, {}, 1'179'999);
    CHECK(changes(r) == "refreshed(a)");
    r = step(r.alerts, timing, {}, 1'180'000);
    CHECK(changes(r) == "resolved(a)");
  }
}

TEST_CASE("a raised `for` makes a firing alert pending again", "[alerting][machine]") {
  StepResult r = step({}, {}, on({a}), 1'000'000);
  r = step(r.alerts, {Millis(600'000), Millis(0), 0}, on({a}), 1'060'000);
  CHECK(changes(r) == "demoted(a)");
  CHECK(r.alerts.at(a).state == AlertState::pending);
}

TEST_CASE("over the limit every alert of the rule is dropped", "[alerting][machine]") {
  const Timing timing{Millis(0), Millis(0), 1};
  StepResult r = step({}, timing, on({a}), 1'000);
  r = step(r.alerts, timing, on({a, b}), 2'000);
  REQUIRE(r.error);
  CHECK(*r.error == "exceeded limit of 1 with 2 alerts");
  CHECK(r.alerts.empty());
  CHECK(changes(r) == "resolved(a)");
}

TEST_CASE("downtime does not count towards for and keep_firing_for", "[alerting][machine]") {
  const Timing timing{Millis(300'000), Millis(0), 0};
  Alerts alerts = step({}, timing, on({a}), 1'000'000).alerts;
  discount_downtime(alerts, 1'120'000, 1'180'000, 60'000);  // one interval: no downtime
  CHECK(alerts.at(a).active_at_ms == 1'000'000);
  discount_downtime(alerts, 1'120'000, 1'120'000 + 3'600'000, 60'000);
  CHECK(alerts.at(a).active_at_ms == 1'000'000 + 3'540'000);
}

TEST_CASE("ALERTS and ALERTS_FOR_STATE follow the alert, with stale markers for what vanished",
          "[alerting][machine]") {
  const StepResult r = step({}, {Millis(60'000), Millis(0), 0}, on({a}), 90'500);
  const auto series = alert_series(r.alerts, 90'500);
  REQUIRE(series.size() == 2);
  CHECK(series[0].labels ==
        Labels::of({{"__name__", "ALERTS"}, {"alertname", "A"}, {"alertstate", "pending"}, {"job", "a"}}));
  CHECK(series[0].samples[0].v == 1);
  CHECK(series[1].labels.metric() == "ALERTS_FOR_STATE");
  CHECK(series[1].samples[0].v == 90);
  std::vector<storage::SeriesSamples> out;
  add_stale_markers({a, b}, {b}, 7, out);
  REQUIRE(out.size() == 1);
  CHECK(out[0].labels == a);
  CHECK(model::is_stale(out[0].samples[0].v));
}

TEST_CASE("stored forms come back as they were, and damaged ones are refused", "[alerting][records]") {
  RuleRecord record{123, step({}, {}, {{a, {{"summary", "x"}}, 1.5}}, 99).alerts, {{"age", 2}}};
  const auto back = decode_rule(encode(record));
  REQUIRE(back);
  CHECK(back->alerts == record.alerts);
  CHECK(back->streaks == record.streaks);
  CHECK(back->evaluated_ms == 123);
  const Delivery delivery{7, "msg_1", "hook", 1, "{}:{}", "{}", 1, 2, 3, "no"};
  REQUIRE(decode_delivery(encode(delivery)));
  CHECK(*decode_delivery(encode(delivery)) == delivery);
  AlertGroup group{"hook", "k", a, {{a, {a, {{"s", "t"}}, 5, 0, "http://x"}}}, {"f"}, {"r"}, 9, 0};
  const auto g = decode_group(encode(group));
  REQUIRE(g);
  CHECK(g->alerts == group.alerts);
  CHECK(g->told_firing == group.told_firing);
  const std::string bytes = encode(record);
  for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(decode_rule(bytes.substr(0, n)));
  CHECK(decode_rule("\x63").error().code == Code::unsupported);
}

namespace {

query::DriftReport report(std::string feature, double value, query::Verdict verdict) {
  query::DriftReport out;
  out.reference = "training@1";
  query::DriftScore s;
  s.feature = std::move(feature);
  s.value = value;
  s.n = 1000;
  s.m = 300;
  s.verdict = verdict;
  out.scores.push_back(s);
  return out;
}

}  // namespace

TEST_CASE("a drift rule counts evaluations in a row, and insufficient data neither counts nor breaks the row",
          "[alerting][drift]") {
  DriftSpec rule;
  rule.name = "psi";
  rule.model = "credit";
  rule.reference = "training";
  rule.consecutive = 2;
  DriftStep s = drift_step(rule, report("age", 0.4, query::Verdict::drifted), {}, 60'000);
  CHECK(s.breaches.empty());
  CHECK(s.streaks.at("age") == 1);
  s = drift_step(rule, report("age", 0, query::Verdict::insufficient_data), s.streaks, 120'000);
  CHECK(s.breaches.empty());
  CHECK(s.unknown == std::vector<std::string>{"age"});
  CHECK(s.series.size() == 2);  // rows and the verdict, no score
  CHECK(s.series[1].samples[0].v == -1);
  s = drift_step(rule, report("age", 0.5, query::Verdict::drifted), s.streaks, 180'000);
  REQUIRE(s.breaches.size() == 1);
  CHECK(
      s.breaches[0].labels ==
      Labels::of({{"feature", "age"}, {"model", "credit"}, {"reference", "training"}, {"statistic", "psi"}}));
  CHECK(s.series.size() == 3);
  CHECK(s.series[1].labels == Labels::of({{"__name__", "plumbline_drift_score"},
                                          {"feature", "age"},
                                          {"model", "credit"},
                                          {"reference", "training"},
                                          {"rule", "psi"},
                                          {"statistic", "psi"}}));
  s = drift_step(rule, report("age", 0.1, query::Verdict::ok), s.streaks, 240'000);
  CHECK(s.streaks.empty());
}
