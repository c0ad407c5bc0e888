#include <catch2/catch.hpp>

#include "alerting/routes.hpp"
#include "rig.hpp"

using namespace plumbline;
using namespace plumbline::alerting;
using model::Labels;
using namespace std::chrono_literals;

namespace {

const Labels down = Labels::of({{"__name__", "up"}, {"job", "a"}});

RuleSet rules_with(Millis hold, Millis keep = Millis(0)) {
  RuleSet out;
  GroupSpec group;
  group.name = "g";
  group.file = "r.yaml";
  group.interval = 60s;
  RuleSpec rule;
  rule.alert = "Down";
  rule.expr = "down";
  rule.hold = hold;
  rule.keep_firing_for = keep;
  rule.labels = {{"severity", "page"}};
  rule.annotations = {{"summary", "{{ $labels.job }} is {{ $value }}"}};
  group.rules.push_back(rule);
  out.groups.push_back(group);
  out.receivers = {simple_receiver("hook")};
  out.route = simple_route("hook", 0s, 60s, 4h);
  out.external_labels = {{"cluster", "eu"}};
  out.external_url = "http://plumb/";
  return out;
}

struct World {
  test::MemoryStore store;
  test::ManualClock clock;
  FakeData data;
  bool is_down = true;
  std::unique_ptr<Rig> rig;
  World() {
    data.queries["down"] = [this](std::int64_t) -> Result<query::Vector> {
      return is_down ? one(down, 0) : query::Vector{};
    };
  }
  Rig& start(const RuleSet& rules) {
    rig = std::make_unique<Rig>(data.sources(), store, clock);
    const Status started = rig->core.start(rules);
    INFO((started ? "" : started.error().message));
    REQUIRE(started);
    return *rig;
  }
  std::size_t keys(std::string_view prefix) {
    std::size_t n = 0;
    REQUIRE(store.list(prefix, [&](std::string_view, std::string_view) { return ++n, true; }));
    return n;
  }
};

http::Request get(http::Pairs query = {}) {
  http::Request out;
  out.method = "GET";
  out.query = std::move(query);
  return out;
}

}  // namespace

