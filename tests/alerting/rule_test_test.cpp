#include <catch2/catch.hpp>

#include <cmath>
#include <filesystem>

#include "alerting/rule_test_text.hpp"
#include "rig.hpp"

using namespace plumbline;
using namespace plumbline::alerting;

namespace {

RuleSpec alert(std::string name, std::string expr, Millis hold = Millis(0)) {
  RuleSpec out;
  out.alert = std::move(name);
  out.expr = std::move(expr);
  out.hold = hold;
  return out;
}
RuleSpec record(std::string name, std::string expr) {
  RuleSpec out;
  out.record = std::move(name);
  out.expr = std::move(expr);
  return out;
}
GroupSpec group(std::string name, std::vector<RuleSpec> rules) {
  GroupSpec out;
  out.name = std::move(name);
  out.file = "r.yml";
  out.rules = std::move(rules);
  return out;
}
AlertTestCase firing(Millis at, std::string name, std::vector<ExpectedAlert> alerts) {
  AlertTestCase out;
  out.eval_time = at;
  out.alertname = std::move(name);
  out.alerts = std::move(alerts);
  return out;
}
ExpressionTestCase result(std::string expr, Millis at, std::vector<ExpectedSample> samples) {
  return {std::move(expr), at, std::move(samples)};
}
RuleTest test_of(std::vector<std::pair<std::string, std::string>> input) {
  RuleTest out;
  for (auto& [series, values] : input)
    out.input_series.push_back({std::move(series), std::move(values), {"t.yml", 3, 5}, {"t.yml", 4, 7}});
  return out;
}

RuleTestReport run(const RuleTestFile& file, const std::vector<std::string>& names = {}) {
  const test::TempDir scratch;
  const test::ManualClock clock;
  auto report = run_rule_tests(file, names, scratch.path(), clock);
  REQUIRE(report);
  // Nothing is left behind, whatever happened.
  CHECK(std::filesystem::is_empty(scratch.path()));
  return std::move(*report);
}

constexpr Millis minute{60'000};

}  // namespace

TEST_CASE("a rule test that holds", "[alerting][rule_test]") {
  RuleTestFile file;
  RuleSpec down = alert("Down", "up == 0", 5 * minute);
  down.labels = {{"severity", "page"}};
  down.annotations = {{"summary", "{{ $labels.job }} of {{ $externalLabels.region }} at {{ $externalURL }}: {{ $value }}"}};
  file.rules.groups.push_back(group("g", {record("job:up:sum", "sum by (job) (up)"), down}));
  RuleTest test = test_of({{R"(up{job="a"})", "1x2 0x20"}, {R"(up{job="b"})", "1 _x3 1 stale 1x10"}});
  test.external_labels = {{"region", "eu"}};
  test.external_url = "http://x";
  test.alert_cases = {
      firing(7 * minute, "Down", {}),  // pending since minute 3
      firing(8 * minute + Millis(30'000), "Down",
             {{{{"severity", "page"}, {"job", "a"}, {"alertname", "overwritten"}}, {{"summary", "a of eu at http://x: 0"}}}})};
  test.expression_cases = {
      result("job:up:sum", 3 * minute, {{R"(job:up:sum{job="b"})", 1, ""}, {R"(job:up:sum{job="a"})", 0, ""}}),
      result(R"(up{job="b"})", 5 * minute, {}),  // stale
      result("time()", 90 * Millis(1000), {{"", 90, ""}}),
      result(R"(ALERTS{alertstate="pending"})", 4 * minute,
             {{R"(ALERTS{alertname="Down",alertstate="pending",job="a",severity="page"})", 1, ""}}),
      result(R"(ALERTS_FOR_STATE)", 9 * minute, {{R"(ALERTS_FOR_STATE{alertname="Down",job="a",severity="page"})", 180, ""}})};
  file.tests = {test};
  const RuleTestReport report = run(file);
  CHECK(report.run == 1);
  CHECK(report.failures == std::vector<std::string>{});
  CHECK(report.warnings.empty());
}

TEST_CASE("what fails is told in promtool's form", "[alerting][rule_test]") {
  RuleTestFile file;
  RuleSpec down = alert("Down", "up == 0");
  down.annotations = {{"summary", "gone"}};
  file.rules.groups.push_back(group("g", {down}));
  RuleTest test = test_of({{R"(up{job="a"})", "0x20"}});
  test.name = "the test";
  test.alert_cases = {firing(90 * minute, "Down", {}), firing(minute, "Down", {{{{"job", "b"}}, {{"x", ""}}}})};
  test.expression_cases = {result("up", minute, {{"up", 1.5, ""}, {"", INFINITY, ""}}), result("up", 90 * minute, {{"up", 0, ""}}),
                           result("up +", minute, {}), result("up[1m]", minute, {}), result("up", minute, {{"up{", 0, ""}})};
  file.tests = {test};
  CHECK(run(file).failures ==
        std::vector<std::string>{
            "    name: the test,\n    alertname: Down, time: 1m, \n        exp:[\n            0:\n              "
            "Labels:{alertname=\"Down\", job=\"b\"}\n              Annotations:{x=\"\"}\n            ], \n        got:[\n            "
            "0:\n              Labels:{alertname=\"Down\", job=\"a\"}\n              Annotations:{summary=\"gone\"}\n            ]",
            "    expr: \"up\", time: 1m,\n        exp: {} +Inf, {__name__=\"up\"} 1.5E+00\n        got: {__name__=\"up\", job=\"a\"} 0E+00",
            "    expr: \"up\", time: 1h30m,\n        exp: {__name__=\"up\"} 0E+00\n        got: nil",
            "    expr: \"up +\", time: 1m, err: 1:5: parse error: unexpected end of input",
            "    expr: \"up[1m]\", time: 1m, err: rule result is not a vector or scalar",
            "    expr: \"up\", time: 1m, err: labels \"up{\": 1:4: parse error: unexpected end of input inside braces"});
}

TEST_CASE("values are compared exactly, or to the last bit when asked", "[alerting][rule_test]") {
  RuleTestFile file;
  RuleTest test = test_of({{"low", "2.9999999999999996"}, {"lower", "2.999999999999999"}, {"not_a_number", "NaN"}, {"zero", "0"}});
  test.expression_cases = {result("low", Millis(0), {{"low", 3, ""}}), result("lower", Millis(0), {{"lower", 3, ""}}),
                           result("not_a_number", Millis(0), {{"not_a_number", NAN, ""}}), result("zero", Millis(0), {{"zero", -0.0, ""}})};
  file.tests = {test};
  CHECK(run(file).failures.size() == 3);
  file.fuzzy_compare = true;
  CHECK(run(file).failures.size() == 2);  // NaN equals nothing
}

TEST_CASE("native histograms are loaded, recorded and compared", "[alerting][rule_test]") {
  RuleTestFile file;
  file.rules.groups.push_back(group("g", {record("h:sum", "sum(h)")}));
  RuleTest test = test_of({{R"(h{a="1"})", "{{count:2 sum:3 buckets:[2]}}x3"}, {R"(h{a="2"})", "{{count:1 sum:1 buckets:[0 1]}}x3"}});
  test.expression_cases = {
      result("histogram_count(h:sum)", 2 * minute, {{"", 3, ""}}),
      result("sum(h)", 2 * minute, {{"", 7, "{{sum:4 count:3 buckets:[2 1]}}"}}),
      result("sum(h)", 2 * minute, {{"", 0, "{{sum:4 count:3 buckets:[1 2]}}"}}),
      result("sum(h)", 2 * minute, {{"", 0, "{{sum:4}}x2"}}),
      result("sum(h)", 2 * minute, {{"", 3, ""}})};
  file.tests = {test};
  const auto failures = run(file).failures;
  INFO((failures.empty() ? "" : failures[0]));
  REQUIRE(failures.size() == 3);
  CHECK(failures[0].find("exp: {} {{count:3 sum:4 buckets:[1 2]}}") != std::string::npos);
  CHECK(failures[1].find("write one histogram") != std::string::npos);
  CHECK(failures[2].find("exp: {} 3E+00") != std::string::npos);
}

TEST_CASE("groups are evaluated in group_eval_order", "[alerting][rule_test]") {
  RuleTestFile file;
  file.rules.groups = {group("late", {record("second", "first + 1")}), group("early", {record("first", "x")})};
  RuleTest test = test_of({{"x", "1 2 3"}});
  test.expression_cases = {result("second", Millis(0), {{"second", 2, ""}})};
  file.tests = {test};
  CHECK(run(file).failures.size() == 1);
  file.group_eval_order = {"early", "late"};
  CHECK(run(file).failures.empty());
}

TEST_CASE("a start time, and intervals of their own", "[alerting][rule_test]") {
  RuleTestFile file;
  file.evaluation_interval = Millis(10'000);
  file.rules.groups.push_back(group("g", {record("r", "x")}));
  RuleTest test = test_of({{"x", "0+1x10"}});
  test.interval = Millis(5'000);
  test.start_ms = 1'704'067'200'000;
  test.expression_cases = {result("time()", minute, {{"", 1'704'067'260, ""}}),
                           result("x @ 1704067215", minute, {{"x", 3, ""}}),
                           result("timestamp(r)", Millis(25'000), {{"", 1'704'067'220, ""}}),
                           result("count_over_time(r[1m])", Millis(30'000), {{"", 4, ""}}),
                           result("count_over_time(x[30s:])", Millis(30'000), {{"", 3, ""}})};  // the subquery's default step
  file.tests = {test};
  CHECK(run(file).failures == std::vector<std::string>{});
}

TEST_CASE("rules see no later samples", "[alerting][rule_test]") {
  RuleTestFile file;
  file.rules.groups.push_back(group("g", {record("ahead", "x offset -4m")}));
  RuleTest test = test_of({{"x", "0+1x10"}});
  // Data that are there: those until the evaluation, as promtool loads them.
  test.expression_cases = {result("ahead", 2 * minute, {{"ahead", 2, ""}})};
  file.tests = {test};
  CHECK(run(file).failures == std::vector<std::string>{});
}

TEST_CASE("a rule that fails ends its test", "[alerting][rule_test]") {
  RuleTestFile file;
  file.rules.groups.push_back(group("g", {record("bad", "x + on () y")}));
  RuleTest test = test_of({{R"(x{a="1"})", "_ 1x5"}, {R"(x{a="2"})", "_ 1x5"}, {"y", "1x5"}});
  test.name = "broken";
  test.expression_cases = {result("never", 3 * minute, {{"never", 1, ""}})};
  RuleTest good = test_of({{"y", "1x5"}});
  good.name = "good";
  good.expression_cases = {result("y", minute, {{"y", 1, ""}})};
  file.tests = {test, good};
  const auto failures = run(file).failures;
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].starts_with("    rule: bad, time: 1m0s, err: multiple matches for labels"));
  CHECK(run(file, {"^goo", "nothing"}).run == 1);
  CHECK(run(file, {"^goo"}).failures.empty());
  CHECK(run(file, {"nothing"}).run == 0);
  const test::ManualClock clock;
  CHECK_FALSE(run_rule_tests(file, {"("}, "/tmp", clock).has_value());
}

TEST_CASE("bad input and bad rules have their place", "[alerting][rule_test]") {
  RuleTestFile file;
  file.tests = {test_of({{"up", "1 2z"}}), test_of({{"up{", "1"}}), test_of({{R"({job="a"})", "1"}})};
  const auto input = run(file).failures;
  REQUIRE(input.size() == 3);
  CHECK(input[0].starts_with("t.yml:4:7: input series \"up\": 1:4: parse error"));
  CHECK(input[1].starts_with("t.yml:3:5: input series \"up{\": 1:4: parse error"));
  CHECK(input[2].starts_with("t.yml:3:5: input series \"{job=\\\"a\\\"}\": it has no metric name"));

  file.rules.groups.push_back(group("g", {alert("A", "sum(")}));
  file.rules.groups[0].rules[0].place = {"r.yml", 7, 3};
  const auto rules = run(file).failures;
  REQUIRE(rules.size() == 1);
  CHECK(rules[0].starts_with("r.yml:7:3: "));
}

TEST_CASE("what would run for days is refused", "[alerting][rule_test]") {
  RuleTestFile file;
  file.evaluation_interval = Millis(1);
  RuleTest test = test_of({});
  test.expression_cases = {result("1", 60 * minute, {{"", 1, ""}})};
  file.tests = {test};
  const auto failures = run(file).failures;
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].find("more than 1000000 evaluations") != std::string::npos);
}

TEST_CASE("the alerts of an SLO are tested like others, drift rules are not", "[alerting][rule_test]") {
  RuleTestFile file;
  SloSpec slo;
  slo.name = "availability";
  slo.service = "api";
  slo.objective = "99";
  slo.error_query = R"(sum(rate(requests_total{code="500"}[{{.window}}])))";
  slo.total_query = "sum(rate(requests_total[{{.window}}]))";
  slo.windows = {{"page", 60 * minute, 5 * minute, 10}};
  slo.place = {"r.yml", 3, 5};
  file.rules.slos = {slo};
  DriftSpec drift;
  drift.name = "inputs";
  drift.model = "m";
  drift.reference = "r";
  drift.place = {"r.yml", 20, 5};
  file.rules.drift = {drift};
  RuleTest test = test_of({{R"(requests_total{code="200"})", "0+80x60"}, {R"(requests_total{code="500"})", "0+20x60"}});
  test.expression_cases = {
      result("round(plumbline_slo_burn_rate{window=\"5m\"})", 20 * minute, {{R"({service="api",slo="availability",window="5m"})", 20, ""}})};
  test.alert_cases = {firing(20 * minute, "availability", {}), firing(20 * minute, "inputs", {})};
  file.tests = {test};
  const RuleTestReport report = run(file);
  CHECK(report.warnings == std::vector<std::string>{"r.yml:20:5: drift rule \"inputs\" is not evaluated: not supported in rule tests"});
  INFO((report.failures.empty() ? "" : report.failures[0]));
  REQUIRE(report.failures.size() == 2);
  CHECK(report.failures[0].find("alertname=\"availability\"") != std::string::npos);
  CHECK(report.failures[0].find("severity=\"page\"") != std::string::npos);
  CHECK(report.failures[1].starts_with("    alertname: inputs, time: 20m, err: r.yml:20:5: drift rules are not supported in rule tests"));
}

TEST_CASE("durations as Go prints them", "[alerting][rule_test]") {
  CHECK(go_duration(0) == "0s");
  CHECK(go_duration(250) == "250ms");
  CHECK(go_duration(1'500) == "1.5s");
  CHECK(go_duration(60'000) == "1m0s");
  CHECK(go_duration(3'600'000) == "1h0m0s");
  CHECK(go_duration(90'061'001) == "25h1m1.001s");
}
