#include <catch2/catch.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "config/options.hpp"
#include "config/rule_test_file.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::config;

namespace {

std::string problems_of(std::string_view yaml) {
  const auto file = load_rule_test_text(yaml, "t.yml");
  return file ? std::string() : text_of(file.error());
}

constexpr std::string_view full = R"(rule_files: []
evaluation_interval: 30s
fuzzy_compare: true
group_eval_order: [b, a]
tests:
  - name: first
    interval: 15s
    start_timestamp: 2024-01-01T00:00:00Z
    external_labels: {region: eu}
    external_url: http://x/
    input_series:
      - series: 'up{job="a"}'
        values: "1+1x5"
    alert_rule_test:
      - eval_time: 5m
        alertname: Down
        exp_alerts:
          - exp_labels: {job: a, code: 500, empty: ""}
            exp_annotations: {summary: "it's down"}
    promql_expr_test:
      - expr: up
        eval_time: 1h30m
        exp_samples:
          - {labels: up, value: 1.5}
          - {histogram: "{{count:1}}"}
          - {value: -.inf}
          - {value: .nan}
          - {value: +Inf}
  - input_series: [{series: up}]
)";

}  // namespace

TEST_CASE("every key of a rule test file arrives", "[config][rule_test]") {
  const auto file = load_rule_test_text(full, "t.yml");
  INFO((file ? std::string() : text_of(file.error())));
  REQUIRE(file);
  CHECK(file->evaluation_interval == Millis(30'000));
  CHECK(file->fuzzy_compare);
  CHECK(file->group_eval_order == std::vector<std::string>{"b", "a"});
  REQUIRE(file->groups.size() == 2);
  const RuleTestGroup& first = file->groups[0];
  CHECK(first.name == "first");
  CHECK(first.interval == Millis(15'000));
  CHECK(first.start_ms == 1'704'067'200'000);
  CHECK(first.external_labels == StringPairs{{"region", "eu"}});
  CHECK(first.external_url == "http://x/");
  REQUIRE(first.input_series.size() == 1);
  CHECK(first.input_series[0].series == R"(up{job="a"})");
  CHECK(first.input_series[0].values == "1+1x5");
  CHECK(first.input_series[0].values_place == Place{"t.yml", 13, 18});
  REQUIRE(first.alert_cases.size() == 1);
  CHECK(first.alert_cases[0].eval_time == Millis(300'000));
  CHECK(first.alert_cases[0].alertname == "Down");
  REQUIRE(first.alert_cases[0].alerts.size() == 1);
  CHECK(first.alert_cases[0].alerts[0].labels == StringPairs{{"job", "a"}, {"code", "500"}, {"empty", ""}});
  CHECK(first.alert_cases[0].alerts[0].annotations == StringPairs{{"summary", "it's down"}});
  REQUIRE(first.expr_cases.size() == 1);
  CHECK(first.expr_cases[0].eval_time == Millis(5'400'000));
  const auto& samples = first.expr_cases[0].samples;
  REQUIRE(samples.size() == 5);
  CHECK(samples[0].labels == "up");
  CHECK(samples[0].value == 1.5);
  CHECK(samples[1].histogram == "{{count:1}}");
  CHECK(samples[1].value == 0);
  CHECK(samples[2].value == -INFINITY);
  CHECK(std::isnan(samples[3].value));
  CHECK(samples[4].value == INFINITY);
  CHECK(file->groups[1].interval == Millis(30'000));  // evaluation_interval
  CHECK(file->groups[1].start_ms == 0);
  for (const Option& option : rule_test_options()) {
    const std::string key(option.path.substr(option.path.rfind('.') + 1));
    INFO(key);
    CHECK(full.find(key + ":") != std::string_view::npos);
  }
}

TEST_CASE("a rule test file may be empty, and zero intervals are the defaults", "[config][rule_test]") {
  const auto empty = load_rule_test_text("", "t.yml");
  REQUIRE(empty);
  CHECK(empty->evaluation_interval == Millis(60'000));
  const auto zero = load_rule_test_text("evaluation_interval: 0\ntests: [{interval: 0}]", "t.yml");
  REQUIRE(zero);
  CHECK(zero->evaluation_interval == Millis(60'000));
  CHECK(zero->groups.at(0).interval == Millis(60'000));
}

TEST_CASE("what is wrong with a rule test file has its place", "[config][rule_test]") {
  CHECK(problems_of("tests: [{alert_rule_test: [{eval_time: 5m}]}]") ==
        "t.yml:1:28: 'alertname' is missing (Name of the alert, of one rule or of several)\n");
  CHECK(problems_of("tests:\n- nmae: x\n").starts_with("t.yml:2:3: unknown option 'nmae'; did you mean 'name'?"));
  CHECK(problems_of("tests:\n- promql_expr_test: [{expr: up, eval_time: 5}]").starts_with("t.yml:2:44: 'eval_time' is \"5\"; write a duration"));
  CHECK(problems_of("tests:\n- promql_expr_test: [{expr: up, exp_samples: [{value: x}]}]") == "t.yml:2:55: 'value' is \"x\"; write a number\n");
  CHECK(problems_of("tests:\n- start_timestamp: yesterday").starts_with("t.yml:2:20: 'start_timestamp' is \"yesterday\""));
  CHECK(problems_of("tests:\n- start_timestamp: 1969-01-01T00:00:00Z").starts_with("t.yml:2:20: 'start_timestamp'"));
  CHECK(problems_of("group_eval_order: [a, b, a]") == "t.yml:1:19: group name repeated in evaluation order: a\n");
  CHECK(problems_of("tests: [{input_series: [{values: 1}]}]").starts_with("t.yml:1:25: 'series' is missing"));
  CHECK(problems_of("tests: {}").starts_with("t.yml:1:8: 'tests' is a mapping; write a list"));
  CHECK(problems_of("groups: []").starts_with("t.yml:1:1: unknown option 'groups'"));
  CHECK(problems_of("tests: [").starts_with("t.yml:1:"));
  // An option of a rule test is none of the configuration.
  CHECK_FALSE(load_text("rule_test: {}", "f").has_value());
  CHECK_FALSE(load_text("tests: []", "f").has_value());
}

TEST_CASE("rule files are beside the test file, each once", "[config][rule_test]") {
  const test::TempDir folder;
  for (const char* name : {"b.yml", "a.yml"}) std::ofstream(folder.path(name)) << "groups: []\n";
  std::ofstream(folder.path("t.yml")) << "rule_files: [b.yml, '*.yml', none.yml]\n";
  const auto file = load_rule_test_file(folder.path("t.yml"));
  REQUIRE(file);
  CHECK(file->rule_files == std::vector<std::string>{folder.path("b.yml"), folder.path("a.yml"), folder.path("t.yml")});
  CHECK(file->unmatched == std::vector<std::string>{folder.path("none.yml")});
  const auto missing = load_rule_test_file(folder.path("nowhere.yml"));
  REQUIRE_FALSE(missing);
  CHECK(text_of(missing.error()).find("nowhere.yml") != std::string::npos);
}