TEST_CASE("a rule fires, is told, and its end is told", "[alerting][core]") {
  World w;
  Rig& rig = w.start(rules_with(120s));
  rig.advance(60s);
  CHECK(rig.state() == "pending");
  CHECK(rig.client.requests.empty());
  rig.advance(120s);
  CHECK(rig.state() == "firing");
  REQUIRE(rig.client.requests.size() == 1);
  const std::string body = rig.client.requests[0].body;
  CHECK(body.find("\"status\":\"firing\"") != std::string::npos);
  CHECK(body.find(
            "\"labels\":{\"alertname\":\"Down\",\"cluster\":\"eu\",\"job\":\"a\",\"severity\":\"page\"}") !=
        std::string::npos);
  CHECK(body.find("\"summary\":\"a is 0\"") != std::string::npos);
  CHECK(body.find("\"generatorURL\":\"http://plumb/api/v1/query?query=down\"") != std::string::npos);
  w.is_down = false;
  rig.advance(120s);
  CHECK(rig.state() == "inactive");
  REQUIRE(rig.client.requests.size() == 2);
  CHECK(rig.client.requests[1].body.find("\"status\":\"resolved\"") != std::string::npos);
  CHECK(header(rig.client.requests[0], "webhook-id") != header(rig.client.requests[1], "webhook-id"));
  CHECK(w.keys(outbox_prefix) == 0);
  CHECK(w.keys(rule_prefix) == 0);
  CHECK(w.keys(group_prefix) == 0);
  CHECK(w.keys(history_prefix) == 3);
  const auto history = rig.core.history(10);
  REQUIRE(history);
  CHECK((*history)[0].change == Change::resolved);

  const Labels alerts =
      Labels::of({{"__name__", "ALERTS"}, {"alertname", "Down"}, {"job", "a"}, {"severity", "page"}});
  const auto pending = samples_of(w.store, alerts.with("alertstate", "pending"));
  const auto firing = samples_of(w.store, alerts.with("alertstate", "firing"));
  REQUIRE(pending.size() == 3);  // 1, 1, stale
  CHECK(model::is_stale(pending[2].v));
  REQUIRE(firing.size() >= 2);
  CHECK(firing[0].t == pending[2].t);
  CHECK(firing[0].t - pending[0].t == 120'000);
  CHECK(model::is_stale(firing.back().v));
  CHECK(samples_of(w.store, alerts.with("__name__", "ALERTS_FOR_STATE"))[0].v ==
        static_cast<double>(pending[0].t / 1000));
}

TEST_CASE("if the store does not take the result, nothing is told and nothing advances", "[alerting][core]") {
  World w;
  Rig& rig = w.start(rules_with(0s));
  w.store.fail_writes(Error{Code::unavailable, "disk full"});
  rig.advance(120s);
  CHECK(rig.state() == "inactive");
  CHECK(rig.rule().health == Health::err);
  CHECK(rig.rule().last_error == "the result is not stored: disk full");
  CHECK(rig.client.requests.empty());
  w.store.fail_writes(std::nullopt);
  rig.advance(60s);
  CHECK(rig.state() == "firing");
  CHECK(rig.rule().health == Health::ok);
  CHECK(rig.client.requests.size() == 1);
}

TEST_CASE("a notification that cannot be stored is not sent, and goes out later", "[alerting][core]") {
  World w;
  RuleSet rules = rules_with(0s);
  rules.route->group_wait = 10s;
  Rig& rig = w.start(rules);
  while (rig.state() != "firing") rig.advance(1s);
  w.store.fail_writes(Error{Code::unavailable, "disk full"});
  rig.advance(20s);
  CHECK(rig.client.requests.empty());
  w.store.fail_writes(std::nullopt);
  rig.advance(10s);
  CHECK(rig.client.requests.size() == 1);
}

TEST_CASE("state survives a restart, and downtime does not count", "[alerting][core]") {
  World w;
  SECTION("pending") {
    w.start(rules_with(180s)).advance(120s);
    CHECK(w.rig->state() == "pending");
    w.clock.advance(1h);
    Rig& rig = w.start(rules_with(180s));
    CHECK(rig.state() == "pending");
    rig.advance(60s);
    CHECK(rig.state() == "pending");  // 60 s before, one interval now; without the discount it would fire
    rig.advance(60s);
    CHECK(rig.state() == "firing");
  }
  SECTION("firing: no second notification, and the end is told") {
    w.start(rules_with(60s)).advance(180s);
    CHECK(w.rig->state() == "firing");
    CHECK(w.rig->client.requests.size() == 1);
    const std::int64_t since = w.rig->rule().alerts.begin()->second.fired_at_ms;
    w.clock.advance(20min);
    Rig& rig = w.start(rules_with(60s));
    CHECK(rig.state() == "firing");
    rig.advance(180s);
    CHECK(rig.state() == "firing");
    CHECK(rig.rule().alerts.begin()->second.fired_at_ms == since);
    CHECK(rig.client.requests.empty());
    w.is_down = false;
    rig.advance(120s);
    REQUIRE(rig.client.requests.size() == 1);
    CHECK(rig.client.requests[0].body.find("\"status\":\"resolved\"") != std::string::npos);
  }
  SECTION("keep_firing_for") {
    w.start(rules_with(0s, 300s)).advance(60s);
    w.is_down = false;
    w.rig->advance(120s);
    CHECK(w.rig->state() == "firing");
    w.clock.advance(1h);
    Rig& rig = w.start(rules_with(0s, 300s));
    rig.advance(120s);
    CHECK(rig.state() == "firing");
    rig.advance(180s);
    CHECK(rig.state() == "inactive");
  }
  SECTION("a rule that is gone after the restart resolves its alerts") {
    w.start(rules_with(0s)).advance(120s);
    RuleSet none = rules_with(0s);
    none.groups[0].rules[0].alert = "Other";
    none.groups[0].rules[0].expr = "nothing";
    Rig& rig = w.start(none);
    rig.advance(120s);
    REQUIRE(rig.client.requests.size() == 1);
    CHECK(rig.client.requests[0].body.find("\"status\":\"resolved\"") != std::string::npos);
    CHECK(w.keys(rule_prefix) == 0);
    CHECK(w.keys(group_prefix) == 0);
  }
}

TEST_CASE("deliveries are retried with the same id, in order, also over a restart", "[alerting][core]") {
  World w;
  Rig& rig = w.start(rules_with(0s));
  rig.client.answers = {fail(Code::io, "connection refused"), http::Response::empty(503),
                        http::Response::empty(429).with("Retry-After", "40")};
  rig.advance(60s);
  REQUIRE(rig.client.requests.size() == 3);
  const std::string id = header(rig.client.requests[0], "webhook-id");
  CHECK(id.starts_with("msg_"));
  CHECK(header(rig.client.requests[2], "webhook-id") == id);
  CHECK(rig.core.view().outbox.at(0).attempts == 3);
  CHECK(w.keys(outbox_prefix) == 1);
  const auto before = rig.client.requests[0].body;
  CHECK(rig.registry.render().find(
            "plumbline_notifications_total{receiver=\"hook\",outcome=\"retried\"} 3") != std::string::npos);
  w.clock.advance(1h);
  Rig& again = w.start(rules_with(0s));
  again.step();
  REQUIRE(again.client.requests.size() == 1);
  CHECK(header(again.client.requests[0], "webhook-id") == id);
  CHECK(again.client.requests[0].body == before);
  CHECK(w.keys(outbox_prefix) == 0);
}

TEST_CASE("what a receiver refuses becomes a dead letter that can be read, without secrets",
          "[alerting][core]") {
  World w;
  Rig& rig = w.start(rules_with(0s));
  rig.client.answers = {http::Response::empty(400)};
  rig.advance(60s);
  const http::Response response = notifications_response(rig.core.view());
  CHECK(response.body.find("\"reason\":\"the receiver answered 400\"") != std::string::npos);
  CHECK(response.body.find("\"url\":\"http://127.0.0.1:9/hook\"") != std::string::npos);
  CHECK(response.body.find("secret") == std::string::npos);
  CHECK(w.keys(dead_prefix) == 1);
  Rig& again = w.start(rules_with(0s));
  CHECK(again.core.view().dead.size() == 1);
}

TEST_CASE("a query that fails keeps the alerts, duplicates and too many series are errors",
          "[alerting][core]") {
  World w;
  Rig& rig = w.start(rules_with(0s));
  rig.advance(60s);
  CHECK(rig.state() == "firing");
  w.data.queries["down"] = [](std::int64_t) -> Result<query::Vector> {
    return fail(Code::execution, "boom");
  };
  rig.advance(60s);
  CHECK(rig.state() == "firing");
  CHECK(rig.rule().last_error == "boom");
  w.data.queries["down"] = [](std::int64_t) -> Result<query::Vector> {
    return query::Vector{{Labels::of({{"__name__", "x"}, {"job", "a"}}), 0, 1},
                         {Labels::of({{"__name__", "y"}, {"job", "a"}}), 0, 1}};
  };
  rig.advance(60s);
  CHECK(rig.rule().last_error.starts_with(
      "vector contains metrics with the same labelset after applying alert labels"));
  CHECK(rig.rule().health == Health::err);
}

TEST_CASE("recording rules write their series, see the rules above, and mark what vanished stale",
          "[alerting][core]") {
  World w;
  RuleSet rules = rules_with(0s);
  RuleSpec record;
  record.record = "job:down:count";
  record.expr = "down";
  record.labels = {{"kind", "recorded"}};
  rules.groups[0].rules = {record};
  rules.groups[0].labels = {{"team", "ml"}};
  rules.groups[0].query_offset = 10s;
  Rig& rig = w.start(rules);
  rig.advance(60s);
  w.is_down = false;
  rig.advance(60s);
  const auto samples = samples_of(
      w.store,
      Labels::of({{"__name__", "job:down:count"}, {"job", "a"}, {"kind", "recorded"}, {"team", "ml"}}));
  REQUIRE(samples.size() == 2);
  CHECK(samples[0].v == 0);
  CHECK(model::is_stale(samples[1].v));
  CHECK((samples[0].t + 10'000 - slot_offset_ms("g", "r.yaml", 60'000)) % 60'000 == 0);
}

TEST_CASE("a reload keeps the alerts of unchanged rules and ends those of removed ones", "[alerting][core]") {
  World w;
  Rig& rig = w.start(rules_with(0s));
  rig.advance(60s);
  REQUIRE(rig.client.requests.size() == 1);
  RuleSet changed = rules_with(0s);
  changed.groups[0].rules.insert(changed.groups[0].rules.begin(), changed.groups[0].rules[0]);
  changed.groups[0].rules[0].alert = "New";
  changed.groups[0].rules[0].expr = "nothing";
  REQUIRE(rig.core.reload(changed));
  CHECK(rig.state(0, 1) == "firing");
  rig.advance(120s);
  CHECK(rig.client.requests.size() == 1);
  RuleSet bad = changed;
  bad.groups[0].rules[0].record = "both";
  CHECK(rig.core.reload(bad).error().code == Code::invalid_input);
  CHECK(rig.state(0, 1) == "firing");
  changed.groups[0].rules.pop_back();
  REQUIRE(rig.core.reload(changed));
  rig.advance(120s);
  REQUIRE(rig.client.requests.size() == 2);
  CHECK(rig.client.requests[1].body.find("\"status\":\"resolved\"") != std::string::npos);
  CHECK(model::is_stale(samples_of(w.store, Labels::of({{"__name__", "ALERTS"},
                                                        {"alertname", "Down"},
                                                        {"alertstate", "firing"},
                                                        {"job", "a"},
                                                        {"severity", "page"}}))
                            .back()
                            .v));
}

TEST_CASE("a drift rule waits for its model, fires per feature, and keeps firing when data get scarce",
          "[alerting][core]") {
  World w;
  RuleSet rules = rules_with(0s);
  rules.groups.clear();
  DriftSpec spec;
  spec.name = "fraud-psi";
  spec.model = "fraud";
  spec.reference = "training";
  spec.features = {"age"};
  spec.where = "segment.channel=\"web\"";
  spec.labels = {{"severity", "ticket"}, {"model", "not this"}};
  spec.annotations = {{"summary", "{{ $labels.feature }}: {{ $value }}"}};
  rules.drift = {spec};
  std::optional<query::Verdict> verdict;
  query::DriftRequest asked;
  w.data.drift = [&](const query::DriftRequest& r) -> Result<query::DriftReport> {
    asked = r;
    if (!verdict) return fail(Code::not_found, "no model fraud");
    query::DriftReport report;
    report.reference = "training@2";
    query::DriftScore score;
    score.feature = "age";
    score.value = 0.42;
    score.n = 5000;
    score.m = 700;
    score.verdict = *verdict;
    report.scores = {score};
    report.notes = {"where: no record of the window has \"feature.x\""};  // of a filter with "or": that alone blinds nothing
    report.window_rows = *verdict == query::Verdict::insufficient_data ? 0 : 700;
    return report;
  };
  Rig& rig = w.start(rules);
  rig.advance(60s);
  CHECK(rig.rule().health == Health::ok);
  CHECK(rig.core.view().units[0].rules[0].insufficient == "no model fraud");
  const auto blind = [&] { return rules_response(rig.core.view(), {}).body.find("\"health\":\"unknown\",\"lastError\":\"no model fraud\"") != std::string::npos; };
  CHECK(blind());
  REQUIRE(rig.core.reload(rules));
  CHECK(blind());
  CHECK(asked.window.end_ns - asked.window.start_ns == 3'600'000'000'000);
  verdict = query::Verdict::drifted;
  rig.advance(60s);
  REQUIRE(rig.client.requests.size() == 1);
  CHECK(rig.client.requests[0].body.find(
            "{\"alertname\":\"fraud-psi\",\"cluster\":\"eu\",\"feature\":\"age\",\"model\":\"fraud\","
            "\"reference\":\"training\",\"severity\":\"ticket\",\"statistic\":\"psi\"}") !=
        std::string::npos);
  CHECK(rules_response(rig.core.view(), {}).body.find("\"health\":\"ok\"") != std::string::npos);
  CHECK(rig.client.requests[0].body.find("\"summary\":\"age: 0.42\"") != std::string::npos);
  CHECK(rig.client.requests[0].body.find("\"generatorURL\":\"http://plumb/api/v1/models/fraud/drift?reference=training&statistic=psi"
                                         "&window=1h&threshold=0.25&rows_min=200&features=age&where=segment.channel%3D%22web%22\"") != std::string::npos);
  CHECK(rig.client.requests[0].body.find("\"reference_version\":\"training@2\"") != std::string::npos);
  verdict = query::Verdict::insufficient_data;
  rig.advance(180s);
  CHECK(rig.state() == "firing");
  CHECK(rig.core.view().units[0].rules[0].insufficient == "where: no record of the window has \"feature.x\"");
  CHECK(rig.client.requests.size() == 1);
  verdict = query::Verdict::ok;
  rig.advance(120s);
  CHECK(rig.state() == "inactive");
  CHECK(rig.client.requests.size() == 2);
  const auto verdicts = samples_of(w.store, Labels::of({{"__name__", "plumbline_drift_verdict"},
                                                        {"feature", "age"},
                                                        {"model", "fraud"},
                                                        {"reference", "training"},
                                                        {"rule", "fraud-psi"},
                                                        {"statistic", "psi"}}));
  REQUIRE(verdicts.size() == 6);
  CHECK(verdicts[0].v == 1);
  CHECK(verdicts[1].v == -1);
  CHECK(verdicts[5].v == 0);
}

TEST_CASE("/api/v1/rules and /api/v1/alerts have Prometheus' shape and filters", "[alerting][routes]") {
  World w;
  RuleSet rules = rules_with(60s, 5s);
  RuleSpec record;
  record.record = "job:down:count";
  record.expr = "down";
  rules.groups[0].rules.push_back(record);
  Rig& rig = w.start(rules);
  rig.advance(60s);
  const View view = rig.core.view();
  const std::string at = view.units[0].rules[0].alerts.begin()->second.active_at_ms ? "" : "?";
  CHECK(at.empty());
  const std::string body = rules_response(view, get()).body;
  CHECK(body.starts_with(
      "{\"status\":\"success\",\"data\":{\"groups\":[{\"name\":\"g\",\"file\":\"r.yaml\",\"rules\":[{"
      "\"state\":\"pending\",\"name\":\"Down\","
      "\"query\":\"down\",\"duration\":60,\"keepFiringFor\":5,\"labels\":{\"severity\":\"page\"},"
      "\"annotations\":{\"summary\":\"{{ $labels.job }} is {{ $value "
      "}}\"},\"alerts\":[{\"labels\":{\"alertname\":\"Down\",\"job\":\"a\","
      "\"severity\":\"page\"},\"annotations\":{\"summary\":\"a is "
      "0\"},\"state\":\"pending\",\"activeAt\":\""));
  CHECK(body.find("\"value\":\"0e+00\"}],\"health\":\"ok\",\"evaluationTime\":") != std::string::npos);
  CHECK(body.find("{\"name\":\"job:down:count\",\"query\":\"down\",\"health\":\"ok\",") != std::string::npos);
  CHECK(body.find("\"type\":\"recording\"}],\"interval\":60,\"limit\":0,") != std::string::npos);
  const auto has = [&](http::Pairs query, std::string_view text) {
    return rules_response(view, get(std::move(query))).body.find(text) != std::string::npos;
  };
  CHECK_FALSE(has({{"type", "record"}}, "\"Down\""));
  CHECK_FALSE(has({{"type", "alert"}}, "job:down:count"));
  CHECK(has({{"rule_name[]", "Down"}, {"rule_name[]", "x"}}, "\"Down\""));
  CHECK(has({{"rule_name[]", "x"}}, "\"groups\":[]"));
  CHECK(has({{"rule_group[]", "other"}}, "\"groups\":[]"));
  CHECK(has({{"file[]", "r.yaml"}}, "\"Down\""));
  CHECK(has({{"exclude_alerts", "true"}}, "\"alerts\":[]"));
  CHECK(rules_response(view, get({{"type", "x"}})).status == 400);
  CHECK(alerts_response(view).body.find("\"alerts\":[{\"labels\":{\"alertname\":\"Down\"") !=
        std::string::npos);
}
